// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// pack_1: one offset a part.
func.func @pack_1(%x: tensor<4xf32>) {
  // expected-error @below {{has 1 parts and 2 offsets}}
  %p = dsc.pack %x {offsets = array<i64: 0, 4>} : (tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// pack_2: parts have the result's element type.
func.func @pack_2(%x: tensor<4xf64>) {
  // expected-error @below {{part is 'tensor<4xf64>', result is 'tensor<8xf32>'}}
  %p = dsc.pack %x {offsets = array<i64: 0>} : (tensor<4xf64>) -> tensor<8xf32>
  return
}

// -----

// pack_3: parts lie apart from each other.
func.func @pack_3a(%x: tensor<4xf32>) {
  // expected-error @below {{part of 4 elements at 3 begins before 4 or ends behind 8}}
  %p = dsc.pack %x, %x {offsets = array<i64: 0, 3>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// pack_3: parts lie inside the result.
func.func @pack_3b(%x: tensor<2x2xf32>) {
  // expected-error @below {{part of 4 elements at 5 begins before 0 or ends behind 8}}
  %p = dsc.pack %x {offsets = array<i64: 5>} : (tensor<2x2xf32>) -> tensor<8xf32>
  return
}
