// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK-LABEL: func.func @constant
func.func @constant() {
  // CHECK: dsc.constant dense<1.000000e+00> : tensor<2x3xf32>
  %a = dsc.constant dense<1.0> : tensor<2x3xf32>
  // CHECK: dsc.constant dense<[true, false]> : tensor<2xi1>
  %b = dsc.constant dense<[true, false]> : tensor<2xi1>
  // CHECK: dsc.constant dense<> : tensor<0xi64>
  %c = dsc.constant dense<> : tensor<0xi64>
  return
}

// CHECK-LABEL: func.func @reshape
func.func @reshape(%x: tensor<2x3x4xf32>) {
  // CHECK: dsc.reshape %{{.+}} : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  %y = dsc.reshape %x : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
  return
}

// CHECK-LABEL: func.func @reshape_to_scalar
func.func @reshape_to_scalar(%x: tensor<1x1xf32>) {
  // CHECK: dsc.reshape %{{.+}} : (tensor<1x1xf32>) -> tensor<f32>
  %y = dsc.reshape %x : (tensor<1x1xf32>) -> tensor<f32>
  return
}

// CHECK-LABEL: func.func @transpose
func.func @transpose(%x: tensor<2x3x4xf32>) {
  // CHECK: dsc.transpose %{{.+}} {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  %y = dsc.transpose %x {permutation = array<i64: 2, 0, 1>} : (tensor<2x3x4xf32>) -> tensor<4x2x3xf32>
  return
}

// CHECK-LABEL: func.func @broadcast
func.func @broadcast(%x: tensor<3x1xf32>) {
  // CHECK: dsc.broadcast %{{.+}} : (tensor<3x1xf32>) -> tensor<2x3x4xf32>
  %y = dsc.broadcast %x : (tensor<3x1xf32>) -> tensor<2x3x4xf32>
  return
}

// Dimension 0 backwards to element 0; dimension 1 to element 7, its last.
// CHECK-LABEL: func.func @slice
func.func @slice(%x: tensor<4x8xf32>) {
  // CHECK: dsc.slice %{{.+}} {sizes = array<i64: 4, 3>, starts = array<i64: 3, 1>, steps = array<i64: -1, 3>} : (tensor<4x8xf32>) -> tensor<4x3xf32>
  %y = dsc.slice %x {sizes = array<i64: 4, 3>, starts = array<i64: 3, 1>, steps = array<i64: -1, 3>} : (tensor<4x8xf32>) -> tensor<4x3xf32>
  return
}

