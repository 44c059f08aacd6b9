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

func.func @sgd_4(%p: tensor<8xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>, %t: tensor<f32>, %lr: tensor<8xf32>, %momentum: tensor<f32>, %dampening: tensor<f32>, %wd: tensor<f32>, %scale: tensor<f32>, %ok: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
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

// -----

func.func @lion_1(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<9xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<i1>) {
  // expected-error @below {{state is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %r:2 = dsc.lion %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8 : (tensor<8xf32>, tensor<8xf32>, tensor<9xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lion_2(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<i1>) {
  // expected-error @below {{copy is 'tensor<8xf32>', parameter is 'tensor<8xf32>'}}
  %r:3 = dsc.lion %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lion_3(%a0: tensor<8xf32>, %a1: tensor<4x2xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<4x2xf32>', parameter is 'tensor<8xf32>'}}
  %r:2 = dsc.lion %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8 : (tensor<8xf32>, tensor<4x2xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lion_4(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<8xf32>, %a8: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %r:2 = dsc.lion %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<8xf32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lion_5(%a0: tensor<8xbf16>, %a1: tensor<8xf32>, %a2: tensor<8xbf16>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xbf16>', expected f32 or f64}}
  %r:2 = dsc.lion %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8 : (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xbf16>, tensor<8xbf16>)
  return
}

// -----

func.func @adagrad_1(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<9xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{state is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %r:2 = dsc.adagrad %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<8xf32>, tensor<9xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adagrad_2(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{copy is 'tensor<8xf32>', parameter is 'tensor<8xf32>'}}
  %r:3 = dsc.adagrad %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adagrad_3(%a0: tensor<8xf32>, %a1: tensor<4x2xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<4x2xf32>', parameter is 'tensor<8xf32>'}}
  %r:2 = dsc.adagrad %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<4x2xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adagrad_4(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<8xf32>, %a9: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %r:2 = dsc.adagrad %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<8xf32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @adagrad_5(%a0: tensor<8xbf16>, %a1: tensor<8xf32>, %a2: tensor<8xbf16>, %a3: tensor<f32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xbf16>', expected f32 or f64}}
  %r:2 = dsc.adagrad %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xbf16>, tensor<8xbf16>)
  return
}

// -----

func.func @lamb_1(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<9xf32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{state is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %r:3 = dsc.lamb %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<9xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lamb_2(%a0: tensor<8xf32>, %a1: tensor<4x2xf32>, %a2: tensor<8xf32>, %a3: tensor<8xf32>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<4x2xf32>', parameter is 'tensor<8xf32>'}}
  %r:3 = dsc.lamb %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<4x2xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lamb_3(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<8xf32>, %a4: tensor<8xf32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %r:3 = dsc.lamb %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lamb_4(%a0: tensor<8xbf16>, %a1: tensor<8xf32>, %a2: tensor<8xbf16>, %a3: tensor<8xbf16>, %a4: tensor<f32>, %a5: tensor<f32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xbf16>', expected f32 or f64}}
  %r:3 = dsc.lamb %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9 : (tensor<8xbf16>, tensor<8xf32>, tensor<8xbf16>, tensor<8xbf16>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<8xbf16>, tensor<8xbf16>, tensor<8xbf16>)
  return
}

// -----

func.func @lamb_step_1(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<f32>, %a3: tensor<i1>) {
  // expected-error @below {{result is 'tensor<9xf32>', parameter is 'tensor<8xf32>'}}
  %r = dsc.lamb_step %a0, %a1, %a2, %a3 : (tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<i1>) -> tensor<9xf32>
  return
}

// -----

func.func @lamb_step_2(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<f32>, %a3: tensor<i1>) {
  // expected-error @below {{copy is 'tensor<8xf32>', parameter is 'tensor<8xf32>'}}
  %r:2 = dsc.lamb_step %a0, %a1, %a2, %a3 : (tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<i1>) -> (tensor<8xf32>, tensor<8xf32>)
  return
}

// -----

func.func @lamb_step_3(%a0: tensor<8xf32>, %a1: tensor<4x2xf32>, %a2: tensor<f32>, %a3: tensor<i1>) {
  // expected-error @below {{gradient is 'tensor<4x2xf32>', parameter is 'tensor<8xf32>'}}
  %r = dsc.lamb_step %a0, %a1, %a2, %a3 : (tensor<8xf32>, tensor<4x2xf32>, tensor<f32>, tensor<i1>) -> tensor<8xf32>
  return
}

// -----

func.func @lamb_step_4(%a0: tensor<8xf32>, %a1: tensor<8xf32>, %a2: tensor<8xf32>, %a3: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<8xf32>'}}
  %r = dsc.lamb_step %a0, %a1, %a2, %a3 : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<i1>) -> tensor<8xf32>
  return
}

// -----

func.func @lamb_step_5(%a0: tensor<8xbf16>, %a1: tensor<8xf32>, %a2: tensor<f32>, %a3: tensor<i1>) {
  // expected-error @below {{updates 'tensor<8xbf16>', expected f32 or f64}}
  %r = dsc.lamb_step %a0, %a1, %a2, %a3 : (tensor<8xbf16>, tensor<8xf32>, tensor<f32>, tensor<i1>) -> tensor<8xbf16>
  return
}

// -----

func.func @adam_4_rows(%a0: tensor<3x1024xf32>, %a1: tensor<3x1024xf32>, %a2: tensor<3x1024xf32>, %a3: tensor<3x1024xf32>, %a4: tensor<f32>, %a5: tensor<2x1xf32>, %a6: tensor<f32>, %a7: tensor<f32>, %a8: tensor<f32>, %a9: tensor<f32>, %a10: tensor<f32>, %a11: tensor<i1>) {
  // expected-error @below {{takes scalars, not 'tensor<2x1xf32>'}}
  %r:3 = dsc.adam %a0, %a1, %a2, %a3, %a4, %a5, %a6, %a7, %a8, %a9, %a10, %a11 {decoupled = true} : (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<f32>, tensor<2x1xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<3x1024xf32>, tensor<3x1024xf32>, tensor<3x1024xf32>)
  return
}
