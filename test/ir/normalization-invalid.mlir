// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsNormalization.td.

func.func @softmax_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.softmax %x {axis = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @log_softmax_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.log_softmax %x {axis = 2 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @layer_norm_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{axis is -1, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %r = dsc.layer_norm %x {axis = -1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>)
  return
}

// -----

// A weight for each row is no weight of the normalized dimensions.
func.func @layer_norm_2(%x: tensor<4x8xf32>, %g: tensor<4x8xf32>) {
  // expected-error @below {{weight 'tensor<4x8xf32>' does not broadcast to the last 1 dimensions of 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %r = dsc.layer_norm %x gamma %g {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<4x8xf32>, tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>)
  return
}

// -----

func.func @layer_norm_2_beta(%x: tensor<4x8xf32>, %b: tensor<7xf32>) {
  // expected-error @below {{weight 'tensor<7xf32>' does not broadcast to the last 1 dimensions of 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %r = dsc.layer_norm %x beta %b {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<4x8xf32>, tensor<7xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>)
  return
}

// -----

func.func @layer_norm_grad_1(%x: tensor<4x8xf32>, %m: tensor<4x1xf32>, %r: tensor<4x1xf32>, %g: tensor<4x8xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.layer_norm_grad %x, %m, %r, %g {axis = 2 : i64}
      : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @layer_norm_grad_2(%x: tensor<4x8xf32>, %m: tensor<4xf32>, %r: tensor<4x1xf32>, %g: tensor<4x8xf32>) {
  // expected-error @below {{statistics are 'tensor<4xf32>', those of the rows of 'tensor<4x8xf32>' are 'tensor<4x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.layer_norm_grad %x, %m, %r, %g {axis = 1 : i64}
      : (tensor<4x8xf32>, tensor<4xf32>, tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @layer_norm_grad_3(%x: tensor<4x8xf32>, %m: tensor<4x1xf32>, %r: tensor<4x1xf32>, %g: tensor<8xf32>) {
  // expected-error @below {{g is 'tensor<8xf32>', x is 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.layer_norm_grad %x, %m, %r, %g {axis = 1 : i64}
      : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @rms_norm_1(%x: tensor<4x8xf32>, %g: tensor<8xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y, %r = dsc.rms_norm %x, %g {axis = 2 : i64, epsilon = 1.0e-6 : f64}
      : (tensor<4x8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>)
  return
}

// -----

func.func @rms_norm_2(%x: tensor<4x8xf32>, %g: tensor<4x1xf32>) {
  // expected-error @below {{weight 'tensor<4x1xf32>' does not broadcast to the last 1 dimensions of 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %r = dsc.rms_norm %x, %g {axis = 1 : i64, epsilon = 1.0e-6 : f64}
      : (tensor<4x8xf32>, tensor<4x1xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>)
  return
}

// -----

func.func @rms_norm_grad_1(%x: tensor<4x8xf32>, %r: tensor<4x1xf32>, %g: tensor<4x8xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.rms_norm_grad %x, %r, %g {axis = 2 : i64}
      : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @rms_norm_grad_2(%x: tensor<4x8xf32>, %r: tensor<4x1xf64>, %g: tensor<4x8xf32>) {
  // expected-error @below {{statistics are 'tensor<4x1xf64>', those of the rows of 'tensor<4x8xf32>' are 'tensor<4x1xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.rms_norm_grad %x, %r, %g {axis = 1 : i64}
      : (tensor<4x8xf32>, tensor<4x1xf64>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @rms_norm_grad_3(%x: tensor<4x8xf32>, %r: tensor<4x1xf32>, %g: tensor<8xf32>) {
  // expected-error @below {{g is 'tensor<8xf32>', x is 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.rms_norm_grad %x, %r, %g {axis = 1 : i64}
      : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @batch_norm_1(%x: tensor<4x3x8x8xf32>, %g: tensor<3xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{operand is 'tensor<8xf32>', image has 3 channels}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %v, %r = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64}
      : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<8xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @batch_norm_1_layout(%x: tensor<4x3x8x8xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>) {
  // expected-error @below {{operand is 'tensor<3xf32>', image has 8 channels}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %v, %r = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64, layout = #dsc.conv_layout<channels_last>}
      : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @batch_norm_2(%x: tensor<3xf32>, %g: tensor<3xf32>, %b: tensor<3xf32>) {
  // expected-error @below {{needs rank at least 2, not 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %m, %v, %r = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64}
      : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @batch_norm_grad_1(%x: tensor<4x3x8x8xf32>, %g: tensor<3xf32>, %m: tensor<4xf32>, %r: tensor<3xf32>, %dy: tensor<4x3x8x8xf32>) {
  // expected-error @below {{operand is 'tensor<4xf32>', image has 3 channels}}
  // expected-error @below {{failed to infer returned types}}
  %dx, %dg, %db = dsc.batch_norm_grad %x, %g, %m, %r, %dy
      : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<4xf32>, tensor<3xf32>, tensor<4x3x8x8xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @batch_norm_grad_2(%x: tensor<3xf32>, %g: tensor<3xf32>, %m: tensor<3xf32>, %r: tensor<3xf32>, %dy: tensor<3xf32>) {
  // expected-error @below {{needs rank at least 2, not 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx, %dg, %db = dsc.batch_norm_grad %x, %g, %m, %r, %dy
      : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @batch_norm_grad_3(%x: tensor<4x3x8x8xf32>, %g: tensor<3xf32>, %m: tensor<3xf32>, %r: tensor<3xf32>, %dy: tensor<4x3x8xf32>) {
  // expected-error @below {{dy is 'tensor<4x3x8xf32>', x is 'tensor<4x3x8x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx, %dg, %db = dsc.batch_norm_grad %x, %g, %m, %r, %dy
      : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4x3x8xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// -----

func.func @cross_entropy_1(%x: tensor<4x65xf32>, %l: tensor<5xi64>) {
  // expected-error @below {{logits are 'tensor<4x65xf32>', labels are 'tensor<5xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %loss, %lse = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<4x65xf32>, tensor<5xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @cross_entropy_2(%x: tensor<4x65xf32>, %l: tensor<4xi64>) {
  // expected-error @below {{label smoothing is 1.500000e+00, expected 0 to 1}}
  // expected-error @below {{failed to infer returned types}}
  %loss, %lse = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 1.5 : f64}
      : (tensor<4x65xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

// NaN is not between 0 and 1.
func.func @cross_entropy_2_nan(%x: tensor<4x65xf32>, %l: tensor<4xi64>) {
  // expected-error @below {{label smoothing is nan, expected 0 to 1}}
  // expected-error @below {{failed to infer returned types}}
  %loss, %lse = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 0x7FF8000000000000 : f64}
      : (tensor<4x65xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return
}

// -----

func.func @cross_entropy_grad_1(%x: tensor<4x65xf32>, %l: tensor<4x1xi64>, %lse: tensor<4xf32>, %d: tensor<4xf32>) {
  // expected-error @below {{logits are 'tensor<4x65xf32>', labels are 'tensor<4x1xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.cross_entropy_grad %x, %l, %lse, %d {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<4x65xf32>, tensor<4x1xi64>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x65xf32>
  return
}

// -----

func.func @cross_entropy_grad_2(%x: tensor<4x65xf32>, %l: tensor<4xi64>, %lse: tensor<4xf32>, %d: tensor<4xf32>) {
  // expected-error @below {{label smoothing is -5.000000e-01, expected 0 to 1}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.cross_entropy_grad %x, %l, %lse, %d {ignore_index = -100 : i64, label_smoothing = -0.5 : f64}
      : (tensor<4x65xf32>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x65xf32>
  return
}

// -----

func.func @cross_entropy_grad_3(%x: tensor<4x65xf32>, %l: tensor<4xi64>, %lse: tensor<4x1xf32>, %d: tensor<4xf32>) {
  // expected-error @below {{lse or dloss is 'tensor<4x1xf32>', labels are 'tensor<4xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %dx = dsc.cross_entropy_grad %x, %l, %lse, %d {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<4x65xf32>, tensor<4xi64>, tensor<4x1xf32>, tensor<4xf32>) -> tensor<4x65xf32>
  return
}

// -----

// There cannot be more classes than logits.
func.func @cross_entropy_3(%x: tensor<4x8xf32>, %l: tensor<4xi64>) -> tensor<4xf32> {
  // expected-error @+2 {{has 9 classes, logits are 'tensor<4x8xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %e = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 0.0 : f64, classes = 9 : i64}
      : (tensor<4x8xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return %y : tensor<4xf32>
}

// -----

func.func @cross_entropy_grad_4(%x: tensor<4x8xf32>, %l: tensor<4xi64>, %s: tensor<4xf32>) {
  // expected-error @below {{has 0 classes, logits are 'tensor<4x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %d = dsc.cross_entropy_grad %x, %l, %s, %s {ignore_index = -100 : i64, label_smoothing = 0.0 : f64, classes = 0 : i64}
      : (tensor<4x8xf32>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x8xf32>
  return
}
