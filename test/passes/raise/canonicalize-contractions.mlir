// RUN: dsc-opt %s --dsc-canonicalize-contractions | FileCheck %s

// The transposed weight of a Linear becomes a flag; a second transpose takes it back.
// CHECK-LABEL: @transposes_to_flags
// CHECK-NEXT: %[[A:.+]] = dsc.matmul %arg0, %arg1 {transpose_b = true}
// CHECK-NEXT: %[[B:.+]] = dsc.matmul %[[A]], %arg1 :
// CHECK-NEXT: %[[C:.+]] = dsc.matmul %[[B]], %arg2 {transpose_a = true}
// CHECK-NEXT: return %[[C]]
func.func @transposes_to_flags(%x: tensor<2x3x8xf32>, %w: tensor<4x8xf32>, %z: tensor<2x3x5xf32>) -> tensor<2x8x5xf32> {
  %t = dsc.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %a = dsc.matmul %x, %t : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
  %b = dsc.matmul %a, %t {transpose_b = true} : (tensor<2x3x4xf32>, tensor<8x4xf32>) -> tensor<2x3x8xf32>
  %bt = dsc.transpose %b {permutation = array<i64: 0, 2, 1>} : (tensor<2x3x8xf32>) -> tensor<2x8x3xf32>
  %c = dsc.matmul %bt, %z : (tensor<2x8x3xf32>, tensor<2x3x5xf32>) -> tensor<2x8x5xf32>
  return %c : tensor<2x8x5xf32>
}

// A transpose of other dimensions is none of the product's business.
// CHECK-LABEL: @other_transpose_stays
// CHECK: dsc.transpose
// CHECK: dsc.matmul {{.*}} : (tensor<2x3x4x8xf32>, tensor<8x4xf32>)
func.func @other_transpose_stays(%x: tensor<2x4x3x8xf32>, %w: tensor<8x4xf32>) -> tensor<2x3x4x4xf32> {
  %t = dsc.transpose %x {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x3x8xf32>) -> tensor<2x3x4x8xf32>
  %a = dsc.matmul %t, %w : (tensor<2x3x4x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4x4xf32>
  return %a : tensor<2x3x4x4xf32>
}

// GPT-2's Conv1D: Reshape, Gemm with bias, Reshape.
// CHECK-LABEL: @conv1d
// CHECK-NEXT: %[[M:.+]] = dsc.matmul %arg0, %arg1 : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT: %[[Y:.+]] = dsc.add %[[M]], %arg2 : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT: return %[[Y]]
func.func @conv1d(%x: tensor<2x3x8xf32>, %w: tensor<8x4xf32>, %b: tensor<4xf32>) -> tensor<2x3x4xf32> {
  %f = dsc.reshape %x : (tensor<2x3x8xf32>) -> tensor<6x8xf32>
  %m = dsc.matmul %f, %w : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x4xf32>
  %s = dsc.add %m, %b : (tensor<6x4xf32>, tensor<4xf32>) -> tensor<6x4xf32>
  %y = dsc.reshape %s : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  return %y : tensor<2x3x4xf32>
}

// A flattening that changes the last dimension is a real one (a classifier after a convolution).
// CHECK-LABEL: @flatten_stays
// CHECK: dsc.reshape
// CHECK: dsc.matmul {{.*}} : (tensor<2x24xf32>, tensor<24x4xf32>)
func.func @flatten_stays(%x: tensor<2x3x8xf32>, %w: tensor<24x4xf32>) -> tensor<2x4xf32> {
  %f = dsc.reshape %x : (tensor<2x3x8xf32>) -> tensor<2x24xf32>
  %m = dsc.matmul %f, %w : (tensor<2x24xf32>, tensor<24x4xf32>) -> tensor<2x4xf32>
  return %m : tensor<2x4xf32>
}

// nn.MultiheadAttention projects [length, batch, width]: the rows' order moves behind the product and its bias, to the
// changes of layout that cut the product up.
// CHECK-LABEL: @rows_in_another_order
// CHECK-NEXT: %[[M:.+]] = dsc.matmul %arg0, %arg1 {transpose_b = true} : (tensor<2x5x8xf32>, tensor<24x8xf32>) -> tensor<2x5x24xf32>
// CHECK-NEXT: %[[S:.+]] = dsc.add %[[M]], %arg2
// CHECK-NEXT: %[[T:.+]] = dsc.transpose %[[S]] {permutation = array<i64: 1, 0, 2>} : (tensor<2x5x24xf32>) -> tensor<5x2x24xf32>
// CHECK-NEXT: %[[R:.+]] = dsc.reshape %[[T]] : (tensor<5x2x24xf32>) -> tensor<5x2x3x8xf32>
// CHECK-NEXT: return %[[R]]
func.func @rows_in_another_order(%x: tensor<2x5x8xf32>, %w: tensor<24x8xf32>, %b: tensor<24xf32>) -> tensor<5x2x3x8xf32> {
  %t = dsc.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<2x5x8xf32>) -> tensor<5x2x8xf32>
  %m = dsc.matmul %t, %w {transpose_b = true} : (tensor<5x2x8xf32>, tensor<24x8xf32>) -> tensor<5x2x24xf32>
  %s = dsc.add %m, %b : (tensor<5x2x24xf32>, tensor<24xf32>) -> tensor<5x2x24xf32>
  %r = dsc.reshape %s : (tensor<5x2x24xf32>) -> tensor<5x2x3x8xf32>
  return %r : tensor<5x2x3x8xf32>
}

// A product that is read as it is keeps its input's transpose: the product may be the wider one.
// CHECK-LABEL: @rows_read_in_order
// CHECK-NEXT: dsc.transpose %arg0
// CHECK-NEXT: dsc.matmul
func.func @rows_read_in_order(%x: tensor<2x5x8xf32>, %w: tensor<24x8xf32>) -> tensor<5x2x24xf32> {
  %t = dsc.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<2x5x8xf32>) -> tensor<5x2x8xf32>
  %m = dsc.matmul %t, %w {transpose_b = true} : (tensor<5x2x8xf32>, tensor<24x8xf32>) -> tensor<5x2x24xf32>
  return %m : tensor<5x2x24xf32>
}
