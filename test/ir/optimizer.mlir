// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// 1025 elements are two chunks.
// CHECK-LABEL: func.func @chunk_squares
func.func @chunk_squares(%x: tensor<1025xf32>) {
  // CHECK: dsc.chunk_squares %{{.+}} : (tensor<1025xf32>) -> tensor<2xf32>
  %y = dsc.chunk_squares %x : (tensor<1025xf32>) -> tensor<2xf32>
  return
}

// Half types are summed in f32.
// CHECK-LABEL: func.func @chunk_squares_of_half
func.func @chunk_squares_of_half(%x: tensor<3x400xbf16>) {
  // CHECK: dsc.chunk_squares %{{.+}} : (tensor<3x400xbf16>) -> tensor<2xf32>
  %y = dsc.chunk_squares %x : (tensor<3x400xbf16>) -> tensor<2xf32>
  return
}

// The gradient may be of a narrower type.
// CHECK-LABEL: func.func @adam
func.func @adam(%p: tensor<8xf32>, %g: tensor<8xf16>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.adam %{{.+}} {decoupled = false}
  %p1, %m1, %v1 = dsc.adam %p, %g, %p, %p, %s, %s, %s, %s, %s, %s, %s, %ok {decoupled = false}
      : (tensor<8xf32>, tensor<8xf16>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// CHECK-LABEL: func.func @sgd
func.func @sgd(%p: tensor<8xf64>, %g: tensor<8xf64>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.sgd %{{.+}} {nesterov = true}
  %p1, %b1 = dsc.sgd %p, %g, %p, %s, %s, %s, %s, %s, %s, %ok {nesterov = true}
      : (tensor<8xf64>, tensor<8xf64>, tensor<8xf64>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf64>, tensor<8xf64>)
  return
}
