// RUN: dsc-opt %s --dsc-raise-normalization | FileCheck %s

// CHECK: dsc.patterns = [
// CHECK-SAME: detail = "one op in the file", found = true, function = "row_weight_stays", pattern = "rms_norm"}
// CHECK-SAME: {at = {{.*}}, detail = "axis 2, epsilon 1e-05", found = true, function = "layer_norm_pow", pattern = "layer_norm"}
// CHECK-SAME: {{.*}}detail = "the mean is not over the last dimensions", found = false, function = "not_the_last_dimensions"

// ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, Mul, Add: what PyTorch writes below opset 17.
// CHECK-LABEL: @layer_norm_pow
// CHECK-NEXT: %[[Y:.+]], %{{.+}}, %{{.+}} = dsc.layer_norm %arg0 gamma %arg1 beta %arg2 {axis = 2 : i64, epsilon = {{9\.99.*|1\.0.*}} : f64}
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_pow(%x: tensor<2x3x8xf32>, %w: tensor<8xf32>, %b: tensor<8xf32>) -> tensor<2x3x8xf32> {
  %eight = dsc.constant dense<8.0> : tensor<f32>
  %two = dsc.constant dense<2.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-5> : tensor<f32>
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
  %m = dsc.div %s, %eight : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
  %d = dsc.sub %x, %m : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  %d2 = dsc.pow %d, %two : (tensor<2x3x8xf32>, tensor<f32>) -> tensor<2x3x8xf32>
  %s2 = dsc.reduce %d2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<2x3x8xf32>) -> tensor<2x3x1xf32>
  %v = dsc.div %s2, %eight : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
  %ve = dsc.add %v, %eps : (tensor<2x3x1xf32>, tensor<f32>) -> tensor<2x3x1xf32>
  %r = dsc.sqrt %ve : (tensor<2x3x1xf32>) -> tensor<2x3x1xf32>
  %n = dsc.div %d, %r : (tensor<2x3x8xf32>, tensor<2x3x1xf32>) -> tensor<2x3x8xf32>
  %nw = dsc.mul %n, %w : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %y = dsc.add %nw, %b : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// The mean as a product, the square as a product, 1 / root first, weight and bias on the left, two dimensions.
