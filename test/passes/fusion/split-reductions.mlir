// RUN: dsc-opt %s --pass-pipeline='builtin.module(func.func(dsc-split-reductions))' | FileCheck %s

// Leading and trailing dimensions at once take two reductions.
// CHECK-LABEL: func.func @channels
// CHECK: %[[PLANES:.+]] = dsc.reduce %arg0 {axes = array<i64: 2, 3>, {{.*}}} : (tensor<4x3x8x8xf32>) -> tensor<4x3x1x1xf32>
// CHECK: dsc.reduce %[[PLANES]] {axes = array<i64: 0>, {{.*}}} : (tensor<4x3x1x1xf32>) -> tensor<1x3x1x1xf32>
func.func @channels(%x: tensor<4x3x8x8xf32>) -> tensor<1x3x1x1xf32> {
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 2, 3>} : (tensor<4x3x8x8xf32>) -> tensor<1x3x1x1xf32>
  return %s : tensor<1x3x1x1xf32>
}

// A large reduction over everything goes over rows first.
// CHECK-LABEL: func.func @everything
// CHECK: %[[ROWS:.+]] = dsc.reduce %arg0 {axes = array<i64: 1, 2>, {{.*}}} : (tensor<64x32x64xf32>) -> tensor<64x1x1xf32>
// CHECK: dsc.reduce %[[ROWS]] {axes = array<i64: 0>, {{.*}}} : (tensor<64x1x1xf32>) -> tensor<1x1x1xf32>
func.func @everything(%x: tensor<64x32x64xf32>) -> tensor<1x1x1xf32> {
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1, 2>} : (tensor<64x32x64xf32>) -> tensor<1x1x1xf32>
  return %s : tensor<1x1x1xf32>
}

// Columns, rows, small ones and inner dimensions stay.
// CHECK-LABEL: func.func @stay
// CHECK-COUNT-4: dsc.reduce %arg
// CHECK-NOT: = dsc.reduce
func.func @stay(%x: tensor<4x3x8xf32>) -> (tensor<1x1x8xf32>, tensor<4x3x1xf32>, tensor<1x1x1xf32>, tensor<4x1x8xf32>) {
  %a = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<4x3x8xf32>) -> tensor<1x1x8xf32>
  %b = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<4x3x8xf32>) -> tensor<4x3x1xf32>
  %c = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1, 2>} : (tensor<4x3x8xf32>) -> tensor<1x1x1xf32>
  %d = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x3x8xf32>) -> tensor<4x1x8xf32>
  return %a, %b, %c, %d : tensor<1x1x8xf32>, tensor<4x3x1xf32>, tensor<1x1x1xf32>, tensor<4x1x8xf32>
}

// A reduction over a dimension of size 1 is its operand.
// CHECK-LABEL: func.func @nothing
// CHECK-NEXT: return %arg0
func.func @nothing(%x: tensor<4x1xf32>) -> tensor<4x1xf32> {
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x1xf32>) -> tensor<4x1xf32>
  return %s : tensor<4x1xf32>
}
