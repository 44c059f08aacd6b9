// RUN: dsc-opt %s --dsc-raise-attention --dsc-pack-attention --dsc-canonicalize-views | FileCheck %s

// CHECK: dsc.patterns = [
// CHECK-SAME: detail = "2 heads, causal", found = true, function = "sdpa_dynamo", pattern = "attention"}
// CHECK-SAME: detail = "a mask joins the scores before they are scaled", found = false, function = "mask_before_scale"
// CHECK-SAME: detail = "a dropout stands between the probabilities and v", found = false, function = "dropout"
// CHECK-SAME: detail = "the probabilities go into 'dsc.mul', not into a product with v", found = false, function = "weighted"
// CHECK-SAME: detail = "the probabilities are used more than once", found = false, function = "probabilities_returned"
// CHECK-SAME: detail = "the mask depends on a trained parameter, and attention has no gradient for it", found = false, function = "trained_bias"
// CHECK-SAME: detail = "'dsc.tanh' between the product of q and k and the softmax", found = false, function = "soft_cap"
// CHECK-SAME: detail = "the softmax is not over the last dimension", found = false, function = "over_queries"
// CHECK-SAME: detail = "q and k are 4 wide, v is 8", found = false, function = "wide_v"
// CHECK-SAME: detail = "one projection of 24 columns", found = true, function = "sdpa_dynamo", pattern = "packed_qkv"}
// CHECK-SAME: detail = "4 heads share 2 of k and v", found = true, function = "grouped_query", pattern = "grouped_query"}

dsc.global @causal : tensor<3x3xf32> {role = #dsc.role<constant>,
    value = dense<[[0.0, -3.4e38, -3.4e38], [0.0, 0.0, -3.4e38], [0.0, 0.0, 0.0]]> : tensor<3x3xf32>}
dsc.global @hidden : tensor<1x1x3x3xi1> {role = #dsc.role<constant>,
    value = dense<[[[[false, true, true], [false, false, true], [false, false, false]]]]> : tensor<1x1x3x3xi1>}
dsc.global @window : tensor<3x3xi1> {role = #dsc.role<constant>,
    value = dense<[[true, false, false], [true, true, false], [false, true, true]]> : tensor<3x3xi1>}