// CHECK-LABEL: @layer_norm_products
// CHECK-NEXT: %[[Y:.+]], %{{.+}}, %{{.+}} = dsc.layer_norm %arg0 gamma %arg1 beta %arg2 {axis = 1 : i64
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_products(%x: tensor<2x2x4xf32>, %w: tensor<2x4xf32>, %b: tensor<1x2x4xf32>) -> tensor<2x2x4xf32> {
  %eighth = dsc.constant dense<0.125> : tensor<1xf32>
  %eps = dsc.constant dense<1.0e-5> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1, 2>} : (tensor<2x2x4xf32>) -> tensor<2x1x1xf32>
  %m = dsc.mul %eighth, %s : (tensor<1xf32>, tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %d = dsc.sub %x, %m : (tensor<2x2x4xf32>, tensor<2x1x1xf32>) -> tensor<2x2x4xf32>
  %d2 = dsc.mul %d, %d : (tensor<2x2x4xf32>, tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
  %s2 = dsc.reduce %d2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1, 2>} : (tensor<2x2x4xf32>) -> tensor<2x1x1xf32>
  %v = dsc.mul %s2, %eighth : (tensor<2x1x1xf32>, tensor<1xf32>) -> tensor<2x1x1xf32>
  %ve = dsc.add %eps, %v : (tensor<f32>, tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %r = dsc.sqrt %ve : (tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %i = dsc.div %one, %r : (tensor<f32>, tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %n = dsc.mul %i, %d : (tensor<2x1x1xf32>, tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
  %nw = dsc.mul %w, %n : (tensor<2x4xf32>, tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
  %y = dsc.add %b, %nw : (tensor<1x2x4xf32>, tensor<2x2x4xf32>) -> tensor<2x2x4xf32>
  return %y : tensor<2x2x4xf32>
}

// A mean whose dimensions were dropped and restored by reshapes; no weights.
// CHECK-LABEL: @layer_norm_without_keepdims
// CHECK-NEXT: %[[Y:.+]], %{{.+}}, %{{.+}} = dsc.layer_norm %arg0 {axis = 1 : i64
// CHECK-NEXT: return %[[Y]]
func.func @layer_norm_without_keepdims(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %eight = dsc.constant dense<8.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-5> : tensor<f32>
  %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %f = dsc.reshape %s : (tensor<4x1xf32>) -> tensor<4xf32>
  %q = dsc.div %f, %eight : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m = dsc.reshape %q : (tensor<4xf32>) -> tensor<4x1xf32>
  %d = dsc.sub %x, %m : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %d2 = dsc.mul %d, %d : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %s2 = dsc.reduce %d2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %v = dsc.div %s2, %eight : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %ve = dsc.add %v, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %r = dsc.rsqrt %ve : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = dsc.mul %d, %r : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %n : tensor<4x8xf32>
}

// Hugging Face's RMS norm: x * reciprocal(sqrt(mean(x^2) + eps)), weight on the left.
// CHECK-LABEL: @rms_norm_reciprocal
// CHECK-NEXT: %[[Y:.+]], %{{.+}} = dsc.rms_norm %arg0, %arg1 {axis = 1 : i64
// CHECK-NEXT: return %[[Y]]
func.func @rms_norm_reciprocal(%x: tensor<4x8xf32>, %w: tensor<8xf32>) -> tensor<4x8xf32> {
  %eight = dsc.constant dense<8.0> : tensor<f32>
  %two = dsc.constant dense<2.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-6> : tensor<f32>
  %x2 = dsc.pow %x, %two : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %s = dsc.reduce %x2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %m = dsc.div %s, %eight : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %me = dsc.add %m, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %r = dsc.sqrt %me : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %i = dsc.reciprocal %r : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = dsc.mul %x, %i : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %w, %n : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// What is centered by another value than its mean is an RMS norm of the difference.
// CHECK-LABEL: @centered_by_another
// CHECK: %[[D:.+]] = dsc.sub %arg0, %arg1
// CHECK: dsc.rms_norm %[[D]] {axis = 1
func.func @centered_by_another(%x: tensor<4x8xf32>, %c: tensor<4x1xf32>) -> tensor<4x8xf32> {
  %eight = dsc.constant dense<8.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-6> : tensor<f32>
  %d = dsc.sub %x, %c : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %d2 = dsc.mul %d, %d : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.reduce %d2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %m = dsc.div %s, %eight : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %me = dsc.add %m, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %r = dsc.sqrt %me : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = dsc.div %d, %r : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %n : tensor<4x8xf32>
}

// A weight that is not one number a normalized position stays a product.
// CHECK-LABEL: @row_weight_stays
// CHECK: %[[N:.+]], %{{.+}} = dsc.rms_norm %arg0 {axis = 1
// CHECK: dsc.mul %[[N]], %arg1
func.func @row_weight_stays(%x: tensor<4x8xf32>, %w: tensor<4x1xf32>) -> tensor<4x8xf32> {
  %n, %r = dsc.rms_norm %x {axis = 1 : i64, epsilon = 1.0e-6 : f64} : (tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>)
  %y = dsc.mul %n, %w : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// Normalized over the first dimension: near miss.
// CHECK-LABEL: @not_the_last_dimensions
// CHECK-NOT: rms_norm
// CHECK: return
func.func @not_the_last_dimensions(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %four = dsc.constant dense<4.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-6> : tensor<f32>
  %x2 = dsc.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.reduce %x2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<4x8xf32>) -> tensor<1x8xf32>
  %m = dsc.div %s, %four : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %me = dsc.add %m, %eps : (tensor<1x8xf32>, tensor<f32>) -> tensor<1x8xf32>
  %r = dsc.sqrt %me : (tensor<1x8xf32>) -> tensor<1x8xf32>
  %n = dsc.div %x, %r : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
  return %n : tensor<4x8xf32>
}

// A sum divided by another number than its count is no mean.
// CHECK-LABEL: @no_mean
// CHECK-NOT: rms_norm
// CHECK: return
func.func @no_mean(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %seven = dsc.constant dense<7.0> : tensor<f32>
  %eps = dsc.constant dense<1.0e-6> : tensor<f32>
  %x2 = dsc.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.reduce %x2 {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %m = dsc.div %s, %seven : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %me = dsc.add %m, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %r = dsc.sqrt %me : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = dsc.div %x, %r : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  return %n : tensor<4x8xf32>
}
