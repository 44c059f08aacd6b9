// RUN: dsc-opt %s --dsc-outline-constants | FileCheck %s

// Equal constants that kernels cannot make are one global.
// CHECK: dsc.global @[[INDICES:constant.*]] : tensor<2xi64> {role = #dsc.role<constant>, value = dense<[0, 2]>
// CHECK-LABEL: func.func @indices
// CHECK: %[[FIRST:.+]] = dsc.get_global @[[INDICES]]
// CHECK: %[[SECOND:.+]] = dsc.get_global @[[INDICES]]
// CHECK: dsc.gather %arg0, %[[FIRST]]
// CHECK: dsc.gather %{{.+}}, %[[SECOND]]
func.func @indices(%x: tensor<4xf32>) -> tensor<2xf32> {
  %c = dsc.constant dense<[0, 2]> : tensor<2xi64>
  %d = dsc.constant dense<[0, 2]> : tensor<2xi64>
  %y = dsc.gather %x, %c {axis = 0 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
  %w = dsc.broadcast %y : (tensor<2xf32>) -> tensor<4x2xf32>
  %z = dsc.gather %w, %d {axis = 0 : i64} : (tensor<4x2xf32>, tensor<2xi64>) -> tensor<2x2xf32>
  return %y : tensor<2xf32>
}

// Splats stay where kernels make them; a large one that a library call reads is filled in.
// CHECK-LABEL: func.func @splats
// CHECK: %[[ONE:.+]] = dsc.constant dense<1.000000e+00> : tensor<f32>
// CHECK: %[[FILLED:.+]] = dsc.broadcast %{{.+}} : (tensor<f32>) -> tensor<64x64xf32>
// CHECK: dsc.add %arg0, %[[ONE]]
// CHECK: dsc.matmul %arg0, %[[FILLED]]
func.func @splats(%x: tensor<64x64xf32>) -> (tensor<64x64xf32>, tensor<64x64xf32>) {
  %one = dsc.constant dense<1.0> : tensor<f32>
  %ones = dsc.constant dense<1.0> : tensor<64x64xf32>
  %a = dsc.add %x, %one : (tensor<64x64xf32>, tensor<f32>) -> tensor<64x64xf32>
  %p = dsc.matmul %x, %ones : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  return %a, %p : tensor<64x64xf32>, tensor<64x64xf32>
}
