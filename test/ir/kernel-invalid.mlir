// RUN: dsc-opt %s --split-input-file --verify-diagnostics

func.func @kernel_1(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{block arguments and operands have different types}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<32xf32>):
    %c = dsc.constant dense<0.0> : tensor<4x8xf32>
    dsc.yield %c : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @kernel_2(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  // expected-error @+1 {{yielded types and result types differ}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<32xf32>
  return %y : tensor<32xf32>
}

// -----

func.func @kernel_3(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{row_rank is 3, domain has rank 2}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 3 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @kernel_4(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 8, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<8x8xf32>):
    // expected-error @+1 {{cannot stand in a kernel of kind elementwise}}
    %t = dsc.transpose %a {permutation = array<i64: 1, 0>} : (tensor<8x8xf32>) -> tensor<8x8xf32>
    dsc.yield %t : tensor<8x8xf32>
  } : (tensor<8x8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

func.func @kernel_5(%x: tensor<4x8xf32>, %b: tensor<1x16xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{value 'tensor<1x16xf32>' does not broadcast to the domain [4, 8]}}
  %y = dsc.kernel (%x, %b) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<1x16xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>, tensor<1x16xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// The axes are columns, but those of a column kernel's reductions are rows.
func.func @kernel_6(%x: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    // expected-error @+1 {{which a kernel of kind column with 1 dimensions of rows does not do}}
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    dsc.yield %s : tensor<4x1xf32>
  } : (tensor<4x8xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

func.func @kernel_7(%x: tensor<4x1xf32>) -> tensor<4x1xf32> {
  // expected-error @+1 {{result 'tensor<4x1xf32>' is neither of the domain's shape [4, 8] nor one element a row or column}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x1xf32>):
    dsc.yield %a : tensor<4x1xf32>
  } : (tensor<4x1xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

func.func @kernel_8(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{of kind loops holds more than one op and its results}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<loops>, domain = array<i64: 8, 4>, row_rank = 0 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %e = dsc.exp %a : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %t = dsc.transpose %e {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    dsc.yield %t : tensor<8x4xf32>
  } : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @kernel_9(%x: tensor<64x8xf32>) -> tensor<1x8xf32> {
  // expected-error @+1 {{has 0 bytes of scratch, its column reductions need 64}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 64, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<64x8xf32>):
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x8xf32>) -> tensor<1x8xf32>
    dsc.yield %s : tensor<1x8xf32>
  } : (tensor<64x8xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

func.func @iota_1() -> tensor<4xi32> {
  // expected-error @+1 {{axis is 1, rank is 1}}
  %i = dsc.iota {axis = 1 : i64} : () -> tensor<4xi32>
  return %i : tensor<4xi32>
}

// -----

func.func @iota_2() -> tensor<300xi8> {
  // expected-error @+1 {{has 300 indices, more than 'i8' holds}}
  %i = dsc.iota {axis = 0 : i64} : () -> tensor<300xi8>
  return %i : tensor<300xi8>
}
