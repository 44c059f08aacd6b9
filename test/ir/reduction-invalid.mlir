// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsReduction.td.

func.func @reduce_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{axes must increase within the rank: axis 0 after 1, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<1x1xf32>
  return
}

// -----

func.func @reduce_1_range(%x: tensor<4x8xf32>) {
  // expected-error @below {{axes must increase within the rank: axis 2 after -1, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @reduce_2(%x: tensor<4x0xf32>) {
  // expected-error @below {{has no neutral element for the empty dimension 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x0xf32>) -> tensor<4x1xf32>
  return
}

// -----

func.func @arg_reduce_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{axis is -1, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.arg_reduce %x {kind = #dsc.reduce_kind<max>, axis = -1 : i64} : (tensor<4x8xf32>) -> tensor<4x1xi64>
  return
}

// -----

func.func @arg_reduce_2(%x: tensor<4x8xf32>) {
  // expected-error @below {{kind is sum, only max and min have an index}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.arg_reduce %x {kind = #dsc.reduce_kind<sum>, axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x1xi64>
  return
}

// -----

func.func @arg_reduce_3(%x: tensor<4x0xf32>) {
  // expected-error @below {{finds no element in the empty dimension 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.arg_reduce %x {kind = #dsc.reduce_kind<max>, axis = 1 : i64} : (tensor<4x0xf32>) -> tensor<4x1xi64>
  return
}

// -----

func.func @cumulative_1(%x: tensor<4xf32>) {
  // expected-error @below {{axis is 1, rank is 1}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.cumulative %x {kind = #dsc.reduce_kind<sum>, axis = 1 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @cumulative_2(%x: tensor<4xf32>) {
  // expected-error @below {{kind is max, expected sum or prod}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.cumulative %x {kind = #dsc.reduce_kind<max>, axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}
