// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// Two groups, a stride in one dimension, a dilation in the other.
// CHECK-LABEL: func.func @conv
func.func @conv(%x: tensor<2x4x8x8xf32>, %w: tensor<6x2x3x3xf32>, %bias: tensor<6xf32>) {
  // CHECK: dsc.conv %{{.+}}, %{{.+}}, %{{.+}} {dilations = array<i64: 1, 2>, groups = 2 : i64, pads_begin = array<i64: 1, 2>, pads_end = array<i64: 1, 2>, strides = array<i64: 2, 1>} : (tensor<2x4x8x8xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<2x6x4x8xf32>
  %y = dsc.conv %x, %w, %bias {dilations = array<i64: 1, 2>, groups = 2 : i64, pads_begin = array<i64: 1, 2>, pads_end = array<i64: 1, 2>, strides = array<i64: 2, 1>} : (tensor<2x4x8x8xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<2x6x4x8xf32>
  return
}

// One spatial dimension.
// CHECK-LABEL: func.func @conv_line
func.func @conv_line(%x: tensor<2x3x8xf32>, %w: tensor<4x3x3xf32>) {
  // CHECK: dsc.conv %{{.+}}, %{{.+}} {dilations = array<i64: 1>, groups = 1 : i64, pads_begin = array<i64: 0>, pads_end = array<i64: 0>, strides = array<i64: 1>} : (tensor<2x3x8xf32>, tensor<4x3x3xf32>) -> tensor<2x4x6xf32>
  %y = dsc.conv %x, %w {dilations = array<i64: 1>, groups = 1 : i64, pads_begin = array<i64: 0>, pads_end = array<i64: 0>, strides = array<i64: 1>} : (tensor<2x3x8xf32>, tensor<4x3x3xf32>) -> tensor<2x4x6xf32>
  return
}

// CHECK-LABEL: func.func @conv_channels_last
func.func @conv_channels_last(%x: tensor<2x8x8x3xf32>, %w: tensor<4x3x3x3xf32>) {
  // CHECK: dsc.conv %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, groups = 1 : i64, layout = #dsc.conv_layout<channels_last>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<2x6x6x4xf32>
  %y = dsc.conv %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, layout = #dsc.conv_layout<channels_last>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<2x6x6x4xf32>
  return
}

// CHECK-LABEL: func.func @conv_grad_input
func.func @conv_grad_input(%dy: tensor<2x4x6x6xf32>, %w: tensor<4x3x3x3xf32>) {
  // CHECK: dsc.conv_grad_input %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x4x6x6xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x8x8xf32>
  %y = dsc.conv_grad_input %dy, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x4x6x6xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x8x8xf32>
  return
}

// With a stride several inputs have the same result shape: 6 and 7 both give 3.
// CHECK-LABEL: func.func @conv_transpose
func.func @conv_transpose(%x: tensor<1x4x3x3xf32>, %w: tensor<4x3x2x2xf32>) {
  // CHECK: dsc.conv_grad_input %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>} : (tensor<1x4x3x3xf32>, tensor<4x3x2x2xf32>) -> tensor<1x3x7x6xf32>
  %y = dsc.conv_grad_input %x, %w {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>} : (tensor<1x4x3x3xf32>, tensor<4x3x2x2xf32>) -> tensor<1x3x7x6xf32>
  return
}

// CHECK-LABEL: func.func @conv_grad_weight
func.func @conv_grad_weight(%x: tensor<2x3x8x8xf32>, %dy: tensor<2x4x6x6xf32>) {
  // CHECK: dsc.conv_grad_weight %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x3x8x8xf32>, tensor<2x4x6x6xf32>) -> tensor<4x3x3x3xf32>
  %y = dsc.conv_grad_weight %x, %dy {dilations = array<i64: 1, 1>, groups = 1 : i64, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 1, 1>} : (tensor<2x3x8x8xf32>, tensor<2x4x6x6xf32>) -> tensor<4x3x3x3xf32>
  return
}

// CHECK-LABEL: func.func @max_pool
func.func @max_pool(%x: tensor<2x3x8x8xf32>) {
  // CHECK: dsc.max_pool %{{.+}} {dilations = array<i64: 1, 1>, pads_begin = array<i64: 1, 0>, pads_end = array<i64: 1, 1>, strides = array<i64: 2, 2>, window = array<i64: 3, 3>} : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  %y, %i = dsc.max_pool %x {dilations = array<i64: 1, 1>, pads_begin = array<i64: 1, 0>, pads_end = array<i64: 1, 1>, strides = array<i64: 2, 2>, window = array<i64: 3, 3>} : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
  return
}

// CHECK-LABEL: func.func @max_pool_grad
func.func @max_pool_grad(%dy: tensor<2x3x4x4xf32>, %i: tensor<2x3x4x4xi32>) {
  // CHECK: dsc.max_pool_grad %{{.+}}, %{{.+}} {dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>) -> tensor<2x3x8x8xf32>
  %y = dsc.max_pool_grad %dy, %i {dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>) -> tensor<2x3x8x8xf32>
  return
}

// The pad that ceil_mode adds does not count, whatever count_include_pad says.
// CHECK-LABEL: func.func @avg_pool
func.func @avg_pool(%x: tensor<2x3x7x8xf32>) {
  // CHECK: dsc.avg_pool %{{.+}} {count_include_pad = true, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_ceil = array<i64: 1, 0>, pads_end = array<i64: 1, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x4x4xf32>
  %y = dsc.avg_pool %x {count_include_pad = true, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_ceil = array<i64: 1, 0>, pads_end = array<i64: 1, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x7x8xf32>) -> tensor<2x3x4x4xf32>
  return
}

// CHECK-LABEL: func.func @avg_pool_grad
func.func @avg_pool_grad(%dy: tensor<2x3x4x4xf32>) {
  // CHECK: dsc.avg_pool_grad %{{.+}} {dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x4x4xf32>) -> tensor<2x3x8x8xf32>
  %y = dsc.avg_pool_grad %dy {dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, strides = array<i64: 2, 2>, window = array<i64: 2, 2>} : (tensor<2x3x4x4xf32>) -> tensor<2x3x8x8xf32>
  return
}
