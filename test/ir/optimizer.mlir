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

// In a bucket what depends on a parameter's group has one number a chunk.
// CHECK-LABEL: func.func @adam_rows
func.func @adam_rows(%p: tensor<3x1024xf32>, %n: tensor<3x1xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.adam %{{.+}} {decoupled = true}
  %r:3 = dsc.adam %p, %p, %p, %p, %s, %n, %s, %s, %s, %n, %s, %ok {decoupled = true}
      : (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<f32>, tensor<3x1xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<3x1xf32>, tensor<f32>, tensor<i1>)
      -> (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>)
  return
}

// With a copy in half.
// CHECK-LABEL: func.func @lion
func.func @lion(%p: tensor<8xf32>, %g: tensor<8xbf16>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.lion %{{.+}} -> (tensor<8xf32>, tensor<8xf32>, tensor<8xbf16>)
  %r:3 = dsc.lion %p, %g, %p, %s, %s, %s, %s, %s, %ok
      : (tensor<8xf32>, tensor<8xbf16>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xbf16>)
  return
}

// CHECK-LABEL: func.func @adagrad
func.func @adagrad(%p: tensor<8xf64>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.adagrad %{{.+}} -> (tensor<8xf64>, tensor<8xf64>)
  %r:2 = dsc.adagrad %p, %p, %p, %s, %s, %s, %s, %s, %s, %ok
      : (tensor<8xf64>, tensor<8xf64>, tensor<8xf64>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf64>, tensor<8xf64>)
  return
}

// CHECK-LABEL: func.func @lamb
func.func @lamb(%p: tensor<3x1024xf32>, %n: tensor<3x1xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // CHECK: dsc.lamb %
  %u:3 = dsc.lamb %p, %p, %p, %p, %s, %s, %s, %n, %s, %ok
      : (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<3x1xf32>, tensor<f32>, tensor<i1>)
      -> (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>)
  // CHECK: dsc.lamb_step %{{.+}} -> (tensor<3x1024xf32>, tensor<3x1024xf16>)
  %r:2 = dsc.lamb_step %p, %u#0, %n, %ok : (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1xf32>, tensor<i1>) -> (tensor<3x1024xf32>, tensor<3x1024xf16>)
  return
}
