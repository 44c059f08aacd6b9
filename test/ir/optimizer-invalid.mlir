// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Rule adam_2: the copy is narrower than the parameter.
func.func @adam_2(%p: tensor<8xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // expected-error@+1 {{copy is 'tensor<8xf32>', parameter is 'tensor<8xf32>'}}
  %0:4 = dsc.adam %p, %p, %p, %p, %s, %s, %s, %s, %s, %s, %s, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

// Rule sgd_2: and has its shape.
func.func @sgd_2(%p: tensor<8xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // expected-error@+1 {{copy is 'tensor<4xbf16>', parameter is 'tensor<8xf32>'}}
  %0:3 = dsc.sgd %p, %p, %p, %s, %s, %s, %s, %s, %s, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>, tensor<4xbf16>)
  return
}
