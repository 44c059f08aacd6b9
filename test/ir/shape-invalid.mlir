// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsShape.td.

func.func @reshape_1(%x: tensor<4xf32>) {
  // expected-error @below {{element types differ: operand 'tensor<4xf32>', result 'tensor<4xf64>'}}
  %y = dsc.reshape %x : (tensor<4xf32>) -> tensor<4xf64>
  return
}

// -----

func.func @reshape_2(%x: tensor<4xf32>) {
  // expected-error @below {{element counts differ: operand has 4, result has 5}}
  %y = dsc.reshape %x : (tensor<4xf32>) -> tensor<5xf32>
  return
}

// -----

func.func @transpose_1(%x: tensor<2x3xf32>) {
  // expected-error @below {{permutation has 3 entries, operand has rank 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.transpose %x {permutation = array<i64: 1, 0, 2>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @transpose_2(%x: tensor<2x3xf32>) {
  // expected-error @below {{permutation names dimension 1 twice or out of range; rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.transpose %x {permutation = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<3x3xf32>
  return
}

// -----

func.func @transpose_2_range(%x: tensor<2x3xf32>) {
  // expected-error @below {{permutation names dimension -1 twice or out of range; rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.transpose %x {permutation = array<i64: 0, -1>} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_1(%x: tensor<1x3xf32>) {
  // expected-error @below {{element types differ: operand 'tensor<1x3xf32>', result 'tensor<2x3xf64>'}}
  %y = dsc.broadcast %x : (tensor<1x3xf32>) -> tensor<2x3xf64>
  return
}

// -----

func.func @broadcast_2(%x: tensor<2x3xf32>) {
  // expected-error @below {{shape 'tensor<2x3xf32>' does not broadcast to 'tensor<1x3xf32>'}}
  %y = dsc.broadcast %x : (tensor<2x3xf32>) -> tensor<1x3xf32>
  return
}

// -----

