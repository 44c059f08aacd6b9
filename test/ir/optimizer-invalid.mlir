// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsOptimizer.td.

func.func @adam_1(%p: tensor<8xf32>, %g: tensor<8xf32>, %m: tensor<9xf32>, %v: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<f32>, %b1: tensor<f32>, %b2: tensor<f32>, %eps: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{state is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<8xf32>, tensor<9xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adam_1_result(%p: tensor<8xf32>, %g: tensor<8xf32>, %m: tensor<8xf32>, %v: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<f32>, %b1: tensor<f32>, %b2: tensor<f32>, %eps: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{result is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<9xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adam_5(%p: tensor<8xf16>, %g: tensor<8xf32>, %m: tensor<8xf16>, %v: tensor<8xf16>, %t: tensor<f32>, %lr: tensor<f32>, %b1: tensor<f32>, %b2: tensor<f32>, %eps: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xf16>', expected f32 or f64}}
  %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
      : (tensor<8xf16>, tensor<8xf32>, tensor<8xf16>, tensor<8xf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf16>, tensor<8xf16>, tensor<8xf16>)
  return
}

// -----

func.func @adam_3(%p: tensor<8xf32>, %g: tensor<1x8xf32>, %m: tensor<8xf32>, %v: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<f32>, %b1: tensor<f32>, %b2: tensor<f32>, %eps: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<1x8xf32>', parameter is 'tensor<8xf32>'}}
  %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<1x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adam_4(%p: tensor<8xf32>, %g: tensor<8xf32>, %m: tensor<8xf32>, %v: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<f32>, %b1: tensor<f32>, %b2: tensor<f32>, %eps: tensor<f32>, %wd: tensor<8xf32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<8xf32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @sgd_1(%p: tensor<8xf32>, %g: tensor<8xf32>, %b: tensor<8xf64>, %t: tensor<f32>, %lr: tensor<f32>, %momentum: tensor<f32>, %dampening: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{state is 'tensor<8xf64>', parameter is 'tensor<8xf32>'}}
  %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf64>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @sgd_5(%p: tensor<8xbf16>, %g: tensor<8xf32>, %b: tensor<8xbf16>, %t: tensor<f32>, %lr: tensor<f32>, %momentum: tensor<f32>, %dampening: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xbf16>', expected f32 or f64}}
  %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
      : (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xbf16>, tensor<8xbf16>)
  return
}

// -----

func.func @sgd_3(%p: tensor<8xf32>, %g: tensor<4x2xf32>, %b: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<f32>, %momentum: tensor<f32>, %dampening: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<4x2xf32>', parameter is 'tensor<8xf32>'}}
  %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<4x2xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @sgd_4(%p: tensor<8xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<1xf32>, %momentum: tensor<f32>, %dampening: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<1xf32>'}}
  %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<1xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

// The copy is narrower than the parameter.
func.func @adam_2(%p: tensor<8xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // expected-error@+1 {{copy is 'tensor<8xf32>', parameter is 'tensor<8xf32>'}}
  %0:4 = dsc.adam %p, %p, %p, %p, %s, %s, %s, %s, %s, %s, %s, %ok {decoupled = true}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

// And has its shape.
func.func @sgd_2(%p: tensor<8xf32>, %s: tensor<f32>, %ok: tensor<i1>) {
  // expected-error@+1 {{copy is 'tensor<4xbf16>', parameter is 'tensor<8xf32>'}}
  %0:3 = dsc.sgd %p, %p, %p, %s, %s, %s, %s, %s, %s, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>, tensor<4xbf16>)
  return
}
