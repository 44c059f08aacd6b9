// RUN: dsc-opt %s --dsc-outline-constants --canonicalize | FileCheck %s

// A large splat that a library call reads is filled in at run time from a scalar global, and stays so when constants are folded.
// CHECK: dsc.global @[[SCALAR:.+]] : tensor<f32> {{.*}}value = dense<2.500000e-01>
// CHECK-LABEL: func.func @eval
// CHECK: %[[S:.+]] = dsc.get_global @[[SCALAR]]
// CHECK: %[[FULL:.+]] = dsc.broadcast %[[S]]
// CHECK: dsc.matmul %[[FULL]]
func.func @eval(%x: tensor<64x8xf32> {dsc.name = "x"}) -> (tensor<64x8xf32> {dsc.name = "y"}) {
  %c = dsc.constant dense<0.25> : tensor<64x64xf32>
  %y = dsc.matmul %c, %x : (tensor<64x64xf32>, tensor<64x8xf32>) -> tensor<64x8xf32>
  return %y : tensor<64x8xf32>
}
