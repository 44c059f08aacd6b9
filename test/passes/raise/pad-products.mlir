// RUN: dsc-opt %s --split-input-file --dsc-pad-products=alignment=8 --canonicalize | FileCheck %s
// RUN: dsc-opt %s --split-input-file --dsc-pad-products | FileCheck %s --check-prefix=CPU

// The CPU's products are as fast with any number of classes: nothing is padded for them.
// CPU-NOT: padded

// A language model whose head is its embedding: both read the padded table, the user's classes are copied out behind the
// product, and nothing that a token may name lies in the padding.
// CHECK: detail = "'wte': 13 classes stored as 16", found = true, function = "forward", pattern = "padded_product"}
// CHECK: dsc.global @wte.padded : tensor<16x8xf32> {role = #dsc.role<trained>, value = dense<0.000000e+00> : tensor<16x8xf32>}
// CHECK-NEXT: dsc.global @wte : tensor<13x8xf32> {{.*}}storage = #dsc.storage<@wte.padded, [0, 0], [0, 1]>}
dsc.global @wte : tensor<13x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "wte", "">}
// CHECK-LABEL: @forward
// CHECK-NEXT: %[[W:.+]] = dsc.get_global @wte.padded : tensor<16x8xf32>
// CHECK-NEXT: %[[X:.+]] = dsc.gather %[[W]], %arg0
// CHECK-NEXT: %[[P:.+]] = dsc.matmul %[[X]], %[[W]] {transpose_b = true} : (tensor<2x3x8xf32>, tensor<16x8xf32>) -> tensor<2x3x16xf32>
// CHECK-NEXT: %[[Y:.+]] = dsc.slice %[[P]] {sizes = array<i64: 2, 3, 13>
// CHECK-NEXT: return %[[Y]]
func.func @forward(%ids: tensor<2x3xi64>) -> tensor<2x3x13xf32> {
  %w = dsc.get_global @wte : tensor<13x8xf32>
  %x = dsc.gather %w, %ids {axis = 0 : i64} : (tensor<13x8xf32>, tensor<2x3xi64>) -> tensor<2x3x8xf32>
  %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<2x3x8xf32>, tensor<13x8xf32>) -> tensor<2x3x13xf32>
  return %y : tensor<2x3x13xf32>
}

// -----

// A classifier with a bias, its weights as an exporter transposed them: columns and bias are padded, and a reshape in
// front of the result stays in front of the cut.
// CHECK: dsc.global @w.padded : tensor<8x16xf32>
// CHECK: dsc.global @b.padded : tensor<16xf32>
dsc.global @w : tensor<8x10xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @b : tensor<10xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
// CHECK-LABEL: @classifier
// CHECK: %[[P:.+]] = dsc.matmul %arg0, %{{.+}} : (tensor<6x8xf32>, tensor<8x16xf32>) -> tensor<6x16xf32>
// CHECK-NEXT: %[[S:.+]] = dsc.add %[[P]], %{{.+}} : (tensor<6x16xf32>, tensor<16xf32>) -> tensor<6x16xf32>
// CHECK-NEXT: %[[R:.+]] = dsc.reshape %[[S]] : (tensor<6x16xf32>) -> tensor<2x3x16xf32>
// CHECK-NEXT: %[[Y:.+]] = dsc.slice %[[R]] {sizes = array<i64: 2, 3, 10>
// CHECK-NEXT: return %[[Y]]
func.func @classifier(%x: tensor<6x8xf32>) -> tensor<2x3x10xf32> {
  %w = dsc.get_global @w : tensor<8x10xf32>
  %b = dsc.get_global @b : tensor<10xf32>
  %p = dsc.matmul %x, %w : (tensor<6x8xf32>, tensor<8x10xf32>) -> tensor<6x10xf32>
  %s = dsc.add %p, %b : (tensor<6x10xf32>, tensor<10xf32>) -> tensor<6x10xf32>
  %y = dsc.reshape %s : (tensor<6x10xf32>) -> tensor<2x3x10xf32>
  return %y : tensor<2x3x10xf32>
}

