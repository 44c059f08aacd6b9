// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsRandom.td.

func.func @random_1(%seed: tensor<i64>, %step: tensor<i32>, %base: tensor<i64>) {
  // expected-error @below {{seed, step and sample_base are i64 scalars, not 'tensor<i32>'}}
  %u = dsc.random %seed, %step, %base {distribution = #dsc.distribution<uniform>, number = 3 : i64}
      : (tensor<i64>, tensor<i32>, tensor<i64>) -> tensor<8x16xf32>
  return
}