func.func @slice_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{starts, sizes and steps have 1, 2 and 2 entries, operand has rank 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 0>, sizes = array<i64: 4, 8>, steps = array<i64: 1, 1>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// -----

func.func @slice_2(%x: tensor<8xf32>) {
  // expected-error @below {{step of dimension 0 is 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 0>, sizes = array<i64: 2>, steps = array<i64: 0>} : (tensor<8xf32>) -> tensor<2xf32>
  return
}

// -----

func.func @slice_3(%x: tensor<8xf32>) {
  // expected-error @below {{reads 4 elements from 2 by 2 in dimension 0, operand has 8}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 2>, sizes = array<i64: 4>, steps = array<i64: 2>} : (tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @slice_3_backwards(%x: tensor<8xf32>) {
  // expected-error @below {{reads 4 elements from 2 by -1 in dimension 0, operand has 8}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 2>, sizes = array<i64: 4>, steps = array<i64: -1>} : (tensor<8xf32>) -> tensor<4xf32>
  return
}

// -----

// The last index, 2 * (2^63 - 1), would be -2 in 64 bits.
func.func @slice_3_overflow(%x: tensor<8xf32>) {
  // expected-error @below {{reads 3 elements from 0 by 9223372036854775807 in dimension 0, operand has 8}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 0>, sizes = array<i64: 3>, steps = array<i64: 9223372036854775807>} : (tensor<8xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @slice_3_negative_size(%x: tensor<8xf32>) {
  // expected-error @below {{reads -1 elements from 0 by 1 in dimension 0, operand has 8}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.slice %x {starts = array<i64: 0>, sizes = array<i64: -1>, steps = array<i64: 1>} : (tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @pad_1(%x: tensor<4x8xf32>) {
  // expected-error @below {{low, high and interior have 1, 2 and 2 entries, operand has rank 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.pad %x {low = array<i64: 1>, high = array<i64: 0, 0>, interior = array<i64: 0, 0>, value = 0.0 : f64} : (tensor<4x8xf32>) -> tensor<5x8xf32>
  return
}

// -----

func.func @pad_2(%x: tensor<4xf32>) {
  // expected-error @below {{dimension 0 has a negative pad: -1, 0, 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.pad %x {low = array<i64: -1>, high = array<i64: 0>, interior = array<i64: 0>, value = 0.0 : f64} : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

func.func @pad_3(%x: tensor<4xf32>) {
  // expected-error @below {{dimension 0 is too large}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.pad %x {low = array<i64: 0>, high = array<i64: 0>, interior = array<i64: 9223372036854775807>, value = 0.0 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @concat_1() {
  // expected-error @below {{has no operand}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.concat {axis = 0 : i64} : () -> tensor<0xf32>
  return
}

// -----

func.func @concat_2(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.concat %x, %y {axis = 2 : i64} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

func.func @concat_3(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) {
  // expected-error @below {{operands do not join along axis 0: 'tensor<2x3xf32>' and 'tensor<2x4xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  return
}

// -----

func.func @concat_3_element(%x: tensor<2x3xf32>, %y: tensor<2x3xf64>) {
  // expected-error @below {{operands do not join along axis 0: 'tensor<2x3xf32>' and 'tensor<2x3xf64>'}}
  // expected-error @below {{failed to infer returned types}}
  %z = dsc.concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x3xf64>) -> tensor<4x3xf32>
  return
}

// -----

func.func @gather_1(%data: tensor<4x8xf32>, %i: tensor<3xi64>) {
  // expected-error @below {{axis is 2, rank is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather %data, %i {axis = 2 : i64} : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  return
}

// -----

func.func @gather_grad_1(%dy: tensor<3x8xf32>, %i: tensor<3xi64>) {
  // expected-error @below {{axis is -1, rank is 2}}
  %d = dsc.gather_grad %dy, %i {axis = -1 : i64} : (tensor<3x8xf32>, tensor<3xi64>) -> tensor<4x8xf32>
  return
}

// -----

func.func @gather_grad_2(%dy: tensor<3x8xf32>, %i: tensor<2xi64>) {
  // expected-error @below {{dy is 'tensor<3x8xf32>', a gather from 'tensor<4x8xf32>' gives 'tensor<2x8xf32>'}}
  %d = dsc.gather_grad %dy, %i {axis = 0 : i64} : (tensor<3x8xf32>, tensor<2xi64>) -> tensor<4x8xf32>
  return
}

// -----

func.func @gather_elements_1(%x: tensor<2x8xf32>, %i: tensor<8xi64>) {
  // expected-error @below {{data is 'tensor<2x8xf32>', indices are 'tensor<8xi64>', axis is 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather_elements %x, %i {axis = 0 : i64} : (tensor<2x8xf32>, tensor<8xi64>) -> tensor<8xf32>
  return
}

// -----

func.func @gather_elements_1_axis(%x: tensor<2x8xf32>, %i: tensor<2x8xi64>) {
  // expected-error @below {{data is 'tensor<2x8xf32>', indices are 'tensor<2x8xi64>', axis is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather_elements %x, %i {axis = 2 : i64} : (tensor<2x8xf32>, tensor<2x8xi64>) -> tensor<2x8xf32>
  return
}

// -----

func.func @gather_elements_2(%x: tensor<2x8xf32>, %i: tensor<3x1xi64>) {
  // expected-error @below {{dimension 0 of indices is 3, of data 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather_elements %x, %i {axis = 1 : i64} : (tensor<2x8xf32>, tensor<3x1xi64>) -> tensor<3x1xf32>
  return
}

// -----

func.func @scatter_elements_1(%x: tensor<2x8xf32>, %i: tensor<2x1xi64>, %u: tensor<2x2xf32>) {
  // expected-error @below {{indices are 'tensor<2x1xi64>', updates are 'tensor<2x2xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #dsc.scatter_kind<add>} : (tensor<2x8xf32>, tensor<2x1xi64>, tensor<2x2xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @scatter_elements_2(%x: tensor<2x8xf32>, %i: tensor<2x1xi64>, %u: tensor<2x1xf32>) {
  // expected-error @below {{data is 'tensor<2x8xf32>', indices are 'tensor<2x1xi64>', axis is 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_elements %x, %i, %u {axis = 2 : i64, kind = #dsc.scatter_kind<add>} : (tensor<2x8xf32>, tensor<2x1xi64>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @scatter_elements_3(%x: tensor<2x8xf32>, %i: tensor<2x1xi64>, %u: tensor<2x1xf64>) {
  // expected-error @below {{element types differ: data 'tensor<2x8xf32>', updates 'tensor<2x1xf64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #dsc.scatter_kind<add>} : (tensor<2x8xf32>, tensor<2x1xi64>, tensor<2x1xf64>) -> tensor<2x8xf32>
  return
}

// -----

func.func @scatter_elements_4(%x: tensor<2x8xf32>, %i: tensor<3x1xi64>, %u: tensor<3x1xf32>) {
  // expected-error @below {{dimension 0 of indices is 3, of data 2}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #dsc.scatter_kind<add>} : (tensor<2x8xf32>, tensor<3x1xi64>, tensor<3x1xf32>) -> tensor<2x8xf32>
  return
}

// -----

func.func @gather_nd_1(%x: tensor<2x8xf32>, %i: tensor<5x3xi64>) {
  // expected-error @below {{index tuples of 'tensor<5x3xi64>' do not fit data 'tensor<2x8xf32>' with batch_dims 0}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<2x8xf32>, tensor<5x3xi64>) -> tensor<5xf32>
  return
}

// -----

func.func @gather_nd_2(%x: tensor<2x8xf32>, %i: tensor<3x1xi64>) {
  // expected-error @below {{batch dimensions differ: 'tensor<2x8xf32>' and 'tensor<3x1xi64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.gather_nd %x, %i {batch_dims = 1 : i64} : (tensor<2x8xf32>, tensor<3x1xi64>) -> tensor<3xf32>
  return
}

// -----

func.func @scatter_nd_1(%x: tensor<8xf32>, %i: tensor<5x2xi64>, %u: tensor<5xf32>) {
  // expected-error @below {{index tuples of 'tensor<5x2xi64>' do not fit data 'tensor<8xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_nd %x, %i, %u {kind = #dsc.scatter_kind<add>} : (tensor<8xf32>, tensor<5x2xi64>, tensor<5xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @scatter_nd_2(%x: tensor<8xf32>, %i: tensor<5x1xi64>, %u: tensor<4xf32>) {
  // expected-error @below {{updates are 'tensor<4xf32>', indices ask for 'tensor<5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_nd %x, %i, %u {kind = #dsc.scatter_kind<add>} : (tensor<8xf32>, tensor<5x1xi64>, tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @scatter_nd_3(%x: tensor<8xf32>, %i: tensor<5x1xi64>, %u: tensor<5xf64>) {
  // expected-error @below {{element types differ: data 'tensor<8xf32>', updates 'tensor<5xf64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.scatter_nd %x, %i, %u {kind = #dsc.scatter_kind<add>} : (tensor<8xf32>, tensor<5x1xi64>, tensor<5xf64>) -> tensor<8xf32>
  return
}
