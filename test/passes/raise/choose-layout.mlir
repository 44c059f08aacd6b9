// RUN: dsc-opt %s --split-input-file --dsc-choose-layout=layout=channels_last --canonicalize | FileCheck %s
// RUN: dsc-opt %s --split-input-file --dsc-choose-layout=layout=channels_first | FileCheck %s --check-prefix=FIRST
// RUN: dsc-opt %s --split-input-file --dsc-choose-layout="layout=channels_last limit=0" | FileCheck %s --check-prefix=FIRST

// FIRST-NOT: channels_last

// An island: the image is transposed where it enters, everything up to the mean over its pixels follows, and no transpose is
// left behind it, since one pixel is as good first as last. Weights are stored as the convolutions read them.
// CHECK: detail = "2 convolutions and 5 ops between them, 1 images transposed", found = true, function = "island", pattern = "channels_last"}
// CHECK: dsc.global @w1.channels_last : tensor<4x3x3x3xf32> {role = #dsc.role<trained>
// CHECK-NEXT: dsc.global @w1 : tensor<4x3x3x3xf32> {{.*}}storage = #dsc.storage<@w1.channels_last, [0, 0, 0, 0], [0, 3, 1, 2]>}
// CHECK: dsc.global @w2.channels_last : tensor<6x3x2x4xf32>
dsc.global @w1 : tensor<4x3x3x3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w1", "">}
dsc.global @w2 : tensor<6x4x3x2xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w2", "">}
dsc.global @g : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "g", "">}
dsc.global @bias : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
// CHECK-LABEL: @island
// CHECK-DAG: %[[T:.+]] = dsc.transpose %arg0 {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x8x9xf32>) -> tensor<2x8x9x3xf32>
// CHECK-DAG: %[[W1:.+]] = dsc.get_global @w1.channels_last
// CHECK: %[[A:.+]] = dsc.conv %[[T]], %[[W1]] {{{.*}}layout = #dsc.conv_layout<channels_last>{{.*}}} : (tensor<2x8x9x3xf32>, tensor<4x3x3x3xf32>) -> tensor<2x6x7x4xf32>
// CHECK: %[[B:.+]] = dsc.add %[[A]], %{{.+}} : (tensor<2x6x7x4xf32>, tensor<1x1x1x4xf32>) -> tensor<2x6x7x4xf32>
// CHECK: dsc.batch_norm %[[B]], {{.+}}layout = #dsc.conv_layout<channels_last>
// CHECK: dsc.relu {{.+}} : (tensor<2x6x7x4xf32>)
// CHECK: dsc.max_pool {{.+}}layout = #dsc.conv_layout<channels_last>{{.*}} : (tensor<2x6x7x4xf32>) -> (tensor<2x3x3x4xf32>, tensor<2x3x3x4xi32>)
// CHECK: dsc.conv {{.+}} : (tensor<2x3x3x4xf32>, tensor<6x3x2x4xf32>) -> tensor<2x1x2x6xf32>
// CHECK: %[[M:.+]] = dsc.reduce {{.+}}axes = array<i64: 1, 2>{{.+}} : (tensor<2x1x2x6xf32>) -> tensor<2x1x1x6xf32>
// CHECK-NOT: dsc.transpose
// CHECK: %[[Y:.+]] = dsc.reshape %{{.+}} : (tensor<2x{{.+}}>) -> tensor<2x6xf32>
// CHECK-NEXT: return %[[Y]]
func.func @island(%x: tensor<2x3x8x9xf32>) -> tensor<2x6xf32> {
  %w1 = dsc.get_global @w1 : tensor<4x3x3x3xf32>
  %w2 = dsc.get_global @w2 : tensor<6x4x3x2xf32>
  %g = dsc.get_global @g : tensor<4xf32>
  %bias = dsc.get_global @bias : tensor<4xf32>
  %c = dsc.reshape %bias : (tensor<4xf32>) -> tensor<4x1x1xf32>
  %a = dsc.conv %x, %w1 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x3x8x9xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x7xf32>
  %b = dsc.add %a, %c : (tensor<2x4x6x7xf32>, tensor<4x1x1xf32>) -> tensor<2x4x6x7xf32>
  %n, %m, %v, %r = dsc.batch_norm %b, %g, %bias {epsilon = 1.0e-5 : f64}
      : (tensor<2x4x6x7xf32>, tensor<4xf32>, tensor<4xf32>) -> (tensor<2x4x6x7xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  %d = dsc.relu %n : (tensor<2x4x6x7xf32>) -> tensor<2x4x6x7xf32>
  %p, %i = dsc.max_pool %d {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
      pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>} : (tensor<2x4x6x7xf32>) -> (tensor<2x4x3x3xf32>, tensor<2x4x3x3xi32>)
  %e = dsc.conv %p, %w2 {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x4x3x3xf32>, tensor<6x4x3x2xf32>) -> tensor<2x6x1x2xf32>
  %s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2, 3>} : (tensor<2x6x1x2xf32>) -> tensor<2x6x1x1xf32>
  %y = dsc.reshape %s : (tensor<2x6x1x1xf32>) -> tensor<2x6xf32>
  return %y : tensor<2x6xf32>
}

// -----

