// RUN: dsc-opt %s --pass-pipeline='builtin.module(func.func(dsc-expand-normalization,dsc-expand-losses,dsc-split-reductions,canonicalize,dsc-form-kernels))' | FileCheck %s

// A residual addition and the layer norm behind it are one row kernel, which also stores the sum and the statistics.
// CHECK-LABEL: func.func @residual_layer_norm
// CHECK: dsc.kernel(%arg0, %arg1, %{{.+}}, %{{.+}}) attributes {domain = array<i64: 64, 32>, kind = #dsc.kernel_kind<row>, row_rank = 1 : i64}
// CHECK: dsc.yield {{.+}} : tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>, tensor<64x32xf32>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @residual_layer_norm(%x: tensor<64x32xf32>, %r: tensor<64x32xf32>, %g: tensor<32xf32>, %b: tensor<32xf32>)
    -> (tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>) {
  %s = dsc.add %x, %r : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %y, %mean, %rstd = dsc.layer_norm %s gamma %g beta %b {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<64x32xf32>, tensor<32xf32>, tensor<32xf32>) -> (tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>)
  return %s, %y, %mean, %rstd : tensor<64x32xf32>, tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>
}

// The backward pass of a layer norm is one kernel: dx with the residual's gradient, and the gradients of gamma, beta and
// of the bias in front as column sums of the same pass.
// CHECK-LABEL: func.func @layer_norm_backward
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 64, 32>, kind = #dsc.kernel_kind<row_column>, row_rank = 1 : i64, scratch = 768 : i64}
// CHECK-COUNT-5: dsc.reduce
// CHECK: dsc.yield {{.+}} : tensor<1x32xf32>, tensor<1x32xf32>, tensor<64x32xf32>, tensor<1x32xf32>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @layer_norm_backward(%x: tensor<64x32xf32>, %mean: tensor<64x1xf32>, %rstd: tensor<64x1xf32>, %gamma: tensor<32xf32>,
    %dy: tensor<64x32xf32>, %dr: tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>) {
  %g = dsc.mul %dy, %gamma : (tensor<64x32xf32>, tensor<32xf32>) -> tensor<64x32xf32>
  %dx = dsc.layer_norm_grad %x, %mean, %rstd, %g {axis = 1 : i64}
      : (tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %c = dsc.sub %x, %mean : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
  %xhat = dsc.mul %c, %rstd : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
  %p = dsc.mul %dy, %xhat : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %dgamma = dsc.reduce %p {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x32xf32>) -> tensor<1x32xf32>
  %dbeta = dsc.reduce %dy {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x32xf32>) -> tensor<1x32xf32>
  %total = dsc.add %dr, %dx : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %dbias = dsc.reduce %total {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x32xf32>) -> tensor<1x32xf32>
  return %total, %dgamma, %dbeta, %dbias : tensor<64x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>, tensor<1x32xf32>
}

// An op of the backward pass is not computed in the forward kernel that made its operands: xhat is no result there.
// CHECK-LABEL: func.func @backward_recomputes
// CHECK: kind = #dsc.kernel_kind<row>
// CHECK: dsc.yield {{.+}} : tensor<64x1xf32>, tensor<64x1xf32>, tensor<64x32xf32>
// CHECK: dsc.matmul
// CHECK: dsc.kernel({{.+}}) attributes {{.*}}kind = #dsc.kernel_kind<column>
// CHECK: dsc.sub
// CHECK: return
func.func @backward_recomputes(%x: tensor<64x32xf32>, %w: tensor<32x32xf32>) -> tensor<1x32xf32> {
  %y, %mean, %rstd = dsc.layer_norm %x {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>)
  %dy = dsc.matmul %y, %w : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %c = dsc.sub %x, %mean : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
  %xhat = dsc.mul %c, %rstd : (tensor<64x32xf32>, tensor<64x1xf32>) -> tensor<64x32xf32>
  %p = dsc.mul %dy, %xhat : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %dgamma = dsc.reduce %p {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x32xf32>) -> tensor<1x32xf32>
  return %dgamma : tensor<1x32xf32>
}

// Cross-entropy and its gradient read the logits once; what depends on labels only runs before, the sum of losses behind.
// CHECK-LABEL: func.func @cross_entropy
// CHECK: dsc.kernel(%{{.+}}) attributes {domain = array<i64: 8>, kind = #dsc.kernel_kind<row>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 8, 65>, kind = #dsc.kernel_kind<row>
// CHECK: dsc.iota {axis = 1 : i64} : () -> tensor<1x65xi32>
// CHECK: dsc.yield {{.+}} : tensor<8x1xf32>, tensor<8x65xf32>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 8>, kind = #dsc.kernel_kind<row>, refused = ["dsc.select: they run over different iteration spaces: 8 rows of 65 and 1 rows of 8"
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @cross_entropy(%x: tensor<2x4x65xf32>, %labels: tensor<2x4xi64>) -> (tensor<1x1xf32>, tensor<2x4x65xf32>) {
  %ignored = dsc.constant dense<-100> : tensor<i64>
  %valid = dsc.compare %labels, %ignored {predicate = #dsc.compare_predicate<ne>} : (tensor<2x4xi64>, tensor<i64>) -> tensor<2x4xi1>
  %one = dsc.cast %valid : (tensor<2x4xi1>) -> tensor<2x4xf32>
  %count = dsc.reduce %one {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<2x4xf32>) -> tensor<1x1xf32>
  %loss, %lse = dsc.cross_entropy %x, %labels {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<2x4x65xf32>, tensor<2x4xi64>) -> (tensor<2x4xf32>, tensor<2x4xf32>)
  %sum = dsc.reduce %loss {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<2x4xf32>) -> tensor<1x1xf32>
  %mean = dsc.div %sum, %count : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
  %seed = dsc.reciprocal %count : (tensor<1x1xf32>) -> tensor<1x1xf32>
  %dloss = dsc.broadcast %seed : (tensor<1x1xf32>) -> tensor<2x4xf32>
  %dx = dsc.cross_entropy_grad %x, %labels, %lse, %dloss {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<2x4x65xf32>, tensor<2x4xi64>, tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4x65xf32>
  return %mean, %dx : tensor<1x1xf32>, tensor<2x4x65xf32>
}

// Batch norm of channels-last images is one kernel with two column sums, one after the other.
// CHECK-LABEL: func.func @batch_norm_channels_last
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 128, 4>, kind = #dsc.kernel_kind<column>, row_rank = 1 : i64
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @batch_norm_channels_last(%x: tensor<2x8x8x4xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<2x8x8x4xf32>, tensor<4xf32>) {
  %y, %mean, %var, %rstd = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64, layout = #dsc.conv_layout<channels_last>}
      : (tensor<2x8x8x4xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<2x8x8x4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return %y, %mean : tensor<2x8x8x4xf32>, tensor<4xf32>
}

// Of channels-first images the statistics take two reductions: over each plane, then over the batch.
// CHECK-LABEL: func.func @batch_norm_channels_first
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 8, 64>, kind = #dsc.kernel_kind<row>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 2, 4>, kind = #dsc.kernel_kind<column>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 2, 4, 64>, kind = #dsc.kernel_kind<row>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 2, 4>, kind = #dsc.kernel_kind<column>
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 2, 4, 64>, kind = #dsc.kernel_kind<elementwise>
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @batch_norm_channels_first(%x: tensor<2x4x8x8xf32>, %g: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<2x4x8x8xf32> {
  %y, %mean, %var, %rstd = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64}
      : (tensor<2x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<2x4x8x8xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  return %y : tensor<2x4x8x8xf32>
}

// An update is one kernel a parameter; small ones share one.
// CHECK-LABEL: func.func @optimizer
// CHECK: dsc.kernel({{.+}}) attributes {domain = array<i64: 8>, kind = #dsc.kernel_kind<elementwise>
// CHECK-COUNT-2: dsc.sgd
// CHECK-NOT: dsc.kernel
// CHECK: return
func.func @optimizer(%p: tensor<8xf32>, %g: tensor<8xf32>, %b: tensor<8xf32>, %q: tensor<2x4xf32>, %h: tensor<2x4xf32>, %c: tensor<2x4xf32>,
    %s: tensor<f32>, %ok: tensor<i1>) -> (tensor<8xf32>, tensor<2x4xf32>) {
  %p1, %b1 = dsc.sgd %p, %g, %b, %s, %s, %s, %s, %s, %s, %ok {nesterov = false}
      : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<8xf32>, tensor<8xf32>)
  %q1, %c1 = dsc.sgd %q, %h, %c, %s, %s, %s, %s, %s, %s, %ok {nesterov = false}
      : (tensor<2x4xf32>, tensor<2x4xf32>, tensor<2x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<2x4xf32>, tensor<2x4xf32>)
  return %p1, %q1 : tensor<8xf32>, tensor<2x4xf32>
}
