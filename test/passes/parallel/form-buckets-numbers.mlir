// RUN: dsc-opt %s --dsc-form-buckets --canonicalize --cse | FileCheck %s

// What each parameter has one of (its group's learning rate, LAMB's step size) is one number a chunk; arithmetic on such
// numbers stays small, and the updates of all parameters are one op.
// CHECK: dsc.global @bucket.0.lr : tensor<3x1xf32> {of = @bucket.0, role = #dsc.role<runtime>, slot_kind = "lr", value = dense<1.000000e-01>
// CHECK: dsc.global @w.lr : tensor<2x1xf32> {{.*}}within = #dsc.place<@bucket.0.lr, 0>
// CHECK: dsc.global @b.lr : tensor<1x1xf32> {{.*}}within = #dsc.place<@bucket.0.lr, 2>
// CHECK-LABEL: func.func @last
// CHECK-DAG: %[[P:.+]] = dsc.get_global @bucket.0 :
// CHECK-DAG: %[[LR:.+]] = dsc.get_global @bucket.0.lr
// CHECK-DAG: %[[G:.+]] = dsc.pack %arg1, %arg2
// CHECK: %[[U:.+]], %{{.+}}, %{{.+}} = dsc.lamb %[[P]], %[[G]],
// Sums of chunks without their padding, then of each parameter's chunks: rows of 64 that 0 fills up, added by one op.
// CHECK: %[[KEPT:.+]] = dsc.select %{{.+}}, %[[U]],
// CHECK: %[[SQUARES:.+]] = dsc.mul %[[KEPT]], %[[KEPT]]
// CHECK: %[[SUMS:.+]] = dsc.reduce %[[SQUARES]] {axes = array<i64: 1>
// CHECK: %[[CHUNKS:.+]] = dsc.reshape %[[SUMS]] : (tensor<3x1xf32>) -> tensor<3xf32>
// CHECK: %[[ROWS:.+]] = dsc.gather %[[CHUNKS]], %{{.+}} {axis = 0 : i64} : (tensor<3xf32>, tensor<2x64xi32>) -> tensor<2x64xf32>
// CHECK: %[[THERE:.+]] = dsc.select %{{.+}}, %[[ROWS]],
// CHECK: %[[BOTH:.+]] = dsc.reduce %[[THERE]] {axes = array<i64: 1>
// CHECK: %[[TWO:.+]] = dsc.reshape %[[BOTH]] : (tensor<2x1xf32>) -> tensor<2xf32>
// CHECK: %[[SPREAD:.+]] = dsc.gather %[[TWO]], %{{.+}} {axis = 0 : i64} : (tensor<2xf32>, tensor<3xi32>) -> tensor<3xf32>
// CHECK: %[[OWN:.+]] = dsc.reshape %[[SPREAD]] : (tensor<3xf32>) -> tensor<3x1xf32>
// CHECK: %[[LENGTH:.+]] = dsc.sqrt %[[OWN]]
// CHECK: %[[SIZE:.+]] = dsc.mul %[[LR]], %[[LENGTH]] : (tensor<3x1xf32>, tensor<3x1xf32>) -> tensor<3x1xf32>
// CHECK: %[[NEW:.+]] = dsc.lamb_step %[[P]], %[[U]], %[[SIZE]], %arg0
// CHECK: dsc.set_global @bucket.0, %[[NEW]]
dsc.global @w : tensor<1100xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @w.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>, of = @w, slot_kind = "lr"}
dsc.global @b.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>, of = @b, slot_kind = "lr"}
dsc.global @rt.beta : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>}
func.func @last(%ok: tensor<i1> {dsc.name = "ok"}, %dw: tensor<1100xf32> {dsc.name = "x"}, %db: tensor<4xf32> {dsc.name = "y"}) {
  %s = dsc.get_global @rt.beta : tensor<f32>
  dsc.gradients %dw, %db {names = ["w", "b"]} : tensor<1100xf32>, tensor<4xf32>
  %w = dsc.get_global @w : tensor<1100xf32>
  %wlr = dsc.get_global @w.lr : tensor<f32>
  %wu, %wm, %wv = dsc.lamb %w, %dw, %w, %w, %s, %s, %s, %s, %s, %ok
      : (tensor<1100xf32>, tensor<1100xf32>, tensor<1100xf32>, tensor<1100xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<1100xf32>, tensor<1100xf32>, tensor<1100xf32>)
  %wc = dsc.chunk_squares %wu : (tensor<1100xf32>) -> tensor<2xf32>
  %wr = dsc.reduce %wc {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<2xf32>) -> tensor<1xf32>
  %ws = dsc.reshape %wr : (tensor<1xf32>) -> tensor<f32>
  %wn = dsc.sqrt %ws : (tensor<f32>) -> tensor<f32>
  %wz = dsc.mul %wlr, %wn : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %w1 = dsc.lamb_step %w, %wu, %wz, %ok : (tensor<1100xf32>, tensor<1100xf32>, tensor<f32>, tensor<i1>) -> tensor<1100xf32>
  dsc.set_global @w, %w1 : tensor<1100xf32>
  %b = dsc.get_global @b : tensor<4xf32>
  %blr = dsc.get_global @b.lr : tensor<f32>
  %bu, %bm, %bv = dsc.lamb %b, %db, %b, %b, %s, %s, %s, %s, %s, %ok
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>)
  %bc = dsc.chunk_squares %bu : (tensor<4xf32>) -> tensor<1xf32>
  %bs = dsc.reshape %bc : (tensor<1xf32>) -> tensor<f32>
  %bn = dsc.sqrt %bs : (tensor<f32>) -> tensor<f32>
  %bz = dsc.mul %blr, %bn : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %b1 = dsc.lamb_step %b, %bu, %bz, %ok : (tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<i1>) -> tensor<4xf32>
  dsc.set_global @b, %b1 : tensor<4xf32>
  return
}