// -----

// A loss in the graph reads the padding and is told how many classes there are.
dsc.global @w : tensor<10x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
// CHECK-LABEL: @loss
// CHECK: %[[P:.+]] = dsc.matmul
// CHECK-NEXT: %[[L:.+]], %{{.+}} = dsc.cross_entropy %[[P]], %arg1 {classes = 10 : i64, ignore_index = -100 : i64, label_smoothing = 0.000000e+00 : f64} : (tensor<6x16xf32>
// CHECK-NEXT: return %[[L]]
func.func @loss(%x: tensor<6x8xf32>, %labels: tensor<6xi64>) -> tensor<6xf32> {
  %w = dsc.get_global @w : tensor<10x8xf32>
  %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  %l, %e = dsc.cross_entropy %p, %labels {ignore_index = -100 : i64, label_smoothing = 0.0 : f64} : (tensor<6x10xf32>, tensor<6xi64>) -> (tensor<6xf32>, tensor<6xf32>)
  return %l : tensor<6xf32>
}

// -----

// Other readers of the table get its rows: they could tell the padding.
dsc.global @w : tensor<10x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
// CHECK-LABEL: @other_readers
// CHECK: %[[W:.+]] = dsc.get_global @w.padded : tensor<16x8xf32>
// CHECK-NEXT: %[[ROWS:.+]] = dsc.slice %[[W]] {sizes = array<i64: 10, 8>
// CHECK-NEXT: dsc.reduce %[[ROWS]]
func.func @other_readers(%x: tensor<6x8xf32>) -> (tensor<6x10xf32>, tensor<1x1xf32>) {
  %w = dsc.get_global @w : tensor<10x8xf32>
  %n = dsc.reduce %w {kind = #dsc.reduce_kind<max>, axes = array<i64: 0, 1>} : (tensor<10x8xf32>) -> tensor<1x1xf32>
  %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  return %p, %n : tensor<6x10xf32>, tensor<1x1xf32>
}

// -----

// A hidden layer keeps its width: what follows would have to have it copied out. So do frozen weights and multiples of 8.
dsc.global @hidden : tensor<10x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "h", "">}
dsc.global @even : tensor<16x10xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "e", "">}
dsc.global @frozen : tensor<10x8xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m", "f", "">}
// CHECK-LABEL: @kept_as_they_are
// CHECK-NOT: padded
func.func @kept_as_they_are(%x: tensor<6x8xf32>) -> (tensor<6x16xf32>, tensor<6x10xf32>) {
  %h = dsc.get_global @hidden : tensor<10x8xf32>
  %e = dsc.get_global @even : tensor<16x10xf32>
  %f = dsc.get_global @frozen : tensor<10x8xf32>
  %p = dsc.matmul %x, %h {transpose_b = true} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  %t = dsc.tanh %p : (tensor<6x10xf32>) -> tensor<6x10xf32>
  %y = dsc.matmul %t, %e {transpose_b = true} : (tensor<6x10xf32>, tensor<16x10xf32>) -> tensor<6x16xf32>
  %z = dsc.matmul %x, %f {transpose_b = true} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  return %y, %z : tensor<6x16xf32>, tensor<6x10xf32>
}

// -----

// A near miss: what is added to the logits is not trained, so it cannot be padded.
// CHECK: detail = "what is added to the logits is no bias that is trained", found = false, function = "added", pattern = "padded_product"}
dsc.global @w : tensor<10x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
func.func @added(%x: tensor<6x8xf32>, %z: tensor<6x10xf32>) -> tensor<6x10xf32> {
  %w = dsc.get_global @w : tensor<10x8xf32>
  %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<6x8xf32>, tensor<10x8xf32>) -> tensor<6x10xf32>
  %y = dsc.add %p, %z : (tensor<6x10xf32>, tensor<6x10xf32>) -> tensor<6x10xf32>
  return %y : tensor<6x10xf32>
}
