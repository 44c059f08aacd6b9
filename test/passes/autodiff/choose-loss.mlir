// RUN: dsc-opt %s --split-input-file --dsc-build-entries --canonicalize --cse | FileCheck %s

// A scalar output is the loss; there are no labels, and what was chosen stands in the options.
// CHECK-LABEL: module @scalar_output
// CHECK-SAME: loss = "output:loss"
// CHECK: func.func @last(%{{.+}}: tensor<2x3xf32> {dsc.name = "x", dsc.role = "input"}) ->
module @scalar_output {
  dsc.global @w : tensor<3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<f32> {dsc.name = "loss"}) {
    %w = dsc.get_global @w : tensor<3xf32>
    %y = dsc.mul %x, %w : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    %s = dsc.reduce %y {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<2x3xf32>) -> tensor<1x1xf32>
    %l = dsc.reshape %s : (tensor<1x1xf32>) -> tensor<f32>
    return %y, %l : tensor<2x3xf32>, tensor<f32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<f32> {dsc.name = "loss"}) {
    %c = dsc.constant dense<0.0> : tensor<f32>
    return %x, %c : tensor<2x3xf32>, tensor<f32>
  }
}

// -----

// The last product of a classifier, with its bias, gets cross-entropy; labels are one class a sample.
// CHECK-LABEL: module @classifier
// CHECK-SAME: loss = "cross-entropy"
// CHECK: func.func @last(
// CHECK-SAME: %[[LABELS:[^ ]+]]: tensor<4xi64> {dsc.classes = 5 : i64, dsc.name = "labels", dsc.role = "labels"})
// CHECK: dsc.cross_entropy %[[LOGITS:.+]], %[[LABELS]]
// CHECK: dsc.cross_entropy_grad %[[LOGITS]], %[[LABELS]]
// CHECK: func.func @eval(
// CHECK-SAME: {dsc.name = "loss_sum"}, {{.*}}{dsc.name = "loss_weight"}, {{.*}}{dsc.name = "correct"}, {{.*}}{dsc.name = "counted"}, tensor<4x5xf32> {dsc.name = "y"})
module @classifier {
  dsc.global @w : tensor<5x3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  dsc.global @b : tensor<5xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
  func.func @forward(%x: tensor<4x3xf32> {dsc.name = "x"}) -> (tensor<4x5xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @w : tensor<5x3xf32>
    %b = dsc.get_global @b : tensor<5xf32>
    %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x3xf32>, tensor<5x3xf32>) -> tensor<4x5xf32>
    %y = dsc.add %b, %p : (tensor<5xf32>, tensor<4x5xf32>) -> tensor<4x5xf32>
    return %y : tensor<4x5xf32>
  }
  func.func @inference(%x: tensor<4x3xf32> {dsc.name = "x"}) -> (tensor<4x5xf32> {dsc.name = "y"}) {
    %c = dsc.constant dense<0.0> : tensor<4x5xf32>
    return %c : tensor<4x5xf32>
  }
}

// -----

// Logits of flattened tokens [B * T, V]: labels are [B, T], and shifting them makes the last position ignored, so that the
// logits are not copied.
// CHECK-LABEL: module @flat_tokens
// CHECK: func.func @last(
// CHECK-SAME: %[[LABELS:[^ ]+]]: tensor<2x4xi64> {dsc.classes = 7 : i64, dsc.name = "target", dsc.role = "labels"})
// CHECK: %[[TAIL:.+]] = dsc.slice %[[LABELS]] {sizes = array<i64: 2, 3>, starts = array<i64: 0, 1>
// CHECK: %[[NEXT:.+]] = dsc.concat %[[TAIL]], %{{.+}} {axis = 1 : i64}
// CHECK: %[[FLAT:.+]] = dsc.reshape %[[NEXT]] : (tensor<2x4xi64>) -> tensor<8xi64>
// CHECK: dsc.cross_entropy %{{.+}}, %[[FLAT]] {ignore_index = -1 : i64, label_smoothing = 1.000000e-01 : f64}
module @flat_tokens attributes {dsc.options = {labels = "target", shift_labels = true, ignore_index = -1 : i64, label_smoothing = 0.1}} {
  dsc.global @w : tensor<7x7xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x4xi64> {dsc.name = "x"}) -> (tensor<8x7xf32> {dsc.name = "my_logits"}) {
    %w = dsc.get_global @w : tensor<7x7xf32>
    %i = dsc.reshape %x : (tensor<2x4xi64>) -> tensor<8xi64>
    %y = dsc.gather %w, %i {axis = 0 : i64} : (tensor<7x7xf32>, tensor<8xi64>) -> tensor<8x7xf32>
    return %y : tensor<8x7xf32>
  }
  func.func @inference(%x: tensor<2x4xi64> {dsc.name = "x"}) -> (tensor<8x7xf32> {dsc.name = "my_logits"}) {
    %c = dsc.constant dense<0.0> : tensor<8x7xf32>
    return %c : tensor<8x7xf32>
  }
}

// -----

// Images: classes are dimension 1.
// CHECK-LABEL: module @segmentation
// CHECK: func.func @last(
// CHECK-SAME: tensor<2x4x4xi64> {dsc.classes = 3 : i64
// CHECK: %[[LAST:.+]] = dsc.transpose %{{.+}} {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x4x4xf32>) -> tensor<2x4x4x3xf32>
// CHECK: dsc.cross_entropy %[[LAST]]
module @segmentation attributes {dsc.options = {loss = "cross-entropy"}} {
  dsc.global @w : tensor<3x1x1xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x1x4x4xf32> {dsc.name = "x"}) -> (tensor<2x3x4x4xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @w : tensor<3x1x1xf32>
    %y = dsc.mul %x, %w : (tensor<2x1x4x4xf32>, tensor<3x1x1xf32>) -> tensor<2x3x4x4xf32>
    return %y : tensor<2x3x4x4xf32>
  }
  func.func @inference(%x: tensor<2x1x4x4xf32> {dsc.name = "x"}) -> (tensor<2x3x4x4xf32> {dsc.name = "y"}) {
    %c = dsc.constant dense<0.0> : tensor<2x3x4x4xf32>
    return %c : tensor<2x3x4x4xf32>
  }
}

// -----

// An input can be the target (an autoencoder): no second array is asked for.
// CHECK-LABEL: module @autoencoder
// CHECK: func.func @last(%[[X:[^ ]+]]: tensor<2x3xf32> {dsc.name = "x", dsc.role = "input"}) ->
// CHECK: %[[D:.+]] = dsc.sub %{{.+}}, %[[X]]
// CHECK: dsc.mul %[[D]], %[[D]]
module @autoencoder attributes {dsc.options = {loss = "mse", labels = "x"}} {
  dsc.global @w : tensor<3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @w : tensor<3xf32>
    %y = dsc.mul %x, %w : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    return %y : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}
