// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<4x8xf32>) {
  // CHECK: dsc.softmax %{{.+}} {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.softmax %x {axis = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// CHECK-LABEL: func.func @log_softmax
func.func @log_softmax(%x: tensor<4x8xbf16>) {
  // CHECK: dsc.log_softmax %{{.+}} {axis = 1 : i64} : (tensor<4x8xbf16>) -> tensor<4x8xbf16>
  %y = dsc.log_softmax %x {axis = 1 : i64} : (tensor<4x8xbf16>) -> tensor<4x8xbf16>
  return
}

// Statistics are f32; weights may leave leading dimensions of the normalized ones out, or have size 1 before them.
// CHECK-LABEL: func.func @layer_norm
func.func @layer_norm(%x: tensor<2x4x8xbf16>, %g: tensor<4x8xbf16>, %b: tensor<1x1x8xbf16>, %s: tensor<2x1x1xf32>) {
  // CHECK: dsc.layer_norm %{{.+}} gamma %{{.+}} beta %{{.+}} {axis = 1 : i64, epsilon = 1.000000e-05 : f64}
  %y, %m, %r = dsc.layer_norm %x gamma %g beta %b {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<2x4x8xbf16>, tensor<4x8xbf16>, tensor<1x1x8xbf16>) -> (tensor<2x4x8xbf16>, tensor<2x1x1xf32>, tensor<2x1x1xf32>)
  // CHECK: dsc.layer_norm {{%[^ ]+}} {axis
  %z, %n, %q = dsc.layer_norm %x {axis = 1 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x4x8xbf16>) -> (tensor<2x4x8xbf16>, tensor<2x1x1xf32>, tensor<2x1x1xf32>)
  // CHECK: dsc.layer_norm_grad %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} {axis = 1 : i64}
  %dx = dsc.layer_norm_grad %x, %s, %s, %x {axis = 1 : i64} : (tensor<2x4x8xbf16>, tensor<2x1x1xf32>, tensor<2x1x1xf32>, tensor<2x4x8xbf16>) -> tensor<2x4x8xbf16>
  return
}

// Statistics of f64 are f64.
// CHECK-LABEL: func.func @rms_norm
func.func @rms_norm(%x: tensor<4x8xf64>, %g: tensor<8xf64>, %r: tensor<4x1xf64>) {
  // CHECK: dsc.rms_norm %{{.+}}, %{{.+}} {axis = 1 : i64
  %y, %s = dsc.rms_norm %x, %g {axis = 1 : i64, epsilon = 1.0e-6 : f64} : (tensor<4x8xf64>, tensor<8xf64>) -> (tensor<4x8xf64>, tensor<4x1xf64>)
  // CHECK: dsc.rms_norm {{%[^ ]+}} {axis = 0 : i64
  %z, %t = dsc.rms_norm %x {axis = 0 : i64, epsilon = 1.0e-6 : f64} : (tensor<4x8xf64>) -> (tensor<4x8xf64>, tensor<1x1xf64>)
  // CHECK: dsc.rms_norm_grad %{{.+}}, %{{.+}}, %{{.+}} {axis = 1 : i64}
  %dx = dsc.rms_norm_grad %x, %r, %x {axis = 1 : i64} : (tensor<4x8xf64>, tensor<4x1xf64>, tensor<4x8xf64>) -> tensor<4x8xf64>
  return
}

// CHECK-LABEL: func.func @batch_norm
func.func @batch_norm(%x: tensor<4x8x8x3xf32>, %c: tensor<3xf32>) {
  // CHECK: dsc.batch_norm %{{.+}}, %{{.+}}, %{{.+}} {epsilon = 1.000000e-05 : f64, layout = #dsc.conv_layout<channels_last>}
  %y, %m, %v, %r = dsc.batch_norm %x, %c, %c {epsilon = 1.0e-5 : f64, layout = #dsc.conv_layout<channels_last>}
      : (tensor<4x8x8x3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x8x8x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
  // CHECK: dsc.batch_norm_grad %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} {layout
  %dx, %dg, %db = dsc.batch_norm_grad %x, %c, %m, %r, %x {layout = #dsc.conv_layout<channels_last>}
      : (tensor<4x8x8x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4x8x8x3xf32>) -> (tensor<4x8x8x3xf32>, tensor<3xf32>, tensor<3xf32>)
  return
}

// CHECK-LABEL: func.func @cross_entropy
func.func @cross_entropy(%x: tensor<4x8x65xf16>, %l: tensor<4x8xi32>, %s: tensor<4x8xf32>) {
  // CHECK: dsc.cross_entropy %{{.+}}, %{{.+}} {ignore_index = -100 : i64, label_smoothing = 1.000000e+00 : f64}
  %loss, %lse = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 1.0 : f64}
      : (tensor<4x8x65xf16>, tensor<4x8xi32>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
  // CHECK: dsc.cross_entropy_grad %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} {ignore_index
  %dx = dsc.cross_entropy_grad %x, %l, %s, %s {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<4x8x65xf16>, tensor<4x8xi32>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8x65xf16>
  return
}

// One position has a scalar label.
// CHECK-LABEL: func.func @cross_entropy_of_one
func.func @cross_entropy_of_one(%x: tensor<65xf32>, %l: tensor<i64>) {
  // CHECK: dsc.cross_entropy %{{.+}}, %{{.+}}
  %loss, %lse = dsc.cross_entropy %x, %l {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
      : (tensor<65xf32>, tensor<i64>) -> (tensor<f32>, tensor<f32>)
  return
}