// A reshape of pixels knows the order of dimensions: the island ends there, with a transpose, and says so.
// CHECK: detail = "'dsc.reshape' reads the image channels first", found = false, function = "flattened", pattern = "channels_last"}
dsc.global @w : tensor<4x3x1x1xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
// CHECK-LABEL: @flattened
// CHECK: %[[A:.+]] = dsc.conv
// CHECK-NEXT: %[[R:.+]] = dsc.relu %[[A]]
// CHECK-NEXT: %[[T:.+]] = dsc.transpose %[[R]] {permutation = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT: %[[Y:.+]] = dsc.reshape %[[T]]
// CHECK-NEXT: return %[[Y]]
func.func @flattened(%x: tensor<2x3x4x4xf32>) -> tensor<2x64xf32> {
  %w = dsc.get_global @w : tensor<4x3x1x1xf32>
  %a = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x3x4x4xf32>, tensor<4x3x1x1xf32>) -> tensor<2x4x4x4xf32>
  %r = dsc.relu %a : (tensor<2x4x4x4xf32>) -> tensor<2x4x4x4xf32>
  %y = dsc.reshape %r : (tensor<2x4x4x4xf32>) -> tensor<2x64xf32>
  return %y : tensor<2x64xf32>
}

// -----

// Ops with one entry a dimension follow with their entries moved; a sum of two images follows if both are in the island, and
// one with an image from outside does not.
dsc.global @w : tensor<3x3x1x1xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
// CHECK-LABEL: @follow
// CHECK: dsc.pad {{.+}}high = array<i64: 0, 1, 2, 0>{{.+}} -> tensor<2x5x6x3xf32>
// CHECK: dsc.concat {{.+}} {axis = 3 : i64}
// CHECK: dsc.slice {{.+}}sizes = array<i64: 2, 5, 4, 6>, starts = array<i64: 0, 0, 2, 0>
// CHECK: %[[C:.+]] = dsc.transpose {{.+}} -> tensor<2x6x5x4xf32>
// CHECK: dsc.mul %[[C]], %arg1 : (tensor<2x6x5x4xf32>, tensor<2x6x5x4xf32>)
func.func @follow(%x: tensor<2x3x4x4xf32>, %z: tensor<2x6x5x4xf32>) -> tensor<2x6x5x4xf32> {
  %w = dsc.get_global @w : tensor<3x3x1x1xf32>
  %a = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x3x4x4xf32>, tensor<3x3x1x1xf32>) -> tensor<2x3x4x4xf32>
  %p = dsc.pad %a {low = array<i64: 0, 0, 0, 0>, high = array<i64: 0, 0, 1, 2>, interior = array<i64: 0, 0, 0, 0>, value = 0.0 : f64}
      : (tensor<2x3x4x4xf32>) -> tensor<2x3x5x6xf32>
  %t = dsc.tanh %p : (tensor<2x3x5x6xf32>) -> tensor<2x3x5x6xf32>
  %u = dsc.add %p, %t : (tensor<2x3x5x6xf32>, tensor<2x3x5x6xf32>) -> tensor<2x3x5x6xf32>
  %c = dsc.concat %u, %t {axis = 1 : i64} : (tensor<2x3x5x6xf32>, tensor<2x3x5x6xf32>) -> tensor<2x6x5x6xf32>
  %s = dsc.slice %c {starts = array<i64: 0, 0, 0, 2>, sizes = array<i64: 2, 6, 5, 4>, steps = array<i64: 1, 1, 1, 1>}
      : (tensor<2x6x5x6xf32>) -> tensor<2x6x5x4xf32>
  %y = dsc.mul %s, %z : (tensor<2x6x5x4xf32>, tensor<2x6x5x4xf32>) -> tensor<2x6x5x4xf32>
  return %y : tensor<2x6x5x4xf32>
}

// -----

// A weight that something else reads keeps its layout, and is transposed for the convolution.
dsc.global @w : tensor<3x3x2x2xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
// CHECK-LABEL: @shared_weight
// CHECK: %[[W:.+]] = dsc.get_global @w : tensor<3x3x2x2xf32>
// CHECK: dsc.transpose %[[W]] {permutation = array<i64: 0, 2, 3, 1>}
func.func @shared_weight(%x: tensor<2x3x4x4xf32>) -> (tensor<2x3x3x3xf32>, tensor<3x3x2x2xf32>) {
  %w = dsc.get_global @w : tensor<3x3x2x2xf32>
  %a = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 0, 0>,
      pads_end = array<i64: 0, 0>, groups = 1 : i64} : (tensor<2x3x4x4xf32>, tensor<3x3x2x2xf32>) -> tensor<2x3x3x3xf32>
  return %a, %w : tensor<2x3x3x3xf32>, tensor<3x3x2x2xf32>
}

// -----

// Pools and norms without a convolution are no island.
// CHECK-LABEL: @no_convolution
// CHECK-NOT: channels_last
func.func @no_convolution(%x: tensor<2x3x4x4xf32>) -> tensor<2x3x2x2xf32> {
  %y = dsc.avg_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
      pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, count_include_pad = false} : (tensor<2x3x4x4xf32>) -> tensor<2x3x2x2xf32>
  return %y : tensor<2x3x2x2xf32>
}
