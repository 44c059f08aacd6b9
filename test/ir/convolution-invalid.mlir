// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsConvolution.td.

func.func @conv_1(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3xf32>) {
  // expected-error @below {{image 'tensor<2x3x8x8xf32>' and weight 'tensor<4x3x3xf32>' must have one element type and one rank, 3 to 5}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_1_element(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf64>) {
  // expected-error @below {{image 'tensor<2x3x8x8xf32>' and weight 'tensor<4x3x3x3xf64>' must have one element type and one rank, 3 to 5}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf64>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_2(%x: tensor<2x3x8x8xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @below {{3 channels do not fit weight 'tensor<4x2x3x3xf32>' in 1 groups}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x2x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

// Two groups do not divide three result channels.
func.func @conv_2_groups(%x: tensor<2x4x8x8xf32>, %w: tensor<3x2x3x3xf32>) {
  // expected-error @below {{4 channels do not fit weight 'tensor<3x2x3x3xf32>' in 2 groups}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 2 : i64}
      : (tensor<2x4x8x8xf32>, tensor<3x2x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_3(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{needs 2 positive strides and dilations and as many pads, none negative}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 0>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_3_count(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{needs 2 positive strides and dilations and as many pads, none negative}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_4(%x: tensor<2x3x8x2xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{window 3 does not fit dimension 3 of 'tensor<2x3x8x2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x2xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x1xf32>
  return
}

// -----

// The extent of the window, 2 * (2^63 - 1) + 1, would be -1 in 64 bits.
func.func @conv_4_overflow(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{window 3 does not fit dimension 2 of 'tensor<2x3x8x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 9223372036854775807, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_5(%x: tensor<2x3x8x8xf32>, %w: tensor<4x3x3x3xf32>, %bias: tensor<3xf32>) {
  // expected-error @below {{bias is 'tensor<3xf32>', expected 'tensor<4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.conv %x, %w, %bias {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<3xf32>) -> tensor<2x4x6x6xf32>
  return
}

// -----

func.func @conv_grad_input_1(%dy: tensor<2x4x6x6xf32>, %w: tensor<4x2x3x3xf32>) {
  // expected-error @below {{3 channels do not fit weight 'tensor<4x2x3x3xf32>' in 1 groups}}
  %dx = dsc.conv_grad_input %dy, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x4x6x6xf32>, tensor<4x2x3x3xf32>) -> tensor<2x3x8x8xf32>
  return
}

// -----

func.func @conv_grad_input_2(%dy: tensor<2x4x5x6xf32>, %w: tensor<4x3x3x3xf32>) {
  // expected-error @below {{dy is 'tensor<2x4x5x6xf32>', the convolution of the result gives 'tensor<2x4x6x6xf32>'}}
  %dx = dsc.conv_grad_input %dy, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x4x5x6xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x8x8xf32>
  return
}

// -----

func.func @conv_grad_weight_1(%x: tensor<2x3x8x8xf32>, %dy: tensor<2x4x6x6xf32>) {
  // expected-error @below {{3 channels do not fit weight 'tensor<4x2x3x3xf32>' in 1 groups}}
  %dw = dsc.conv_grad_weight %x, %dy {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<2x4x6x6xf32>) -> tensor<4x2x3x3xf32>
  return
}

// -----

func.func @conv_grad_weight_2(%x: tensor<2x3x8x8xf32>, %dy: tensor<2x4x6x6xf32>) {
  // expected-error @below {{dy is 'tensor<2x4x6x6xf32>', the convolution with the result gives 'tensor<2x4x5x6xf32>'}}
  %dw = dsc.conv_grad_weight %x, %dy {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>,
       groups = 1 : i64}
      : (tensor<2x3x8x8xf32>, tensor<2x4x6x6xf32>) -> tensor<4x3x4x3xf32>
  return
}

// -----

func.func @max_pool_1(%x: tensor<2x3x8x8xf32>) {
  // expected-error @below {{needs one entry a spatial dimension of 'tensor<2x3x8x8xf32>' in each array}}
  // expected-error @below {{failed to infer returned types}}
  %y, %i = dsc.max_pool %x {window = array<i64: 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  return
}

// -----

// An image without spatial dimensions.
func.func @max_pool_1_rank(%x: tensor<2x3xf32>) {
  // expected-error @below {{needs one entry a spatial dimension of 'tensor<2x3xf32>' in each array}}
  // expected-error @below {{failed to infer returned types}}
  %y, %i = dsc.max_pool %x {window = array<i64>, strides = array<i64>, dilations = array<i64>,
       pads_begin = array<i64>, pads_end = array<i64>}
      : (tensor<2x3xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  return
}

// -----

// The first window would lie in the padding.
func.func @max_pool_2(%x: tensor<2x3x8x8xf32>) {
  // expected-error @below {{window 2 with pads 2 and 0 does not fit dimension 2 of 'tensor<2x3x8x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %i = dsc.max_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 2, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  return
}

// -----

// The last window would lie in the padding.
func.func @max_pool_2_end(%x: tensor<2x3x8x8xf32>) {
  // expected-error @below {{window 2 with pads 0 and 2 does not fit dimension 3 of 'tensor<2x3x8x8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y, %i = dsc.max_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 2>}
      : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  return
}

// -----

func.func @max_pool_grad_1(%dy: tensor<2x3x4x4xf32>, %i: tensor<2x3x4x4xi32>) {
  // expected-error @below {{window 9 with pads 0 and 0 does not fit dimension 2 of 'tensor<2x3x8x8xf32>'}}
  %dx = dsc.max_pool_grad %dy, %i {window = array<i64: 9, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>) -> tensor<2x3x8x8xf32>
  return
}

// -----

func.func @max_pool_grad_2(%dy: tensor<2x3x4x4xf32>, %i: tensor<2x3x4x4xi64>) {
  // expected-error @below {{dy and index are 'tensor<2x3x4x4xf32>' and 'tensor<2x3x4x4xi64>', max_pool of the result gives 'tensor<2x3x4x4xf32>' and 'tensor<2x3x4x4xi32>'}}
  %dx = dsc.max_pool_grad %dy, %i {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi64>) -> tensor<2x3x8x8xf32>
  return
}

// -----

func.func @avg_pool_1(%x: tensor<2x3x8x8xf32>) {
  // expected-error @below {{needs one entry a spatial dimension of 'tensor<2x3x8x8xf32>' in each array}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.avg_pool %x {window = array<i64: 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x8x8xf32>) -> tensor<2x3x4x4xf32>
  return
}

// -----

func.func @avg_pool_2(%x: tensor<2x3x7x8xf32>) {
  // expected-error @below {{pads_ceil [2, 0] is no part of pads_end [1, 0]}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.avg_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 1, 0>, pads_ceil = array<i64: 2, 0>}
      : (tensor<2x3x7x8xf32>) -> tensor<2x3x4x4xf32>
  return
}

// -----

func.func @avg_pool_grad_1(%dy: tensor<2x3x4x4xf32>) {
  // expected-error @below {{pads_ceil [1, 0] is no part of pads_end [0, 0]}}
  %dx = dsc.avg_pool_grad %dy {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, pads_ceil = array<i64: 1, 0>}
      : (tensor<2x3x4x4xf32>) -> tensor<2x3x8x8xf32>
  return
}

// -----

func.func @avg_pool_grad_2(%dy: tensor<2x3x4x5xf32>) {
  // expected-error @below {{dy is 'tensor<2x3x4x5xf32>', avg_pool of the result gives 'tensor<2x3x4x4xf32>'}}
  %dx = dsc.avg_pool_grad %dy {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
       pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>}
      : (tensor<2x3x4x5xf32>) -> tensor<2x3x8x8xf32>
  return
}
