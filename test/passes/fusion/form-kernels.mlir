// RUN: dsc-opt %s --pass-pipeline='builtin.module(func.func(dsc-form-kernels))' | FileCheck %s

// A chain of elementwise ops is one kernel; dimensions that nothing distinguishes are one.
// CHECK-LABEL: func.func @chain
// CHECK: %[[X:.+]] = dsc.reshape %arg0 : (tensor<2x4x8xf32>) -> tensor<8x8xf32>
// CHECK: %[[BIAS:.+]] = dsc.reshape %arg1 : (tensor<8xf32>) -> tensor<1x8xf32>
// CHECK: %[[Y:.+]] = dsc.kernel(%[[X]], %[[BIAS]]) attributes {domain = array<i64: 8, 8>, kind = #dsc.kernel_kind<elementwise>
// CHECK: dsc.add
// CHECK-NEXT: dsc.tanh
// CHECK-NEXT: dsc.yield
// CHECK: dsc.reshape %[[Y]] : (tensor<8x8xf32>) -> tensor<2x4x8xf32>
func.func @chain(%x: tensor<2x4x8xf32>, %bias: tensor<8xf32>) -> tensor<2x4x8xf32> {
  %a = dsc.add %x, %bias : (tensor<2x4x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
  %y = dsc.tanh %a : (tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
  return %y : tensor<2x4x8xf32>
}

// Kernels look through a reshape, and keep the dimension that a position table needs.
// CHECK-LABEL: func.func @through_reshape
// CHECK: dsc.kernel(%{{.+}}, %{{.+}}) attributes {domain = array<i64: 2, 32>, kind = #dsc.kernel_kind<elementwise>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @through_reshape(%x: tensor<2x4x8xf32>, %pos: tensor<4x8xf32>) -> tensor<8x8xf32> {
  %a = dsc.add %x, %pos : (tensor<2x4x8xf32>, tensor<4x8xf32>) -> tensor<2x4x8xf32>
  %r = dsc.reshape %a : (tensor<2x4x8xf32>) -> tensor<8x8xf32>
  %y = dsc.exp %r : (tensor<8x8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// Softmax is one row kernel; the value of each row is computed once.
// CHECK-LABEL: func.func @row
// CHECK: dsc.kernel(%arg0) attributes {domain = array<i64: 4, 8>, kind = #dsc.kernel_kind<row>, row_rank = 1 : i64}
// CHECK: dsc.reduce %{{.+}} {axes = array<i64: 1>, kind = #dsc.reduce_kind<max>}
// CHECK: dsc.reduce %{{.+}} {axes = array<i64: 1>, kind = #dsc.reduce_kind<sum>}
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @row(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %m = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %d = dsc.sub %x, %m : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %e = dsc.exp %d : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %y = dsc.div %e, %s : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// A bias gradient joins the op that makes the gradient.
// CHECK-LABEL: func.func @column
// CHECK: dsc.kernel(%arg0, %arg1) attributes {domain = array<i64: 64, 8>, kind = #dsc.kernel_kind<column>, row_rank = 1 : i64, scratch = 64 : i64}
// CHECK: dsc.mul
// CHECK: dsc.reduce %{{.+}} {axes = array<i64: 0>
// CHECK: dsc.yield %{{.+}}, %{{.+}} : tensor<64x8xf32>, tensor<1x8xf32>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @column(%dy: tensor<64x8xf32>, %y: tensor<64x8xf32>) -> (tensor<64x8xf32>, tensor<8xf32>) {
  %dx = dsc.mul %dy, %y : (tensor<64x8xf32>, tensor<64x8xf32>) -> tensor<64x8xf32>
  %s = dsc.reduce %dx {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x8xf32>) -> tensor<1x8xf32>
  %db = dsc.reshape %s : (tensor<1x8xf32>) -> tensor<8xf32>
  return %dx, %db : tensor<64x8xf32>, tensor<8xf32>
}

// A matrix product between two ops keeps them apart: the kernel of both would need its own result.
// CHECK-LABEL: func.func @cycle
// CHECK: dsc.kernel(%{{.+}})
// CHECK: dsc.matmul
// CHECK: dsc.kernel(%{{.+}}, %{{.+}}) attributes {{.*}}refused = ["dsc.tanh: an op between them needs the one and feeds the other"]
func.func @cycle(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %a = dsc.tanh %x : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = dsc.matmul %a, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = dsc.add %a, %p : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// What moves data in an order of its own is a kernel of plain loops; contiguous slices and reshapes are views.
// CHECK-LABEL: func.func @loops
// CHECK: dsc.kernel(%arg0) attributes {domain = array<i64: 8, 4>, kind = #dsc.kernel_kind<loops>
// CHECK-NEXT: ^bb0
// CHECK-NEXT: dsc.transpose
// CHECK-NEXT: dsc.yield
// CHECK: dsc.slice {{.*}} tensor<2x4xf32>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @loops(%x: tensor<4x8xf32>) -> tensor<2x4xf32> {
  %t = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %s = dsc.slice %t {starts = array<i64: 2, 0>, sizes = array<i64: 2, 4>, steps = array<i64: 1, 1>} : (tensor<8x4xf32>) -> tensor<2x4xf32>
  return %s : tensor<2x4xf32>
}

// A scalar is a space of one point.
// CHECK-LABEL: func.func @scalar
// CHECK: dsc.kernel(%arg0) attributes {domain = array<i64>, kind = #dsc.kernel_kind<elementwise>, row_rank = 0 : i64}
// CHECK: dsc.add %{{.+}}, %{{.+}} : (tensor<f32>, tensor<f32>) -> tensor<f32>
func.func @scalar(%x: tensor<f32>) -> tensor<f32> {
  %c = dsc.constant dense<1.0> : tensor<f32>
  %y = dsc.add %x, %c : (tensor<f32>, tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}

// A kernel says why the maker of its operand is another one.
// CHECK-LABEL: func.func @refused
// CHECK: kind = #dsc.kernel_kind<loops>
// CHECK: refused = ["dsc.transpose: 'dsc.transpose' reads or writes in an order of its own"]
func.func @refused(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %t = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %y = dsc.exp %t : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// A GELU behind a product says why it is no epilogue of it.
// CHECK-LABEL: func.func @gelu
// CHECK: refused = ["dsc.matmul: a generated kernel is cheaper, and the backward pass computes it in one, too"]
func.func @gelu(%x: tensor<8x4xf32>, %w: tensor<4x16xf32>) -> tensor<8x16xf32> {
  %p = dsc.matmul %x, %w : (tensor<8x4xf32>, tensor<4x16xf32>) -> tensor<8x16xf32>
  %y = dsc.gelu %p {kind = #dsc.gelu_kind<tanh>} : (tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// Reductions over rows of different lengths are two kernels.
// CHECK-LABEL: func.func @two_splits
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 6, 4>, kind = #dsc.kernel_kind<row>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 2, 12>, kind = #dsc.kernel_kind<row>, refused = ["dsc.sub: reductions split the space differently: 6 rows of 4 and 2 rows of 12"]
func.func @two_splits(%x: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x1x1xf32>) {
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<2x3x4xf32>) -> tensor<2x3x1xf32>
  %d = dsc.sub %x, %s : (tensor<2x3x4xf32>, tensor<2x3x1xf32>) -> tensor<2x3x4xf32>
  %m = dsc.reduce %d {kind = #dsc.reduce_kind<max>, axes = array<i64: 1, 2>} : (tensor<2x3x4xf32>) -> tensor<2x1x1xf32>
  return %d, %m : tensor<2x3x4xf32>, tensor<2x1x1xf32>
}

// Scalar arithmetic runs once, not in the kernel of the elements that read it.
// CHECK-LABEL: func.func @scalar_once
// CHECK: domain = array<i64>
// CHECK: dsc.sqrt
// CHECK: domain = array<i64: 8>
// CHECK: dsc.mul
func.func @scalar_once(%x: tensor<8xf32>, %a: tensor<f32>) -> tensor<8xf32> {
  %r = dsc.sqrt %a : (tensor<f32>) -> tensor<f32>
  %y = dsc.mul %x, %r : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// Nothing crosses the end of the gradients: what follows may be left out.
// CHECK-LABEL: func.func @segments
// CHECK: dsc.exp
// CHECK: dsc.gradients
// CHECK: dsc.tanh
func.func @segments(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = dsc.exp %x : (tensor<8xf32>) -> tensor<8xf32>
  dsc.gradients %e {names = ["w"]} : tensor<8xf32>
  %y = dsc.tanh %e : (tensor<8xf32>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}
