// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// Batch dimensions broadcast.
// CHECK-LABEL: func.func @matmul
func.func @matmul(%a: tensor<5x1x2x3xf32>, %b: tensor<7x3x4xf32>) {
  // CHECK: dsc.matmul %{{.+}}, %{{.+}} : (tensor<5x1x2x3xf32>, tensor<7x3x4xf32>) -> tensor<5x7x2x4xf32>
  %y = dsc.matmul %a, %b : (tensor<5x1x2x3xf32>, tensor<7x3x4xf32>) -> tensor<5x7x2x4xf32>
  return
}

// CHECK-LABEL: func.func @matmul_transposed
func.func @matmul_transposed(%a: tensor<3x2xf32>, %b: tensor<4x3xf32>) {
  // CHECK: dsc.matmul %{{.+}}, %{{.+}} {transpose_a = true, transpose_b = true} : (tensor<3x2xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  %y = dsc.matmul %a, %b {transpose_a = true, transpose_b = true} : (tensor<3x2xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return
}

// CHECK-LABEL: func.func @matmul_epilogue
func.func @matmul_epilogue(%a: tensor<2x3xf16>, %b: tensor<3x4xf16>, %bias: tensor<4xf16>, %acc: tensor<2x4xf16>) {
  // CHECK: dsc.matmul %{{.+}}, %{{.+}} bias %{{.+}} accumulate %{{.+}} {activation = #dsc.epilogue<gelu_tanh>}
  %y = dsc.matmul %a, %b bias %bias accumulate %acc {activation = #dsc.epilogue<gelu_tanh>}
      : (tensor<2x3xf16>, tensor<3x4xf16>, tensor<4xf16>, tensor<2x4xf16>) -> tensor<2x4xf16>
  return
}

// Two query heads share one of keys; lengths of queries and keys differ.
// CHECK-LABEL: func.func @attention
func.func @attention(%q: tensor<2x16x32xf32>, %k: tensor<2x20x16xf32>, %v: tensor<2x20x16xf32>, %mask: tensor<1x1x16x20xi1>) {
  // CHECK: dsc.attention %{{.+}}, %{{.+}}, %{{.+}} mask %{{.+}} {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
  %o, %lse = dsc.attention %q, %k, %v mask %mask {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
      : (tensor<2x16x32xf32>, tensor<2x20x16xf32>, tensor<2x20x16xf32>, tensor<1x1x16x20xi1>) -> (tensor<2x16x32xf32>, tensor<2x4x16xf32>)
  return
}

// One operand holds queries, keys and values; lse is f32 for every type but f64.
// CHECK-LABEL: func.func @attention_packed
func.func @attention_packed(%qkv: tensor<2x16x64xbf16>, %o: tensor<2x16x32xbf16>, %lse: tensor<2x4x16xf32>) {
  // CHECK: dsc.attention %{{.+}} {causal = true, heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64} : (tensor<2x16x64xbf16>) -> (tensor<2x16x32xbf16>, tensor<2x4x16xf32>)
  %out, %l = dsc.attention %qkv {causal = true, heads = 4 : i64, kv_heads = 2 : i64, scale = 0.125 : f64} : (tensor<2x16x64xbf16>) -> (tensor<2x16x32xbf16>, tensor<2x4x16xf32>)
  // CHECK: dsc.attention_grad %{{.+}} out %{{.+}}, %{{.+}}, %{{.+}} {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64} : (tensor<2x16x64xbf16>, tensor<2x16x32xbf16>, tensor<2x4x16xf32>, tensor<2x16x32xbf16>) -> tensor<2x16x64xbf16>
  %d = dsc.attention_grad %qkv out %o, %lse, %o {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64} : (tensor<2x16x64xbf16>, tensor<2x16x32xbf16>, tensor<2x4x16xf32>, tensor<2x16x32xbf16>) -> tensor<2x16x64xbf16>
  return
}

// CHECK-LABEL: func.func @attention_grad
func.func @attention_grad(%q: tensor<2x16x32xf64>, %k: tensor<2x20x16xf64>, %v: tensor<2x20x16xf64>, %lse: tensor<2x4x16xf64>) {
  // CHECK: dsc.attention_grad %{{.+}}, %{{.+}}, %{{.+}} out %{{.+}}, %{{.+}}, %{{.+}} {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
  %dq, %dk, %dv = dsc.attention_grad %q, %k, %v out %q, %lse, %q {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.250000e-01 : f64}
      : (tensor<2x16x32xf64>, tensor<2x20x16xf64>, tensor<2x20x16xf64>, tensor<2x16x32xf64>, tensor<2x4x16xf64>, tensor<2x16x32xf64>)
      -> (tensor<2x16x32xf64>, tensor<2x20x16xf64>, tensor<2x20x16xf64>)
  return
}
