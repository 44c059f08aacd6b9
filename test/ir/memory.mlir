// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK: dsc.global @h.0.weight : tensor<4x8xf32> {onnx_names = ["weight", "weight.t"], reason = "kind PARAMETER",
// CHECK-SAME: role = #dsc.role<trained>, source = #dsc.source<"model.onnx", "h.0.weight", "90ab">}
dsc.global @"h.0.weight" : tensor<4x8xf32> {role = #dsc.role<trained>, onnx_names = ["weight", "weight.t"],
  reason = "kind PARAMETER", source = #dsc.source<"model.onnx", "h.0.weight", "90ab">}

// CHECK: dsc.global @moment : tensor<4x8xf32> {of = @h.0.weight, role = #dsc.role<state>, slot = #dsc.slot<state, 0, 128, 0, 9>,
// CHECK-SAME: slot_kind = "exp_avg", value = dense<0.000000e+00> : tensor<4x8xf32>}
dsc.global @moment : tensor<4x8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4x8xf32>, of = @"h.0.weight",
  slot_kind = "exp_avg", slot = #dsc.slot<state, 0, 128, 0, 9>}

// CHECK: dsc.global @table : tensor<2xi64> {role = #dsc.role<constant>, value = dense<[3, 4]> : tensor<2xi64>}
dsc.global @table : tensor<2xi64> {role = #dsc.role<constant>, value = dense<[3, 4]> : tensor<2xi64>}

// CHECK: dsc.global @statistics : tensor<8xf32> {role = #dsc.role<buffer>, value = dense<0.000000e+00> : tensor<8xf32>}
dsc.global @statistics : tensor<8xf32> {role = #dsc.role<buffer>, value = dense<0.0> : tensor<8xf32>}

// CHECK-LABEL: func.func @globals
func.func @globals(%x: tensor<4x8xf32>) {
  // CHECK: dsc.get_global @h.0.weight : tensor<4x8xf32>
  %w = dsc.get_global @"h.0.weight" : tensor<4x8xf32>
  // CHECK: dsc.gradients %{{.+}}, %{{.+}} {names = ["h.0.weight", "other"]} : tensor<4x8xf32>, tensor<4x8xf32>
  dsc.gradients %x, %w {names = ["h.0.weight", "other"]} : tensor<4x8xf32>, tensor<4x8xf32>
  // CHECK: dsc.gradients{{ +}}{names = []}
  dsc.gradients {names = []}
  // CHECK: dsc.set_global @moment, %{{.+}} : tensor<4x8xf32>
  dsc.set_global @moment, %x : tensor<4x8xf32>
  return
}

// One kernel of each kind.
// CHECK-LABEL: func.func @kernels
func.func @kernels(%x: tensor<4x8xf32>, %b: tensor<8xf32>) {
  // CHECK: dsc.kernel(%{{.+}}, %{{.+}}) attributes {domain = array<i64: 4, 8>, kind = #dsc.kernel_kind<elementwise>, refused = ["reason"], row_rank = 2 : i64} {
  // CHECK-NEXT: ^bb0(%{{.+}}: tensor<4x8xf32>, %{{.+}}: tensor<8xf32>):
  // CHECK: dsc.yield %{{.+}} : tensor<4x8xf32>
  // CHECK-NEXT: } : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %0 = dsc.kernel (%x, %b) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 2 : i64, refused = ["reason"]} {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<8xf32>):
    %y = dsc.add %a, %c : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
    dsc.yield %y : tensor<4x8xf32>
  } : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  // CHECK: kind = #dsc.kernel_kind<row>
  %1 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %y = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    dsc.yield %y : tensor<4x1xf32>
  } : (tensor<4x8xf32>) -> tensor<4x1xf32>
  // CHECK: kind = #dsc.kernel_kind<column>, row_rank = 1 : i64, scratch = 1024 : i64
  %2 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 4, 8>, row_rank = 1 : i64, scratch = 1024 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %y = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    dsc.yield %y : tensor<1x8xf32>
  } : (tensor<4x8xf32>) -> tensor<1x8xf32>
  // CHECK: kind = #dsc.kernel_kind<row_column>
  %3:2 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row_column>, domain = array<i64: 4, 8>, row_rank = 1 : i64, scratch = 1024 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %y = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<1x8xf32>
    %z = dsc.reduce %a {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    dsc.yield %y, %z : tensor<1x8xf32>, tensor<4x1xf32>
  } : (tensor<4x8xf32>) -> (tensor<1x8xf32>, tensor<4x1xf32>)
  // CHECK: kind = #dsc.kernel_kind<loops>
  %4 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<loops>, domain = array<i64: 8, 4>, row_rank = 0 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %y = dsc.transpose %a {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    dsc.yield %y : tensor<8x4xf32>
  } : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return
}

// CHECK-LABEL: func.func @launch
func.func @launch(%x: tensor<4xf32>) {
  // CHECK: dsc.launch [@kernel_0, @kernel_1](%{{.+}}) {grains = array<i64: 1, 2>, units = array<i64: 4, 8>} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>)
  %y:2 = dsc.launch [@kernel_0, @kernel_1] (%x) {units = array<i64: 4, 8>, grains = array<i64: 1, 2>} : (tensor<4xf32>) -> (tensor<4xf32>, tensor<f32>)
  return
}

// A part reads back as it was written: rows of a larger parameter, and a part that lies transposed in padding.
// CHECK: dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@qk, [0, 0], [0, 1]>}
// CHECK: dsc.global @k : tensor<4x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">, storage = #dsc.storage<@qk, [8, 1], [1, 0]>}
dsc.global @qk : tensor<16x5xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<16x5xf32>}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@qk, [0, 0], [0, 1]>}
dsc.global @k : tensor<4x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">, storage = #dsc.storage<@qk, [8, 1], [1, 0]>}

// A global names the flat one that it lies in, and its first element there.
// CHECK: dsc.global @bias : {{.*}}within = #dsc.place<@flat, 3>
dsc.global @flat : tensor<2x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<2x4xf32>}
dsc.global @bias : tensor<5xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "b", "">, within = #dsc.place<@flat, 3>}

// Two parts with a hole between them.
// CHECK-LABEL: func.func @pack
func.func @pack(%x: tensor<2x2xf32>, %y: tensor<3xf32>) {
  // CHECK: dsc.pack %{{.+}}, %{{.+}} {offsets = array<i64: 0, 5>} : (tensor<2x2xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  %p = dsc.pack %x, %y {offsets = array<i64: 0, 5>} : (tensor<2x2xf32>, tensor<3xf32>) -> tensor<2x4xf32>
  return
}
