// RUN: dsc-opt %s --dsc-raise-activation | FileCheck %s

// The report names every gelu that was found, and what differed in the near misses.
// CHECK: dsc.patterns = [
// CHECK-SAME: {at = {{.*}}, detail = "erf form", found = true, function = "erf_half_first", pattern = "gelu"}
// CHECK-SAME: {{.*}}detail = "a part of it is used elsewhere", found = false, function = "part_used_elsewhere"
// CHECK-SAME: {{.*}}detail = "the factors are not those of 0.5 x (1 + t)", found = false, function = "wrong_half"

// erf, the dynamo exporter's order: x * (0.5 * (erf(x / sqrt 2) + 1)).
// CHECK-LABEL: @erf_half_first
// CHECK-NEXT: %[[Y:.+]] = dsc.gelu %arg0 {kind = #dsc.gelu_kind<erf>}
// CHECK-NEXT: return %[[Y]]
func.func @erf_half_first(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %sqrt2 = dsc.constant dense<1.41421354> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %u = dsc.div %x, %sqrt2 : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %p = dsc.mul %half, %s : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %x, %p : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// erf, the TorchScript exporter's order: (x * (erf(x / sqrt 2) + 1)) * 0.5; constants of shape [1].
// CHECK-LABEL: @erf_half_last
// CHECK-NEXT: %[[Y:.+]] = dsc.gelu %arg0 {kind = #dsc.gelu_kind<erf>}
// CHECK-NEXT: return %[[Y]]
func.func @erf_half_last(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %sqrt2 = dsc.constant dense<1.41421354> : tensor<1xf32>
  %one = dsc.constant dense<1.0> : tensor<1xf32>
  %half = dsc.constant dense<0.5> : tensor<1xf32>
  %u = dsc.div %x, %sqrt2 : (tensor<4x8xf32>, tensor<1xf32>) -> tensor<4x8xf32>
  %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<1xf32>) -> tensor<4x8xf32>
  %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %p, %half : (tensor<4x8xf32>, tensor<1xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// tanh, the TorchScript exporter below opset 20: cubes as products.
// CHECK-LABEL: @tanh_products
// CHECK-NEXT: %[[Y:.+]] = dsc.gelu %arg0 {kind = #dsc.gelu_kind<tanh>}
// CHECK-NEXT: return %[[Y]]
func.func @tanh_products(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %c = dsc.constant dense<4.471500e-02> : tensor<f32>
  %root = dsc.constant dense<0.797884583> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %x2 = dsc.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %x3 = dsc.mul %x, %x2 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %cx3 = dsc.mul %c, %x3 : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %a = dsc.add %x, %cx3 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %u = dsc.mul %root, %a : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %t = dsc.tanh %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %one, %t : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %half, %p : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// tanh, Hugging Face's gelu_new: (0.5 x) * (tanh(root (x + c x^3)) + 1), where x is itself a sum.
// CHECK-LABEL: @tanh_gelu_new
// CHECK-NEXT: %[[X:.+]] = dsc.add %arg0, %arg1
// CHECK-NEXT: %[[Y:.+]] = dsc.gelu %[[X]] {kind = #dsc.gelu_kind<tanh>}
// CHECK-NEXT: return %[[Y]]
func.func @tanh_gelu_new(%m: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {
  %c = dsc.constant dense<4.471500e-02> : tensor<f32>
  %root = dsc.constant dense<0.797884583> : tensor<f32>
  %three = dsc.constant dense<3.0> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %x = dsc.add %m, %b : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %h = dsc.mul %x, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %x3 = dsc.pow %x, %three : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %cx3 = dsc.mul %x3, %c : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %a = dsc.add %x, %cx3 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %u = dsc.mul %a, %root : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %t = dsc.tanh %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %y = dsc.mul %h, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// tanh, the "fast" form: 0.5 x (1 + tanh(root x (1 + c x x))).
// CHECK-LABEL: @tanh_fast
// CHECK-NEXT: %[[Y:.+]] = dsc.gelu %arg0 {kind = #dsc.gelu_kind<tanh>}
// CHECK-NEXT: return %[[Y]]
func.func @tanh_fast(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %c = dsc.constant dense<4.471500e-02> : tensor<f32>
  %root = dsc.constant dense<0.797884583> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %rx = dsc.mul %x, %root : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %cx = dsc.mul %x, %c : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %cxx = dsc.mul %cx, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %i = dsc.add %cxx, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %u = dsc.mul %rx, %i : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %t = dsc.tanh %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %h = dsc.mul %x, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %y = dsc.mul %h, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// GEGLU: the product with the gate stays outside.
// CHECK-LABEL: @gate_stays_outside
// CHECK-NEXT: %[[G:.+]] = dsc.gelu %arg0 {kind = #dsc.gelu_kind<erf>}
// CHECK-NEXT: %[[Y:.+]] = dsc.mul %[[G]], %arg1
// CHECK-NEXT: return %[[Y]]
func.func @gate_stays_outside(%x: tensor<4x8xf32>, %gate: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %r = dsc.constant dense<0.707106769> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %u = dsc.mul %x, %r : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %g = dsc.mul %half, %p : (tensor<f32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %g, %gate : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// A part that something else reads must be computed anyway: near miss.
// CHECK-LABEL: @part_used_elsewhere
// CHECK-NOT: dsc.gelu
// CHECK: return
func.func @part_used_elsewhere(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %r = dsc.constant dense<0.707106769> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %half = dsc.constant dense<0.5> : tensor<f32>
  %u = dsc.mul %x, %r : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %p, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %y, %s : tensor<4x8xf32>, tensor<4x8xf32>
}

// x (1 + erf) without the half is no gelu: near miss.
// CHECK-LABEL: @wrong_half
// CHECK-NOT: dsc.gelu
// CHECK: return
func.func @wrong_half(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %r = dsc.constant dense<0.707106769> : tensor<f32>
  %one = dsc.constant dense<1.0> : tensor<f32>
  %quarter = dsc.constant dense<0.25> : tensor<f32>
  %u = dsc.mul %x, %r : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.mul %p, %quarter : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %z = dsc.mul %y, %quarter : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %a = dsc.mul %z, %quarter : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  return %a : tensor<4x8xf32>
}

// An erf of something else, a tanh of its own: not touched, not reported.
// CHECK-LABEL: @others
// CHECK: dsc.tanh
// CHECK: dsc.erf
func.func @others(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %t = dsc.tanh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.erf %t : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}
