// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsCollective.td.

func.func @reduce_scatter_1(%x: tensor<3072xf32>) {
  // expected-error @below {{operand is 'tensor<3072xf32>', expected [chunks, elements]}}
  %y = dsc.reduce_scatter %x : tensor<3072xf32>
  return
}

// -----

func.func @all_gather_1(%x: tensor<3xf32>) {
  // expected-error @below {{operand is 'tensor<3xf32>', expected [chunks, elements]}}
  %y = dsc.all_gather %x : tensor<3xf32>
  return
}

// -----

func.func @all_reduce_1(%x: tensor<3x4xf32>) {
  // expected-error @below {{operand is 'tensor<3x4xf32>', expected rank 0 or 1}}
  %y = dsc.all_reduce %x : tensor<3x4xf32>
  return
}

// -----

func.func @all_reduce_2(%x: tensor<bf16>) {
  // expected-error @below {{operand is 'tensor<bf16>', expected f32 or f64}}
  %y = dsc.all_reduce %x : tensor<bf16>
  return
}