// No element is read, so the start does not matter.
// CHECK-LABEL: func.func @slice_of_nothing
func.func @slice_of_nothing(%x: tensor<4xf32>) {
  // CHECK: dsc.slice %{{.+}} {sizes = array<i64: 0>, starts = array<i64: 4>, steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<0xf32>
  %y = dsc.slice %x {sizes = array<i64: 0>, starts = array<i64: 4>, steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<0xf32>
  return
}

// 1 + 4 + 3 * 2 + 0, and 2 + 0 + 0 + 3.
// CHECK-LABEL: func.func @pad
func.func @pad(%x: tensor<4x0xf32>) {
  // CHECK: dsc.pad %{{.+}} {high = array<i64: 0, 3>, interior = array<i64: 2, 1>, low = array<i64: 1, 2>, value = 0.000000e+00 : f64} : (tensor<4x0xf32>) -> tensor<11x5xf32>
  %y = dsc.pad %x {high = array<i64: 0, 3>, interior = array<i64: 2, 1>, low = array<i64: 1, 2>, value = 0.000000e+00 : f64} : (tensor<4x0xf32>) -> tensor<11x5xf32>
  return
}

// CHECK-LABEL: func.func @concat
func.func @concat(%x: tensor<2x3xf32>, %y: tensor<0x3xf32>, %z: tensor<4x3xf32>) {
  // CHECK: dsc.concat %{{.+}}, %{{.+}}, %{{.+}} {axis = 0 : i64} : (tensor<2x3xf32>, tensor<0x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
  %r = dsc.concat %x, %y, %z {axis = 0 : i64} : (tensor<2x3xf32>, tensor<0x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
  return
}

// CHECK-LABEL: func.func @gather
func.func @gather(%table: tensor<65x8xf32>, %ids: tensor<2x4xi64>) {
  // CHECK: dsc.gather %{{.+}}, %{{.+}} {axis = 0 : i64} : (tensor<65x8xf32>, tensor<2x4xi64>) -> tensor<2x4x8xf32>
  %y = dsc.gather %table, %ids {axis = 0 : i64} : (tensor<65x8xf32>, tensor<2x4xi64>) -> tensor<2x4x8xf32>
  return
}

// A scalar index takes the dimension away.
// CHECK-LABEL: func.func @gather_scalar
func.func @gather_scalar(%table: tensor<65x8xf32>, %ids: tensor<i32>) {
  // CHECK: dsc.gather %{{.+}}, %{{.+}} {axis = 1 : i64} : (tensor<65x8xf32>, tensor<i32>) -> tensor<65xf32>
  %y = dsc.gather %table, %ids {axis = 1 : i64} : (tensor<65x8xf32>, tensor<i32>) -> tensor<65xf32>
  return
}

// CHECK-LABEL: func.func @gather_grad
func.func @gather_grad(%dy: tensor<2x4x8xf32>, %ids: tensor<2x4xi64>) {
  // CHECK: dsc.gather_grad %{{.+}}, %{{.+}} {axis = 0 : i64} : (tensor<2x4x8xf32>, tensor<2x4xi64>) -> tensor<65x8xf32>
  %y = dsc.gather_grad %dy, %ids {axis = 0 : i64} : (tensor<2x4x8xf32>, tensor<2x4xi64>) -> tensor<65x8xf32>
  return
}

// CHECK-LABEL: func.func @gather_elements
func.func @gather_elements(%x: tensor<2x8xf32>, %i: tensor<1x20xi64>) {
  // CHECK: dsc.gather_elements %{{.+}}, %{{.+}} {axis = 1 : i64} : (tensor<2x8xf32>, tensor<1x20xi64>) -> tensor<1x20xf32>
  %y = dsc.gather_elements %x, %i {axis = 1 : i64} : (tensor<2x8xf32>, tensor<1x20xi64>) -> tensor<1x20xf32>
  return
}

// CHECK-LABEL: func.func @scatter_elements
func.func @scatter_elements(%x: tensor<2x8xf32>, %i: tensor<1x20xi64>, %u: tensor<1x20xf32>) {
  // CHECK: dsc.scatter_elements %{{.+}}, %{{.+}}, %{{.+}} {axis = 1 : i64, kind = #dsc.scatter_kind<max>} : (tensor<2x8xf32>, tensor<1x20xi64>, tensor<1x20xf32>) -> tensor<2x8xf32>
  %y = dsc.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #dsc.scatter_kind<max>} : (tensor<2x8xf32>, tensor<1x20xi64>, tensor<1x20xf32>) -> tensor<2x8xf32>
  return
}

// CHECK-LABEL: func.func @gather_nd
func.func @gather_nd(%x: tensor<3x2x8xf32>, %i: tensor<3x5x1xi64>) {
  // CHECK: dsc.gather_nd %{{.+}}, %{{.+}} {batch_dims = 1 : i64} : (tensor<3x2x8xf32>, tensor<3x5x1xi64>) -> tensor<3x5x8xf32>
  %y = dsc.gather_nd %x, %i {batch_dims = 1 : i64} : (tensor<3x2x8xf32>, tensor<3x5x1xi64>) -> tensor<3x5x8xf32>
  return
}

// CHECK-LABEL: func.func @scatter_nd
func.func @scatter_nd(%x: tensor<8x3xf32>, %i: tensor<5x1xi64>, %u: tensor<5x3xf32>) {
  // CHECK: dsc.scatter_nd %{{.+}}, %{{.+}}, %{{.+}} {kind = #dsc.scatter_kind<none>} : (tensor<8x3xf32>, tensor<5x1xi64>, tensor<5x3xf32>) -> tensor<8x3xf32>
  %y = dsc.scatter_nd %x, %i, %u {kind = #dsc.scatter_kind<none>} : (tensor<8x3xf32>, tensor<5x1xi64>, tensor<5x3xf32>) -> tensor<8x3xf32>
  return
}
