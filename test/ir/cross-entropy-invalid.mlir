// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// There cannot be more classes than logits.
func.func @cross_entropy_3(%x: tensor<4x8xf32>, %l: tensor<4xi64>) -> tensor<4xf32> {
  // expected-error @+2 {{has 9 classes, logits are 'tensor<4x8xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %y, %e = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 0.0 : f64, classes = 9 : i64}
      : (tensor<4x8xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
  return %y : tensor<4xf32>
}