dsc.global @positions : tensor<3xi64> {role = #dsc.role<constant>, value = dense<[0, 1, 2]> : tensor<3xi64>}
dsc.global @bias : tensor<1x2x3x3xf32> {role = #dsc.role<trained>,
    source = #dsc.source<"model.onnx", "bias", "">}

// scaled_dot_product_attention(is_causal) by the dynamo exporter, heads split from one Linear: k transposed in three
// nodes, the scale's root on q and on k, the causal mask a constant with a finite number.
// CHECK-LABEL: @sdpa_dynamo
// CHECK-NEXT: %[[O:.+]], %{{.+}} = dsc.attention %arg0 {causal = true, heads = 2 : i64, kv_heads = 2 : i64, scale = 0.499999{{[0-9]+}} : f64} : (tensor<2x3x24xf32>)
// CHECK-NEXT: return %[[O]]
func.func @sdpa_dynamo(%qkv: tensor<2x3x24xf32>) -> tensor<2x3x8xf32> {
  %root = dsc.constant dense<0.707106769> : tensor<f32>
  %mask = dsc.get_global @causal : tensor<3x3xf32>
  %q = dsc.slice %qkv {starts = array<i64: 0, 0, 0>, sizes = array<i64: 2, 3, 8>, steps = array<i64: 1, 1, 1>} : (tensor<2x3x24xf32>) -> tensor<2x3x8xf32>
  %k = dsc.slice %qkv {starts = array<i64: 0, 0, 8>, sizes = array<i64: 2, 3, 8>, steps = array<i64: 1, 1, 1>} : (tensor<2x3x24xf32>) -> tensor<2x3x8xf32>
  %v = dsc.slice %qkv {starts = array<i64: 0, 0, 16>, sizes = array<i64: 2, 3, 8>, steps = array<i64: 1, 1, 1>} : (tensor<2x3x24xf32>) -> tensor<2x3x8xf32>
  %qr = dsc.reshape %q : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %kr = dsc.reshape %k : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %vr = dsc.reshape %v : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %qh = dsc.transpose %qr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %kh = dsc.transpose %kr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %vh = dsc.transpose %vr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %k3 = dsc.reshape %kh : (tensor<2x2x3x4xf32>) -> tensor<4x3x4xf32>
  %kt = dsc.transpose %k3 {permutation = array<i64: 0, 2, 1>} : (tensor<4x3x4xf32>) -> tensor<4x4x3xf32>
  %k4 = dsc.reshape %kt : (tensor<4x4x3xf32>) -> tensor<2x2x4x3xf32>
  %qs = dsc.mul %qh, %root : (tensor<2x2x3x4xf32>, tensor<f32>) -> tensor<2x2x3x4xf32>
  %ks = dsc.mul %k4, %root : (tensor<2x2x4x3xf32>, tensor<f32>) -> tensor<2x2x4x3xf32>
  %s = dsc.matmul %qs, %ks : (tensor<2x2x3x4xf32>, tensor<2x2x4x3xf32>) -> tensor<2x2x3x3xf32>
  %m = dsc.add %s, %mask : (tensor<2x2x3x3xf32>, tensor<3x3xf32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %vh : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %ot = dsc.transpose %o {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x2x3x4xf32>) -> tensor<2x3x2x4xf32>
  %y = dsc.reshape %ot : (tensor<2x3x2x4xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// Eager attention by the TorchScript exporter, three projections: the head split of k merged with its transpose, the
// scale on the scores, masked_fill with -inf of what a constant hides.
// CHECK-LABEL: @eager_torchscript
// CHECK-NEXT: %[[O:.+]], %{{.+}} = dsc.attention %arg0, %arg1, %arg2 {causal = true, heads = 2 : i64, kv_heads = 2 : i64, scale = 5.000000e-01 : f64} : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>)
// CHECK-NEXT: return %[[O]]
func.func @eager_torchscript(%q: tensor<2x3x8xf32>, %k: tensor<2x3x8xf32>, %v: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %two = dsc.constant dense<2.0> : tensor<f32>
  %low = dsc.constant dense<0xFF800000> : tensor<f32>
  %hidden = dsc.get_global @hidden : tensor<1x1x3x3xi1>
  %qr = dsc.reshape %q : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %kr = dsc.reshape %k : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %vr = dsc.reshape %v : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %qh = dsc.transpose %qr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %kh = dsc.transpose %kr {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x4x3xf32>
  %vh = dsc.transpose %vr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %s = dsc.matmul %qh, %kh : (tensor<2x2x3x4xf32>, tensor<2x2x4x3xf32>) -> tensor<2x2x3x3xf32>
  %d = dsc.div %s, %two : (tensor<2x2x3x3xf32>, tensor<f32>) -> tensor<2x2x3x3xf32>
  %m = dsc.select %hidden, %low, %d : (tensor<1x1x3x3xi1>, tensor<f32>, tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %vh : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %ot = dsc.transpose %o {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x2x3x4xf32>) -> tensor<2x3x2x4xf32>
  %y = dsc.reshape %ot : (tensor<2x3x2x4xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// timm's split of q, k, v (one transpose, then a slice each), without a mask.
// CHECK-LABEL: @split_by_transpose
// CHECK-NEXT: %[[O:.+]], %{{.+}} = dsc.attention %arg0 {heads = 2 : i64, kv_heads = 2 : i64, scale = 5.000000e-01 : f64} : (tensor<2x3x24xf32>)
// CHECK-NEXT: return %[[O]]
func.func @split_by_transpose(%x: tensor<2x3x24xf32>) -> tensor<2x3x8xf32> {
  %half = dsc.constant dense<0.5> : tensor<f32>
  %r = dsc.reshape %x : (tensor<2x3x24xf32>) -> tensor<2x3x3x2x4xf32>
  %t = dsc.transpose %r {permutation = array<i64: 2, 0, 3, 1, 4>} : (tensor<2x3x3x2x4xf32>) -> tensor<3x2x2x3x4xf32>
  %q5 = dsc.slice %t {starts = array<i64: 0, 0, 0, 0, 0>, sizes = array<i64: 1, 2, 2, 3, 4>, steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x2x3x4xf32>) -> tensor<1x2x2x3x4xf32>
  %k5 = dsc.slice %t {starts = array<i64: 1, 0, 0, 0, 0>, sizes = array<i64: 1, 2, 2, 3, 4>, steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x2x3x4xf32>) -> tensor<1x2x2x3x4xf32>
  %v5 = dsc.slice %t {starts = array<i64: 2, 0, 0, 0, 0>, sizes = array<i64: 1, 2, 2, 3, 4>, steps = array<i64: 1, 1, 1, 1, 1>} : (tensor<3x2x2x3x4xf32>) -> tensor<1x2x2x3x4xf32>
  %q = dsc.reshape %q5 : (tensor<1x2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %k = dsc.reshape %k5 : (tensor<1x2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %v = dsc.reshape %v5 : (tensor<1x2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %qs = dsc.mul %q, %half : (tensor<2x2x3x4xf32>, tensor<f32>) -> tensor<2x2x3x4xf32>
  %s = dsc.matmul %qs, %k {transpose_b = true} : (tensor<2x2x3x4xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %s {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %v : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  %ot = dsc.transpose %o {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x2x3x4xf32>) -> tensor<2x3x2x4xf32>
  %y = dsc.reshape %ot : (tensor<2x3x2x4xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// Keys and values repeated for groups of heads (repeat_kv) are read once; a mask given at run time stays an operand and
// its guard against NaN goes.
// CHECK-LABEL: @grouped_query
// CHECK-NEXT: %[[O:.+]], %{{.+}} = dsc.attention %arg0, %arg1, %arg2 mask %arg3 {heads = 4 : i64, kv_heads = 2 : i64, scale = 1.000000e+00 : f64} : (tensor<2x3x16xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x1x3x3xf32>)
// CHECK-NEXT: return %[[O]]
func.func @grouped_query(%q: tensor<2x3x16xf32>, %k: tensor<2x3x8xf32>, %v: tensor<2x3x8xf32>, %mask: tensor<2x1x3x3xf32>) -> tensor<2x3x16xf32> {
  %zero = dsc.constant dense<0.0> : tensor<f32>
  %qr = dsc.reshape %q : (tensor<2x3x16xf32>) -> tensor<2x3x4x4xf32>
  %kr = dsc.reshape %k : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %vr = dsc.reshape %v : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %qh = dsc.transpose %qr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x4x4xf32>) -> tensor<2x4x3x4xf32>
  %kh = dsc.transpose %kr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %vh = dsc.transpose %vr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %ku = dsc.reshape %kh : (tensor<2x2x3x4xf32>) -> tensor<2x2x1x3x4xf32>
  %vu = dsc.reshape %vh : (tensor<2x2x3x4xf32>) -> tensor<2x2x1x3x4xf32>
  %ke = dsc.broadcast %ku : (tensor<2x2x1x3x4xf32>) -> tensor<2x2x2x3x4xf32>
  %ve = dsc.broadcast %vu : (tensor<2x2x1x3x4xf32>) -> tensor<2x2x2x3x4xf32>
  %k4 = dsc.reshape %ke : (tensor<2x2x2x3x4xf32>) -> tensor<2x4x3x4xf32>
  %v4 = dsc.reshape %ve : (tensor<2x2x2x3x4xf32>) -> tensor<2x4x3x4xf32>
  %s = dsc.matmul %qh, %k4 {transpose_b = true} : (tensor<2x4x3x4xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x3xf32>
  %m = dsc.add %s, %mask : (tensor<2x4x3x3xf32>, tensor<2x1x3x3xf32>) -> tensor<2x4x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
  %n = dsc.is_nan %p : (tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xi1>
  %g = dsc.select %n, %zero, %p : (tensor<2x4x3x3xi1>, tensor<f32>, tensor<2x4x3x3xf32>) -> tensor<2x4x3x3xf32>
  %o = dsc.matmul %g, %v4 : (tensor<2x4x3x3xf32>, tensor<2x4x3x4xf32>) -> tensor<2x4x3x4xf32>
  %ot = dsc.transpose %o {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x3x4xf32>) -> tensor<2x3x4x4xf32>
  %y = dsc.reshape %ot : (tensor<2x3x4x4xf32>) -> tensor<2x3x16xf32>
  return %y : tensor<2x3x16xf32>
}

// Masks of long sequences are ops on positions; repeated for the batch, they are what their rows are.
// CHECK-LABEL: @computed_mask
// CHECK-NEXT: dsc.attention %arg0, %arg1, %arg2 {causal = true, heads = 2 : i64, kv_heads = 2 : i64, scale = 1.000000e+00 : f64} : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>)
func.func @computed_mask(%q: tensor<2x3x8xf32>, %k: tensor<2x3x8xf32>, %v: tensor<2x3x8xf32>) -> tensor<2x2x3x4xf32> {
  %zero = dsc.constant dense<0.0> : tensor<f32>
  %hidden = dsc.constant dense<-3.4e38> : tensor<f32>
  %true = dsc.constant dense<true> : tensor<2x1x3x3xi1>
  %keys = dsc.get_global @positions : tensor<3xi64>
  %queries = dsc.reshape %keys : (tensor<3xi64>) -> tensor<1x1x3x1xi64>
  %visible = dsc.compare %keys, %queries {predicate = #dsc.compare_predicate<le>} : (tensor<3xi64>, tensor<1x1x3x1xi64>) -> tensor<1x1x3x3xi1>
  %all = dsc.broadcast %visible : (tensor<1x1x3x3xi1>) -> tensor<2x1x3x3xi1>
  %both = dsc.and %true, %all : (tensor<2x1x3x3xi1>, tensor<2x1x3x3xi1>) -> tensor<2x1x3x3xi1>
  %mask = dsc.select %both, %zero, %hidden : (tensor<2x1x3x3xi1>, tensor<f32>, tensor<f32>) -> tensor<2x1x3x3xf32>
  %qr = dsc.reshape %q : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %kr = dsc.reshape %k : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %vr = dsc.reshape %v : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %qh = dsc.transpose %qr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %kh = dsc.transpose %kr {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x4x3xf32>
  %vh = dsc.transpose %vr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %s = dsc.matmul %qh, %kh : (tensor<2x2x3x4xf32>, tensor<2x2x4x3xf32>) -> tensor<2x2x3x3xf32>
  %m = dsc.add %s, %mask : (tensor<2x2x3x3xf32>, tensor<2x1x3x3xf32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %vh : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  return %o : tensor<2x2x3x4xf32>
}

// A window is not causal: its mask stays an operand.
// CHECK-LABEL: @computed_window
// CHECK: dsc.attention %arg0, %arg1, %arg2 mask %{{.+}} {heads = 2
func.func @computed_window(%q: tensor<2x3x8xf32>, %k: tensor<2x3x8xf32>, %v: tensor<2x3x8xf32>) -> tensor<2x2x3x4xf32> {
  %hidden = dsc.constant dense<0xFF800000> : tensor<f32>
  %one = dsc.constant dense<1> : tensor<i64>
  %keys = dsc.get_global @positions : tensor<3xi64>
  %queries = dsc.reshape %keys : (tensor<3xi64>) -> tensor<1x1x3x1xi64>
  %next = dsc.add %queries, %one : (tensor<1x1x3x1xi64>, tensor<i64>) -> tensor<1x1x3x1xi64>
  %visible = dsc.compare %keys, %next {predicate = #dsc.compare_predicate<le>} : (tensor<3xi64>, tensor<1x1x3x1xi64>) -> tensor<1x1x3x3xi1>
  %qr = dsc.reshape %q : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %kr = dsc.reshape %k : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %vr = dsc.reshape %v : (tensor<2x3x8xf32>) -> tensor<2x3x2x4xf32>
  %qh = dsc.transpose %qr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %kh = dsc.transpose %kr {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x4x3xf32>
  %vh = dsc.transpose %vr {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x2x4xf32>) -> tensor<2x2x3x4xf32>
  %s = dsc.matmul %qh, %kh : (tensor<2x2x3x4xf32>, tensor<2x2x4x3xf32>) -> tensor<2x2x3x3xf32>
  %m = dsc.select %visible, %s, %hidden : (tensor<1x1x3x3xi1>, tensor<2x2x3x3xf32>, tensor<f32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %vh : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  return %o : tensor<2x2x3x4xf32>
}

// A constant mask that is not causal is an operand; one batch dimension for batch and heads (bmm), rotated q and k: what
// was computed per head is copied into rows.
// CHECK-LABEL: @window_bmm
// CHECK: %[[W:.+]] = dsc.get_global @window
// CHECK: %[[M:.+]] = dsc.reshape %[[W]] : (tensor<3x3xi1>) -> tensor<1x1x3x3xi1>
// CHECK: %[[O:.+]], %{{.+}} = dsc.attention {{.*}} mask %[[M]] {heads = 1 : i64, kv_heads = 1 : i64, scale = 1.000000e+00 : f64} : (tensor<4x3x4xf32>, tensor<4x3x4xf32>, tensor<4x3x4xf32>, tensor<1x1x3x3xi1>)
// CHECK-NEXT: return %[[O]]
func.func @window_bmm(%q: tensor<4x3x4xf32>, %k: tensor<4x3x4xf32>, %v: tensor<4x3x4xf32>) -> tensor<4x3x4xf32> {
  %low = dsc.constant dense<0xFF800000> : tensor<f32>
  %window = dsc.get_global @window : tensor<3x3xi1>
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<4x3x4xf32>, tensor<4x3x4xf32>) -> tensor<4x3x3xf32>
  %m = dsc.select %window, %s, %low : (tensor<3x3xi1>, tensor<4x3x3xf32>, tensor<f32>) -> tensor<4x3x3xf32>
  %p = dsc.softmax %m {axis = 2 : i64} : (tensor<4x3x3xf32>) -> tensor<4x3x3xf32>
  %o = dsc.matmul %p, %v : (tensor<4x3x3xf32>, tensor<4x3x4xf32>) -> tensor<4x3x4xf32>
  return %o : tensor<4x3x4xf32>
}

// Two masks, one of them known at run time only: both stay numbers, because a row that is all hidden is averaged.
// CHECK-LABEL: @two_masks
// CHECK: %[[C:.+]] = dsc.reshape %{{.+}} : (tensor<3x3xf32>) -> tensor<1x1x3x3xf32>
// CHECK: %[[M:.+]] = dsc.select %arg3, %[[C]], %{{.+}} : (tensor<2x1x1x3xi1>, tensor<1x1x3x3xf32>, tensor<f32>) -> tensor<2x1x3x3xf32>
// CHECK: dsc.attention {{.*}} mask %[[M]] {heads = 2
func.func @two_masks(%q: tensor<2x2x3x4xf32>, %k: tensor<2x2x3x4xf32>, %v: tensor<2x2x3x4xf32>, %keys: tensor<2x1x1x3xi1>) -> tensor<2x2x3x4xf32> {
  %low = dsc.constant dense<-3.4e38> : tensor<f32>
  %causal = dsc.get_global @causal : tensor<3x3xf32>
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x2x3x4xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x3xf32>
  %a = dsc.add %s, %causal : (tensor<2x2x3x3xf32>, tensor<3x3xf32>) -> tensor<2x2x3x3xf32>
  %m = dsc.select %keys, %a, %low : (tensor<2x1x1x3xi1>, tensor<2x2x3x3xf32>, tensor<f32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %v : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  return %o : tensor<2x2x3x4xf32>
}

// CHECK-LABEL: @mask_before_scale
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @mask_before_scale(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>, %mask: tensor<3x3xf32>) -> tensor<2x3x4xf32> {
  %half = dsc.constant dense<0.5> : tensor<f32>
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %m = dsc.add %s, %mask : (tensor<2x3x3xf32>, tensor<3x3xf32>) -> tensor<2x3x3xf32>
  %h = dsc.mul %m, %half : (tensor<2x3x3xf32>, tensor<f32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %h {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %p, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o : tensor<2x3x4xf32>
}

// Dropout on the probabilities.
// CHECK-LABEL: @dropout
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @dropout(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %n = dsc.constant dense<3> : tensor<i64>
  %ratio = dsc.constant dense<0.25> : tensor<f32>
  %inverse = dsc.constant dense<1.33333337> : tensor<f32>
  %zero = dsc.constant dense<0.0> : tensor<f32>
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %s {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %u = dsc.random %n, %n, %n {distribution = #dsc.distribution<uniform>, number = 0 : i64} : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<2x3x3xf32>
  %keep = dsc.compare %u, %ratio {predicate = #dsc.compare_predicate<ge>} : (tensor<2x3x3xf32>, tensor<f32>) -> tensor<2x3x3xi1>
  %m = dsc.mul %p, %inverse : (tensor<2x3x3xf32>, tensor<f32>) -> tensor<2x3x3xf32>
  %d = dsc.select %keep, %m, %zero : (tensor<2x3x3xi1>, tensor<2x3x3xf32>, tensor<f32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %d, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o : tensor<2x3x4xf32>
}

// CHECK-LABEL: @weighted
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @weighted(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>, %keep: tensor<2x3x3xf32>) -> tensor<2x3x4xf32> {
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %s {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %d = dsc.mul %p, %keep : (tensor<2x3x3xf32>, tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %d, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o : tensor<2x3x4xf32>
}

// CHECK-LABEL: @probabilities_returned
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @probabilities_returned(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>) -> (tensor<2x3x4xf32>, tensor<2x3x3xf32>) {
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %s {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %p, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o, %p : tensor<2x3x4xf32>, tensor<2x3x3xf32>
}

// CHECK-LABEL: @trained_bias
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @trained_bias(%q: tensor<2x2x3x4xf32>, %k: tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32> {
  %bias = dsc.get_global @bias : tensor<1x2x3x3xf32>
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x2x3x4xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x3xf32>
  %m = dsc.add %bias, %s : (tensor<1x2x3x3xf32>, tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %p = dsc.softmax %m {axis = 3 : i64} : (tensor<2x2x3x3xf32>) -> tensor<2x2x3x3xf32>
  %o = dsc.matmul %p, %k : (tensor<2x2x3x3xf32>, tensor<2x2x3x4xf32>) -> tensor<2x2x3x4xf32>
  return %o : tensor<2x2x3x4xf32>
}

// CHECK-LABEL: @soft_cap
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @soft_cap(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %t = dsc.tanh %s : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %t {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %p, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o : tensor<2x3x4xf32>
}

// CHECK-LABEL: @over_queries
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @over_queries(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %s {axis = 1 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %p, %k : (tensor<2x3x3xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %o : tensor<2x3x4xf32>
}

// CHECK-LABEL: @wide_v
// CHECK-NOT: dsc.attention
// CHECK: return
func.func @wide_v(%q: tensor<2x3x4xf32>, %k: tensor<2x3x4xf32>, %v: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x3xf32>
  %p = dsc.softmax %s {axis = 2 : i64} : (tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %o = dsc.matmul %p, %v : (tensor<2x3x3xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  return %o : tensor<2x3x8xf32>
}

// The softmax of a classifier is left alone and not reported.
// CHECK-LABEL: @classifier
// CHECK: dsc.softmax
func.func @classifier(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %w = dsc.get_global @causal : tensor<3x3xf32>
  %s = dsc.matmul %x, %w : (tensor<4x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  %p = dsc.softmax %s {axis = 1 : i64} : (tensor<4x3xf32>) -> tensor<4x3xf32>
  return %p : tensor<4x3xf32>
}
