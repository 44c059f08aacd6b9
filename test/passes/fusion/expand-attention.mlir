// RUN: dsc-opt %s --dsc-expand-attention --split-input-file | FileCheck %s

// In f32 nothing but products and a softmax is left on CUDA; heads of q that share a head of k are
// one product with it.
module attributes {dsc.options = {target = "cuda"}} {
  // CHECK-LABEL: @three_operands
  // CHECK-NOT: dsc.attention
  // CHECK: dsc.matmul {{.*}} {transpose_b = true} : (tensor<2x2x2x3x4xf32>, tensor<2x2x1x5x4xf32>) -> tensor<2x2x2x3x5xf32>
  // CHECK: dsc.exp
  // CHECK: dsc.matmul {{.*}} : (tensor<2x2x2x3x5xf32>, tensor<2x2x1x5x4xf32>) -> tensor<2x2x2x3x4xf32>
  // CHECK-NOT: dsc.attention
  func.func @three_operands(%q: tensor<2x3x16xf32>, %k: tensor<2x5x8xf32>, %v: tensor<2x5x8xf32>, %mask: tensor<1x4x3x5xi1>, %do: tensor<2x3x16xf32>)
      -> (tensor<2x3x16xf32>, tensor<2x4x3xf32>, tensor<2x3x16xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>) {
    %o, %lse = dsc.attention %q, %k, %v mask %mask {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<2x3x16xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>, tensor<1x4x3x5xi1>) -> (tensor<2x3x16xf32>, tensor<2x4x3xf32>)
    %dq, %dk, %dv = dsc.attention_grad %q, %k, %v mask %mask out %o, %lse, %do {heads = 4 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<2x3x16xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>, tensor<1x4x3x5xi1>, tensor<2x3x16xf32>, tensor<2x4x3xf32>, tensor<2x3x16xf32>)
        -> (tensor<2x3x16xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>)
    return %o, %lse, %dq, %dk, %dv : tensor<2x3x16xf32>, tensor<2x4x3xf32>, tensor<2x3x16xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>
  }

  // CHECK-LABEL: @packed_causal
  // CHECK-NOT: dsc.attention
  func.func @packed_causal(%qkv: tensor<2x5x24xf32>, %mask: tensor<2x1x1x5xf32>, %do: tensor<2x5x8xf32>) -> (tensor<2x5x8xf32>, tensor<2x5x24xf32>) {
    %o, %lse = dsc.attention %qkv mask %mask {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
        : (tensor<2x5x24xf32>, tensor<2x1x1x5xf32>) -> (tensor<2x5x8xf32>, tensor<2x2x5xf32>)
    %d = dsc.attention_grad %qkv mask %mask out %o, %lse, %do {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
        : (tensor<2x5x24xf32>, tensor<2x1x1x5xf32>, tensor<2x5x8xf32>, tensor<2x2x5xf32>, tensor<2x5x8xf32>) -> tensor<2x5x24xf32>
    return %o, %d : tensor<2x5x8xf32>, tensor<2x5x24xf32>
  }
}

// -----

// The CPU has attention in every type.
// CHECK-LABEL: @cpu
// CHECK: dsc.attention
func.func @cpu(%qkv: tensor<2x5x24xf32>) -> tensor<2x5x8xf32> {
  %o, %lse = dsc.attention %qkv {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
      : (tensor<2x5x24xf32>) -> (tensor<2x5x8xf32>, tensor<2x2x5xf32>)
  return %o : tensor<2x5x8xf32>
}
