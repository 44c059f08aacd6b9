// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsElementwise.td.

func.func @add_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.add %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @add_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.add %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @sub_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.sub %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @sub_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.sub %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @mul_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.mul %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @mul_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.mul %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @div_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.div %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @div_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.div %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @max_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.max %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @max_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.max %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @min_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.min %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @min_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.min %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @pow_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.pow %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @pow_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.pow %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @mod_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.mod %x, %y : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @mod_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.mod %x, %y : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @and_1(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @below {{element types differ: 'i64' and 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.and %x, %y : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  return
}

// -----

func.func @and_2(%x: tensor<4xi64>, %y: tensor<3xi64>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xi64>' and 'tensor<3xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.and %x, %y : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @or_1(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @below {{element types differ: 'i64' and 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.or %x, %y : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  return
}

// -----

func.func @or_2(%x: tensor<4xi64>, %y: tensor<3xi64>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xi64>' and 'tensor<3xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.or %x, %y : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @xor_1(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @below {{element types differ: 'i64' and 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.xor %x, %y : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  return
}

// -----

func.func @xor_2(%x: tensor<4xi64>, %y: tensor<3xi64>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xi64>' and 'tensor<3xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.xor %x, %y : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @shift_left_1(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @below {{element types differ: 'i64' and 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.shift_left %x, %y : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  return
}

// -----

func.func @shift_left_2(%x: tensor<4xi64>, %y: tensor<3xi64>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xi64>' and 'tensor<3xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.shift_left %x, %y : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @shift_right_1(%x: tensor<4xi64>, %y: tensor<4xi32>) {
  // expected-error @below {{element types differ: 'i64' and 'i32'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.shift_right %x, %y : (tensor<4xi64>, tensor<4xi32>) -> tensor<4xi64>
  return
}

// -----

func.func @shift_right_2(%x: tensor<4xi64>, %y: tensor<3xi64>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xi64>' and 'tensor<3xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.shift_right %x, %y : (tensor<4xi64>, tensor<3xi64>) -> tensor<4xi64>
  return
}

// -----

func.func @compare_1(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.compare %x, %y {predicate = #dsc.compare_predicate<lt>} : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xi1>
  return
}

// -----

func.func @compare_2(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.compare %x, %y {predicate = #dsc.compare_predicate<lt>} : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xi1>
  return
}

// -----

func.func @select_1(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @below {{element types differ: 'f32' and 'f64'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.select %c, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @select_2(%c: tensor<4xi1>, %x: tensor<4xf32>, %y: tensor<3xf32>) {
  // expected-error @below {{shapes do not broadcast: 'tensor<4xf32>' and 'tensor<3xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.select %c, %x, %y : (tensor<4xi1>, tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @select_2_condition(%c: tensor<3xi1>, %x: tensor<4xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{shapes do not broadcast: condition 'tensor<3xi1>' and values 'tensor<4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.select %c, %x, %y : (tensor<3xi1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @bitcast_1(%x: tensor<4xf32>) {
  // expected-error @below {{requires the same shape for all operands and results}}
  %y = dsc.bitcast %x : (tensor<4xf32>) -> tensor<2x2xi32>
  return
}

// -----

func.func @bitcast_2(%x: tensor<4xf32>) {
  // expected-error @below {{element types are 'f32' and 'i64', which do not have the same number of whole bytes}}
  %y = dsc.bitcast %x : (tensor<4xf32>) -> tensor<4xi64>
  return
}

// -----

func.func @bitcast_2_boolean(%x: tensor<4xi1>) {
  // expected-error @below {{element types are 'i1' and 'i1', which do not have the same number of whole bytes}}
  %y = dsc.bitcast %x : (tensor<4xi1>) -> tensor<4xi1>
  return
}

// -----

func.func @cast_1(%x: tensor<4xf32>) {
  // expected-error @below {{requires the same shape for all operands and results}}
  %y = dsc.cast %x : (tensor<4xf32>) -> tensor<2x2xf64>
  return
}

// -----

func.func @gelu_grad_1(%x: tensor<4xf32>, %dy: tensor<4xf64>) {
  // expected-error @below {{requires all operands to have the same type}}
  %dx = dsc.gelu_grad %x, %dy {kind = #dsc.gelu_kind<erf>} : (tensor<4xf32>, tensor<4xf64>) -> tensor<4xf32>
  return
}

// -----

func.func @iota_1() {
  // expected-error @below {{axis is 1, rank is 1}}
  %i = dsc.iota {axis = 1 : i64} : () -> tensor<4xi32>
  return
}

// -----

func.func @iota_2() {
  // expected-error @below {{has 300 indices, more than 'i8' holds}}
  %i = dsc.iota {axis = 0 : i64} : () -> tensor<300xi8>
  return
}

// -----

// The type that is written must be the one that follows from the operands, for all ops that infer it.
func.func @written_type(%x: tensor<4xf32>, %y: tensor<4xf32>) {
  // expected-error @below {{inferred type(s) 'tensor<4xf32>' are incompatible with return type(s) of operation 'tensor<1x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.add %x, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  return
}

// -----

// There is no op on tensors of unknown shape.
func.func @dynamic_shape(%x: tensor<?xf32>) {
  // expected-error @below {{operand #0 must be statically shaped tensor of floats, but got 'tensor<?xf32>'}}
  %y = dsc.exp %x : (tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

// Element types are as narrow as the op's meaning.
func.func @element_type(%x: tensor<4xi64>) {
  // expected-error @below {{operand #0 must be statically shaped tensor of floats, but got 'tensor<4xi64>'}}
  %y = dsc.exp %x : (tensor<4xi64>) -> tensor<4xi64>
  return
}
