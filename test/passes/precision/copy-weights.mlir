// RUN: dsc-opt %s --dsc-copy-weights | FileCheck %s

// A parameter gets a copy that its update writes; a frozen matrix one that nothing writes; a constant is rounded here; running
// statistics are cast where they stand.
// CHECK: module attributes {dsc.casts = {left = 1 : i64}
module attributes {dsc.options = {precision = "bf16", loss = "none"}} {
  // CHECK: dsc.global @w : tensor<4x4xf32>
  // CHECK-NEXT: dsc.global @w.bf16 : tensor<4x4xbf16> {of = @w, role = #dsc.role<compute>, slot_kind = "compute", value = dense<0.000000e+00> : tensor<4x4xbf16>}
  dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
  // CHECK: dsc.global @frozen.bf16 : tensor<4x4xbf16> {of = @frozen, role = #dsc.role<compute>
  dsc.global @frozen : tensor<4x4xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m.onnx", "frozen", "">}
  // CHECK: dsc.global @c.bf16 : tensor<2xbf16> {role = #dsc.role<constant>, value = dense<[1.000000e+00, 2.343750e-01]> : tensor<2xbf16>}
  dsc.global @c : tensor<2xf32> {role = #dsc.role<constant>, value = dense<[1.0, 0.234567]> : tensor<2xf32>}
  // CHECK-NOT: @seen.bf16
  dsc.global @seen : tensor<4x4xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m.onnx", "seen", "">}

  // CHECK-LABEL: func.func @last
  func.func @last(%m: tensor<4x4xf32>, %s: tensor<f32>, %ok: tensor<i1>) -> (tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<2xbf16>) {
    // CHECK-DAG: %[[MASTER:.+]] = dsc.get_global @w : tensor<4x4xf32>
    // CHECK-DAG: %[[W:.+]] = dsc.get_global @w.bf16 : tensor<4x4xbf16>
    // CHECK-DAG: %[[F:.+]] = dsc.get_global @frozen.bf16
    // CHECK-DAG: %[[C:.+]] = dsc.get_global @c.bf16
    %w = dsc.get_global @w : tensor<4x4xf32>
    %f = dsc.get_global @frozen : tensor<4x4xf32>
    %b = dsc.get_global @seen : tensor<4x4xf32>
    %c = dsc.get_global @c : tensor<2xf32>
    %w16 = dsc.cast %w : (tensor<4x4xf32>) -> tensor<4x4xbf16>
    %f16 = dsc.cast %f : (tensor<4x4xf32>) -> tensor<4x4xbf16>
    %b16 = dsc.cast %b : (tensor<4x4xf32>) -> tensor<4x4xbf16>
    %c16 = dsc.cast %c : (tensor<2xf32>) -> tensor<2xbf16>
    // CHECK: %[[NEW:.+]], %{{.+}}, %[[COPY:.+]] = dsc.sgd %[[MASTER]], %[[W]],
    // CHECK-SAME: -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xbf16>)
    // CHECK: dsc.set_global @w, %[[NEW]]
    // CHECK: dsc.set_global @w.bf16, %[[COPY]]
    %w1, %m1 = dsc.sgd %w, %w16, %m, %s, %s, %s, %s, %s, %s, %ok {nesterov = false}
        : (tensor<4x4xf32>, tensor<4x4xbf16>, tensor<4x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<4x4xf32>, tensor<4x4xf32>)
    dsc.set_global @w, %w1 : tensor<4x4xf32>
    dsc.set_global @seen, %m1 : tensor<4x4xf32>
    return %w16, %f16, %b16, %c16 : tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<4x4xbf16>, tensor<2xbf16>
  }
}
