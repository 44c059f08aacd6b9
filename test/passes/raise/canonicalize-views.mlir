// RUN: dsc-opt %s --dsc-canonicalize-views | FileCheck %s

// Head split and head merge that meet cancel.
// CHECK-LABEL: @transposes_cancel
// CHECK-NEXT: return %arg0
func.func @transposes_cancel(%x: tensor<2x4x24xf32>) -> tensor<2x4x24xf32> {
  %a = dsc.reshape %x : (tensor<2x4x24xf32>) -> tensor<2x4x3x8xf32>
  %b = dsc.transpose %a {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x3x8xf32>) -> tensor<2x3x4x8xf32>
  %c = dsc.transpose %b {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x4x8xf32>) -> tensor<2x4x3x8xf32>
  %y = dsc.reshape %c : (tensor<2x4x3x8xf32>) -> tensor<2x4x24xf32>
  return %y : tensor<2x4x24xf32>
}

// A reshape between two transposes that undo each other does not hide them.
// CHECK-LABEL: @through_reshape
// CHECK-NEXT: return %arg0
func.func @through_reshape(%x: tensor<2x4x3x8xf32>) -> tensor<2x4x3x8xf32> {
  %a = dsc.transpose %x {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x3x8xf32>) -> tensor<2x3x4x8xf32>
  %b = dsc.reshape %a : (tensor<2x3x4x8xf32>) -> tensor<2x3x4x2x4xf32>
  %c = dsc.transpose %b {permutation = array<i64: 0, 2, 1, 3, 4>} : (tensor<2x3x4x2x4xf32>) -> tensor<2x4x3x2x4xf32>
  %y = dsc.reshape %c : (tensor<2x4x3x2x4xf32>) -> tensor<2x4x3x8xf32>
  return %y : tensor<2x4x3x8xf32>
}

// A transpose that moves dimensions of size 1 only is a reshape.
// CHECK-LABEL: @moves_ones
// CHECK-NEXT: %[[Y:.+]] = dsc.reshape %arg0
// CHECK-NEXT: return %[[Y]]
func.func @moves_ones(%x: tensor<4x1x8xf32>) -> tensor<1x4x8xf32> {
  %y = dsc.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<4x1x8xf32>) -> tensor<1x4x8xf32>
  return %y : tensor<1x4x8xf32>
}

// CHECK-LABEL: @compose
// CHECK-NEXT: %[[T:.+]] = dsc.transpose %arg0 {permutation = array<i64: 1, 2, 0>}
// CHECK-NEXT: %[[S:.+]] = dsc.slice %[[T]] {sizes = array<i64: 3, 2, 2>, starts = array<i64: 0, 3, 0>, steps = array<i64: 1, -2, 1>}
// CHECK-NEXT: return %[[S]]
func.func @compose(%x: tensor<2x3x4xf32>) -> tensor<3x2x2xf32> {
  %a = dsc.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3x2x4xf32>
  %b = dsc.transpose %a {permutation = array<i64: 0, 2, 1>} : (tensor<3x2x4xf32>) -> tensor<3x4x2xf32>
  %c = dsc.slice %b {starts = array<i64: 0, 1, 0>, sizes = array<i64: 3, 3, 2>, steps = array<i64: 1, 1, 1>} : (tensor<3x4x2xf32>) -> tensor<3x3x2xf32>
  %d = dsc.slice %c {starts = array<i64: 0, 2, 0>, sizes = array<i64: 3, 2, 2>, steps = array<i64: 1, -2, 1>} : (tensor<3x3x2xf32>) -> tensor<3x2x2xf32>
  return %d : tensor<3x2x2xf32>
}

// CHECK-LABEL: @neutral
// CHECK-NEXT: return %arg0
func.func @neutral(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %one = dsc.constant dense<1.0> : tensor<f32>
  %zero = dsc.constant dense<0.0> : tensor<8xf32>
  %a = dsc.mul %one, %x : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %b = dsc.div %a, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %c = dsc.add %b, %zero : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %d = dsc.sub %c, %zero : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %e = dsc.slice %d {starts = array<i64: 0, 0>, sizes = array<i64: 4, 8>, steps = array<i64: 1, 1>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %f = dsc.concat %e {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %f : tensor<4x8xf32>
}

// Where the other operand gives the shape, or the order matters, nothing goes.
// CHECK-LABEL: @not_neutral
// CHECK: dsc.mul
// CHECK: dsc.sub
// CHECK: dsc.slice
func.func @not_neutral(%x: tensor<8xf32>) -> tensor<4x8xf32> {
  %ones = dsc.constant dense<1.0> : tensor<4x8xf32>
  %zero = dsc.constant dense<0.0> : tensor<f32>
  %a = dsc.mul %x, %ones : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %b = dsc.sub %zero, %a : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %c = dsc.slice %b {starts = array<i64: 3, 0>, sizes = array<i64: 4, 8>, steps = array<i64: -1, 1>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %c : tensor<4x8xf32>
}
