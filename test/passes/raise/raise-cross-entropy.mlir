// RUN: dsc-opt %s --dsc-raise-cross-entropy --dsc-canonicalize-views | FileCheck %s

// CHECK: dsc.patterns = [
// CHECK-SAME: detail = "8 classes", found = true, function = "picked", pattern = "cross_entropy"}
// CHECK-SAME: detail = "classes are not the last dimension", found = false, function = "classes_first"
// CHECK-SAME: detail = "the log-probabilities are used more than once", found = false, function = "probabilities_returned"

// -log_softmax(x).gather(-1, y[:, None]): the two negations meet.
// CHECK-LABEL: @picked
// CHECK-NEXT: %[[L:.+]], %{{.+}} = dsc.cross_entropy %arg0, %arg1 {ignore_index = -9223372036854775808 : i64, label_smoothing = 0.000000e+00 : f64}
// CHECK-NEXT: return %[[L]]
func.func @picked(%x: tensor<4x8xf32>, %y: tensor<4xi64>) -> tensor<4xf32> {
  %l = dsc.log_softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %i = dsc.reshape %y : (tensor<4xi64>) -> tensor<4x1xi64>
  %p = dsc.gather_elements %l, %i {axis = 1 : i64} : (tensor<4x8xf32>, tensor<4x1xi64>) -> tensor<4x1xf32>
  %n = dsc.neg %p : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %r = dsc.reshape %n : (tensor<4x1xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// CHECK-LABEL: @classes_first
// CHECK-NOT: cross_entropy
// CHECK: return
func.func @classes_first(%x: tensor<8x4xf32>, %i: tensor<1x4xi64>) -> tensor<1x4xf32> {
  %l = dsc.log_softmax %x {axis = 0 : i64} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  %p = dsc.gather_elements %l, %i {axis = 0 : i64} : (tensor<8x4xf32>, tensor<1x4xi64>) -> tensor<1x4xf32>
  return %p : tensor<1x4xf32>
}

// CHECK-LABEL: @probabilities_returned
// CHECK-NOT: cross_entropy
// CHECK: return
func.func @probabilities_returned(%x: tensor<4x8xf32>, %i: tensor<4x1xi64>) -> (tensor<4x1xf32>, tensor<4x8xf32>) {
  %l = dsc.log_softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %p = dsc.gather_elements %l, %i {axis = 1 : i64} : (tensor<4x8xf32>, tensor<4x1xi64>) -> tensor<4x1xf32>
  return %p, %l : tensor<4x1xf32>, tensor<4x8xf32>
}
