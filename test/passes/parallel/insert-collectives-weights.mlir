// RUN: dsc-opt %s --dsc-form-buckets --dsc-insert-collectives | FileCheck %s
// RUN: dsc-opt %s --dsc-form-buckets --dsc-insert-collectives --dsc-merge-collectives | FileCheck %s --check-prefix=MERGED

// Stage 3 with accumulation: weights and state are divided. Each reader of weights gathers them; micro-batches are added up
// whole, and their average is reduced once.
// CHECK: dsc.global @bucket.0 : {{.*}}sharded
// CHECK: dsc.global @bucket.0.accumulator {{.*}}slot_kind = "accumulator"
// CHECK: dsc.global @bucket.0.momentum_buffer {{.*}}sharded
// CHECK-LABEL: func.func @micro
// CHECK: %[[W:.+]] = dsc.get_global @bucket.0 :
// CHECK: %[[FIRST:.+]] = dsc.all_gather %[[W]] {apart} : tensor<1x1024xf32>
// CHECK: %[[LINE:.+]] = dsc.reshape %[[FIRST]]
// CHECK: %[[B:.+]] = dsc.slice %[[LINE]]
// CHECK: dsc.mul %{{.+}}, %[[B]]
// CHECK: dsc.all_gather %[[W]] {apart} : tensor<1x1024xf32>
// CHECK-NOT: dsc.reduce_scatter
// CHECK-LABEL: func.func @last
// CHECK: %[[MEAN:.+]] = dsc.mul
// CHECK: %[[R:.+]] = dsc.reduce_scatter %[[MEAN]]
// CHECK: dsc.set_global @bucket.0.gradient, %[[R]]
// CHECK: %[[G:.+]] = dsc.get_global @bucket.0.gradient
// CHECK-NOT: dsc.reduce_scatter
// CHECK: %[[NEW:[^,]+]], %{{.+}} = dsc.sgd %{{[^,]+}}, %[[G]],
// CHECK-NOT: dsc.all_gather
// CHECK: dsc.set_global @bucket.0, %[[NEW]]

// MERGED-LABEL: func.func @micro
// MERGED: dsc.all_gather
// MERGED-NOT: dsc.all_gather
// MERGED: return
module attributes {dsc.options = {accumulate = 0 : i64, max_ranks = 64 : i64, zero = 3 : i64}} {
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @b.accumulator : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @b, slot_kind = "accumulator"}
dsc.global @b.momentum_buffer : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @b, slot_kind = "momentum_buffer"}
dsc.global @rt.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>}
func.func @micro(%x: tensor<4x4xf32> {dsc.name = "x"}) {
  %b = dsc.get_global @b : tensor<4xf32>
  %y = dsc.mul %x, %b : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %z = dsc.mul %y, %b : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %r = dsc.reduce %z {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<4x4xf32>) -> tensor<1x4xf32>
  %db = dsc.reshape %r : (tensor<1x4xf32>) -> tensor<4xf32>
  %acc = dsc.get_global @b.accumulator : tensor<4xf32>
  %sum = dsc.add %acc, %db : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  dsc.set_global @b.accumulator, %sum : tensor<4xf32>
  return
}
func.func @last(%db: tensor<4xf32> {dsc.name = "db"}, %ok: tensor<i1> {dsc.name = "ok"}) -> (tensor<1xf32> {dsc.name = "norm"}) {
  %b = dsc.get_global @b : tensor<4xf32>
  %lr = dsc.get_global @rt.lr : tensor<f32>
  %acc = dsc.get_global @b.accumulator : tensor<4xf32>
  %sum = dsc.add %acc, %db : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %mean = dsc.mul %sum, %lr : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %s = dsc.chunk_squares %mean : (tensor<4xf32>) -> tensor<1xf32>
  dsc.gradients %mean {names = ["b"]} : tensor<4xf32>
  %mb = dsc.get_global @b.momentum_buffer : tensor<4xf32>
  %b1, %mb1 = dsc.sgd %b, %mean, %mb, %lr, %lr, %lr, %lr, %lr, %lr, %ok {nesterov = false}
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<4xf32>, tensor<4xf32>)
  dsc.set_global @b, %b1 : tensor<4xf32>
  dsc.set_global @b.momentum_buffer, %mb1 : tensor<4xf32>
  return %s : tensor<1xf32>
}
}
