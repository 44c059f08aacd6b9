// RUN: dsc-opt %s --pass-pipeline='builtin.module(func.func(dsc-fuse-epilogues))' | FileCheck %s

// A bias behind a matrix product is its operand, through a reshape that keeps the last dimension.
// CHECK-LABEL: func.func @bias
// CHECK: %[[P:.+]] = dsc.matmul %arg0, %arg1 bias %arg2
// CHECK: %[[Y:.+]] = dsc.reshape %[[P]]
// CHECK-NOT: dsc.add
// CHECK: return %[[Y]]
func.func @bias(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>, %b: tensor<16xf32>) -> tensor<2x4x16xf32> {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %r = dsc.reshape %p : (tensor<8x16xf32>) -> tensor<2x4x16xf32>
  %y = dsc.add %b, %r : (tensor<16xf32>, tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return %y : tensor<2x4x16xf32>
}

// A product that others read too keeps its value.
// CHECK-LABEL: func.func @two_readers
// CHECK: dsc.matmul
// CHECK-NOT: bias
// CHECK: dsc.add
func.func @two_readers(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>, %b: tensor<16xf32>) -> (tensor<8x16xf32>, tensor<8x16xf32>) {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %y = dsc.add %p, %b : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  return %p, %y : tensor<8x16xf32>, tensor<8x16xf32>
}

// What is added is no bias: it varies along rows.
// CHECK-LABEL: func.func @no_bias
// CHECK: dsc.matmul
// CHECK-NOT: bias
// CHECK: dsc.add
func.func @no_bias(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>, %b: tensor<8x1xf32>) -> tensor<8x16xf32> {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %y = dsc.add %p, %b : (tensor<8x16xf32>, tensor<8x1xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// A convolution takes a bias along its channels.
// CHECK-LABEL: func.func @conv
// CHECK: %[[VECTOR:.+]] = dsc.reshape %arg2 : (tensor<4x1x1xf32>) -> tensor<4xf32>
// CHECK: dsc.conv %arg0, %arg1, %[[VECTOR]]
// CHECK-NOT: dsc.add
func.func @conv(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x1x1xf32>, %b: tensor<4x1x1xf32>) -> tensor<2x4x8x8xf32> {
  %p = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x3x8x8xf32>, tensor<4x3x1x1xf32>) -> tensor<2x4x8x8xf32>
  %y = dsc.add %p, %b : (tensor<2x4x8x8xf32>, tensor<4x1x1xf32>) -> tensor<2x4x8x8xf32>
  return %y : tensor<2x4x8x8xf32>
}

// A ReLU behind a product and its bias is the product's activation, through a reshape.
// CHECK-LABEL: func.func @relu
// CHECK: %[[P:.+]] = dsc.matmul %arg0, %arg1 bias %arg2 {activation = #dsc.epilogue<relu>
// CHECK: %[[Y:.+]] = dsc.reshape %[[P]]
// CHECK-NOT: dsc.relu
// CHECK: return %[[Y]]
func.func @relu(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>, %b: tensor<16xf32>) -> tensor<2x4x16xf32> {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %q = dsc.add %p, %b : (tensor<8x16xf32>, tensor<16xf32>) -> tensor<8x16xf32>
  %r = dsc.reshape %q : (tensor<8x16xf32>) -> tensor<2x4x16xf32>
  %y = dsc.relu %r : (tensor<2x4x16xf32>) -> tensor<2x4x16xf32>
  return %y : tensor<2x4x16xf32>
}

// A pre-activation that the backward pass reads too is stored as it is; a GELU is no epilogue.
// CHECK-LABEL: func.func @no_activation
// CHECK-NOT: activation
// CHECK: dsc.relu
// CHECK: dsc.gelu
func.func @no_activation(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>, %v: tensor<4x16xf32>) -> (tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>) {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %y = dsc.relu %p : (tensor<8x16xf32>) -> tensor<8x16xf32>
  %q = dsc.matmul %x, %v : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %z = dsc.gelu %q {kind = #dsc.gelu_kind<tanh>} : (tensor<8x16xf32>) -> tensor<8x16xf32>
  return %p, %y, %z : tensor<8x16xf32>, tensor<8x16xf32>, tensor<8x16xf32>
}
