// RUN: dsc-opt %s --dsc-build-entries | FileCheck %s

// With loss "none" only @eval is made: the model's inputs and outputs, no labels, no sample weight, no update, and inputs need
// not share a first dimension.
// CHECK-NOT: func.func @last
// CHECK: func.func @eval(%[[X:.+]]: tensor<2x3xf32> {dsc.name = "x", dsc.role = "input"}, %[[S:.+]]: tensor<f32> {dsc.name = "s", dsc.role = "input"})
// CHECK-SAME: -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<f32> {dsc.name = "z"})
// CHECK: %[[Y:.+]] = dsc.exp %[[X]]
// CHECK: return %[[Y]], %[[S]]
// CHECK-NOT: func.func @forward
// CHECK-NOT: func.func @inference
module attributes {dsc.options = {loss = "none"}} {
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}, %s: tensor<f32> {dsc.name = "s"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<f32> {dsc.name = "z"}) {
    return %x, %s : tensor<2x3xf32>, tensor<f32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}, %s: tensor<f32> {dsc.name = "s"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<f32> {dsc.name = "z"}) {
    %y = dsc.exp %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %y, %s : tensor<2x3xf32>, tensor<f32>
  }
}
