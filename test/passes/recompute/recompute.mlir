// RUN: dsc-opt %s --split-input-file --dsc-recompute | FileCheck %s
// RUN: dsc-opt %s --split-input-file --dsc-recompute --cse | FileCheck %s

// An activation whose input is saved for its gradient is computed again, behind the latest library call that its reader
// depends on; what reads its input behind that reads it there too. No later pass merges the two.
// CHECK-LABEL: func.func @last
// CHECK: %[[U:.+]] = dsc.matmul %arg0
// CHECK: dsc.gelu %[[U]]
// CHECK: %[[DY:.+]] = dsc.matmul %{{.+}}, %arg3 {transpose_b = true}
// CHECK: %[[LATE:.+]] = dsc.after %[[U]], %[[DY]]
// CHECK: %[[H:.+]] = dsc.gelu %[[LATE]]
// CHECK: dsc.matmul %[[H]], %[[DY]] {transpose_a = true}
// CHECK: dsc.gelu_grad %[[LATE]]
module attributes {dsc.options = {recompute = "cheap"}} {
func.func @last(%x: tensor<64x32xf32>, %w1: tensor<32x128xf32>, %w2: tensor<128x32xf32>, %w3: tensor<32x32xf32>)
    -> (tensor<1x1xf32> {dsc.name = "loss"}, tensor<128x32xf32> {dsc.name = "dw2"}, tensor<32x128xf32> {dsc.name = "dw1"}) {
  %one = dsc.constant dense<1.0> : tensor<64x32xf32>
  %u = dsc.matmul %x, %w1 : (tensor<64x32xf32>, tensor<32x128xf32>) -> tensor<64x128xf32>
  %h = dsc.gelu %u {kind = #dsc.gelu_kind<erf>} : (tensor<64x128xf32>) -> tensor<64x128xf32>
  %y = dsc.matmul %h, %w2 : (tensor<64x128xf32>, tensor<128x32xf32>) -> tensor<64x32xf32>
  %z = dsc.matmul %y, %w3 : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %loss = dsc.reduce %z {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<64x32xf32>) -> tensor<1x1xf32>
  %dy = dsc.matmul %one, %w3 {transpose_b = true} : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %dw2 = dsc.matmul %h, %dy {transpose_a = true} : (tensor<64x128xf32>, tensor<64x32xf32>) -> tensor<128x32xf32>
  %dh = dsc.matmul %dy, %w2 {transpose_b = true} : (tensor<64x32xf32>, tensor<128x32xf32>) -> tensor<64x128xf32>
  %du = dsc.gelu_grad %u, %dh {kind = #dsc.gelu_kind<erf>} : (tensor<64x128xf32>, tensor<64x128xf32>) -> tensor<64x128xf32>
  %dw1 = dsc.matmul %x, %du {transpose_a = true} : (tensor<64x32xf32>, tensor<64x128xf32>) -> tensor<32x128xf32>
  return %loss, %dw2, %dw1 : tensor<1x1xf32>, tensor<128x32xf32>, tensor<32x128xf32>
}
}

// -----

// What is needed as soon as backward starts is saved: %h waits for no library call.
// CHECK-LABEL: func.func @last
// CHECK-NOT: dsc.after
module attributes {dsc.options = {recompute = "cheap"}} {
func.func @last(%x: tensor<64x32xf32>, %w1: tensor<32x128xf32>, %w2: tensor<128x32xf32>)
    -> (tensor<1x1xf32> {dsc.name = "loss"}, tensor<128x32xf32> {dsc.name = "dw2"}, tensor<32x128xf32> {dsc.name = "dw1"}) {
  %one = dsc.constant dense<1.0> : tensor<64x32xf32>
  %u = dsc.matmul %x, %w1 : (tensor<64x32xf32>, tensor<32x128xf32>) -> tensor<64x128xf32>
  %h = dsc.gelu %u {kind = #dsc.gelu_kind<erf>} : (tensor<64x128xf32>) -> tensor<64x128xf32>
  %y = dsc.matmul %h, %w2 : (tensor<64x128xf32>, tensor<128x32xf32>) -> tensor<64x32xf32>
  %loss = dsc.reduce %y {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<64x32xf32>) -> tensor<1x1xf32>
  %dw2 = dsc.matmul %h, %one {transpose_a = true} : (tensor<64x128xf32>, tensor<64x32xf32>) -> tensor<128x32xf32>
  %dh = dsc.matmul %one, %w2 {transpose_b = true} : (tensor<64x32xf32>, tensor<128x32xf32>) -> tensor<64x128xf32>
  %du = dsc.gelu_grad %u, %dh {kind = #dsc.gelu_kind<erf>} : (tensor<64x128xf32>, tensor<64x128xf32>) -> tensor<64x128xf32>
  %dw1 = dsc.matmul %x, %du {transpose_a = true} : (tensor<64x32xf32>, tensor<64x128xf32>) -> tensor<32x128xf32>
  return %loss, %dw2, %dw1 : tensor<1x1xf32>, tensor<128x32xf32>, tensor<32x128xf32>
}
}

// -----

// Of a cast the narrow side is saved, though the wide one is needed. A norm's result comes from its saved statistics.
// CHECK-LABEL: func.func @last
// CHECK: %[[M:.+]] = dsc.compare
// CHECK: %[[Y:.+]], %[[MEAN:.+]], %[[RSTD:.+]] = dsc.layer_norm %[[X:.+]] {axis
// CHECK: %[[DY:.+]] = dsc.matmul %{{.+}}, %arg2 {transpose_b = true}
// CHECK-DAG: %[[LATE:.+]] = dsc.after %[[M]], %[[DY]]
// CHECK-DAG: dsc.cast %[[LATE]] : (tensor<64x32xi1>)
// CHECK-DAG: %[[C:.+]] = dsc.sub %{{.+}}, %{{.+}} : (tensor<64x32xf32>, tensor<64x1xf32>)
// CHECK-DAG: dsc.mul %[[C]], %{{.+}} : (tensor<64x32xf32>, tensor<64x1xf32>)
// CHECK: dsc.matmul %{{.+}}, %[[DY]] {transpose_a = true}
module attributes {dsc.options = {recompute = "cheap"}} {
func.func @last(%x: tensor<64x32xf32>, %w1: tensor<32x32xf32>, %w3: tensor<32x32xf32>, %limit: tensor<64x32xf32>)
    -> (tensor<1x1xf32> {dsc.name = "loss"}, tensor<32x32xf32> {dsc.name = "dw"}, tensor<64x32xf32> {dsc.name = "dx"}) {
  %one = dsc.constant dense<1.0> : tensor<64x32xf32>
  %p = dsc.matmul %x, %w1 : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %m = dsc.compare %p, %limit {predicate = #dsc.compare_predicate<lt>} : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xi1>
  %f = dsc.cast %m : (tensor<64x32xi1>) -> tensor<64x32xf32>
  %q = dsc.mul %x, %f : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %y, %mean, %rstd = dsc.layer_norm %q {axis = 1 : i64, epsilon = 1.0e-5 : f64}
      : (tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>)
  %v = dsc.matmul %y, %w1 : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %z = dsc.matmul %v, %w3 : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %loss = dsc.reduce %z {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 1>} : (tensor<64x32xf32>) -> tensor<1x1xf32>
  %dy = dsc.matmul %one, %w3 {transpose_b = true} : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %dw = dsc.matmul %y, %dy {transpose_a = true} : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<32x32xf32>
  %dn = dsc.matmul %dy, %w1 {transpose_b = true} : (tensor<64x32xf32>, tensor<32x32xf32>) -> tensor<64x32xf32>
  %dq = dsc.layer_norm_grad %q, %mean, %rstd, %dn {axis = 1 : i64}
      : (tensor<64x32xf32>, tensor<64x1xf32>, tensor<64x1xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %dp = dsc.mul %dq, %f : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  return %loss, %dw, %dp : tensor<1x1xf32>, tensor<32x32xf32>, tensor<64x32xf32>
}
}
