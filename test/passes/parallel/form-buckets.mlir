// RUN: dsc-opt %s --split-input-file --dsc-form-buckets | FileCheck %s
// RUN: dsc-opt %s --split-input-file --dsc-form-buckets=bucket-bytes=4096 | FileCheck %s --check-prefix=SMALL

// Two parameters lie in one bucket, each from a chunk on; the forward pass reads views of it, gradients are packed,
// and the update, its norm and the writes are one op each.
// CHECK: dsc.global @bucket.0 : tensor<3x1024xf32> {role = #dsc.role<trained>, value = dense<0.0
// CHECK: dsc.global @bucket.0.momentum_buffer : tensor<3x1024xf32> {of = @bucket.0, role = #dsc.role<state>, slot_kind = "momentum_buffer"
// CHECK: dsc.global @bucket.0.chunk_elements : tensor<3x1xi32> {role = #dsc.role<constant>, value = dense<{{\[\[}}1024], [76], [4]]>
// CHECK: dsc.global @w {{.*}}source = #dsc.source<"m", "w", "">{{.*}}within = #dsc.place<@bucket.0, 0>
// CHECK: dsc.global @b {{.*}}within = #dsc.place<@bucket.0, 2048>
// CHECK: dsc.global @w.momentum_buffer {{.*}}within = #dsc.place<@bucket.0.momentum_buffer, 0>
// CHECK: dsc.global @b.momentum_buffer {{.*}}within = #dsc.place<@bucket.0.momentum_buffer, 2048>
// CHECK-LABEL: func.func @last
// CHECK-DAG: %[[P:.+]] = dsc.get_global @bucket.0 :
// CHECK-DAG: %[[M:.+]] = dsc.get_global @bucket.0.momentum_buffer
// CHECK-DAG: %[[LINE:.+]] = dsc.reshape %[[P]] : (tensor<3x1024xf32>) -> tensor<3072xf32>
// CHECK: %[[W:.+]] = dsc.slice %[[LINE]] {sizes = array<i64: 1100>, starts = array<i64: 0>
// CHECK: %[[WM:.+]] = dsc.reshape %[[W]] : (tensor<1100xf32>) -> tensor<275x4xf32>
// CHECK: %[[B:.+]] = dsc.slice %[[LINE]] {sizes = array<i64: 4>, starts = array<i64: 2048>
// CHECK: dsc.mul %{{.+}}, %[[B]] :
// CHECK: %[[DB:.+]] = dsc.reshape %{{.+}} : (tensor<1x4xf32>) -> tensor<4xf32>
// CHECK: %[[DW:.+]] = dsc.matmul %[[WM]],
// CHECK: %[[G:.+]] = dsc.pack %[[DW]], %[[DB]] {offsets = array<i64: 0, 2048>} : (tensor<275x4xf32>, tensor<4xf32>) -> tensor<3x1024xf32>
// CHECK: %[[ELEMENTS:.+]] = dsc.get_global @bucket.0.chunk_elements
// CHECK: %[[COLUMN:.+]] = dsc.iota {axis = 1 : i64} : () -> tensor<1x1024xi32>
// CHECK: %[[USED:.+]] = dsc.compare %[[COLUMN]], %[[ELEMENTS]] {predicate = #dsc.compare_predicate<lt>}
// CHECK: %[[KEPT:.+]] = dsc.select %[[USED]], %[[G]]
// CHECK: %[[SQUARES:.+]] = dsc.mul %[[KEPT]], %[[KEPT]]
// CHECK: %[[SUMS:.+]] = dsc.reduce %[[SQUARES]] {axes = array<i64: 1>
// CHECK: %[[CHUNKS:.+]] = dsc.reshape %[[SUMS]] : (tensor<3x1xf32>) -> tensor<3xf32>
// CHECK: dsc.gradients %{{.+}}, %{{.+}} {names = ["w", "b"]} : tensor<275x4xf32>, tensor<4xf32>
// CHECK: dsc.reduce %[[CHUNKS]] {axes = array<i64: 0>
// CHECK: %[[NP:.+]], %[[NM:.+]] = dsc.sgd %[[P]], %[[G]], %[[M]],
// CHECK-DAG: dsc.set_global @bucket.0, %[[NP]] : tensor<3x1024xf32>
// CHECK-DAG: dsc.set_global @bucket.0.momentum_buffer, %[[NM]]
// CHECK-NOT: dsc.set_global
// CHECK: return

// Buckets of one chunk: each parameter has its own, and the norm adds the same sums in the same order.
// SMALL: dsc.global @bucket.0 : tensor<2x1024xf32>
// SMALL: dsc.global @bucket.1 : tensor<1x1024xf32>
// SMALL-LABEL: func.func @last
// SMALL-DAG: dsc.pack %{{.+}} {offsets = array<i64: 0>} : (tensor<275x4xf32>) -> tensor<2x1024xf32>
// SMALL-DAG: dsc.pack %{{.+}} {offsets = array<i64: 0>} : (tensor<4xf32>) -> tensor<1x1024xf32>
// SMALL: dsc.concat %{{[^ ]+}}, %{{[^ ]+}} {axis = 0 : i64} : (tensor<2xf32>, tensor<1xf32>) -> tensor<3xf32>
// SMALL-COUNT-2: dsc.sgd
module {
dsc.global @w : tensor<275x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @w.momentum_buffer : tensor<275x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<275x4xf32>, of = @w, slot_kind = "momentum_buffer"}
dsc.global @b.momentum_buffer : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @b, slot_kind = "momentum_buffer"}
dsc.global @rt.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>}
func.func @last(%x: tensor<275x4xf32> {dsc.name = "x"}, %ok: tensor<i1> {dsc.name = "ok"}) -> (tensor<1xf32> {dsc.name = "norm"}) {
  %w = dsc.get_global @w : tensor<275x4xf32>
  %b = dsc.get_global @b : tensor<4xf32>
  %lr = dsc.get_global @rt.lr : tensor<f32>
  %xb = dsc.mul %x, %b : (tensor<275x4xf32>, tensor<4xf32>) -> tensor<275x4xf32>
  %db1 = dsc.reduce %xb {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<275x4xf32>) -> tensor<1x4xf32>
  %db = dsc.reshape %db1 : (tensor<1x4xf32>) -> tensor<4xf32>
  %sq = dsc.matmul %x, %w {transpose_a = true} : (tensor<275x4xf32>, tensor<275x4xf32>) -> tensor<4x4xf32>
  %dw = dsc.matmul %w, %sq : (tensor<275x4xf32>, tensor<4x4xf32>) -> tensor<275x4xf32>
  dsc.gradients %dw, %db {names = ["w", "b"]} : tensor<275x4xf32>, tensor<4xf32>
  %sw = dsc.chunk_squares %dw : (tensor<275x4xf32>) -> tensor<2xf32>
  %sb = dsc.chunk_squares %db : (tensor<4xf32>) -> tensor<1xf32>
  %all = dsc.concat %sw, %sb {axis = 0 : i64} : (tensor<2xf32>, tensor<1xf32>) -> tensor<3xf32>
  %norm = dsc.reduce %all {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<1xf32>
  %scale = dsc.reshape %norm : (tensor<1xf32>) -> tensor<f32>
  %mw = dsc.get_global @w.momentum_buffer : tensor<275x4xf32>
  %w1, %mw1 = dsc.sgd %w, %dw, %mw, %lr, %lr, %lr, %lr, %lr, %scale, %ok {nesterov = false}
      : (tensor<275x4xf32>, tensor<275x4xf32>, tensor<275x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<275x4xf32>, tensor<275x4xf32>)
  dsc.set_global @w, %w1 : tensor<275x4xf32>
  dsc.set_global @w.momentum_buffer, %mw1 : tensor<275x4xf32>
  %mb = dsc.get_global @b.momentum_buffer : tensor<4xf32>
  %b1, %mb1 = dsc.sgd %b, %db, %mb, %lr, %lr, %lr, %lr, %lr, %scale, %ok {nesterov = false}
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
      -> (tensor<4xf32>, tensor<4xf32>)
  dsc.set_global @b, %b1 : tensor<4xf32>
  dsc.set_global @b.momentum_buffer, %mb1 : tensor<4xf32>
  return %norm : tensor<1xf32>
}
func.func @eval(%x: tensor<275x4xf32> {dsc.name = "x"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %w = dsc.get_global @w : tensor<275x4xf32>
  %y = dsc.matmul %x, %w {transpose_a = true} : (tensor<275x4xf32>, tensor<275x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
}

// -----

// Accumulators are flat too: one op adds a bucket's gradients right behind the last of them. A sum of two gradients
// is packed as it is, whatever the other members look like.
// CHECK: dsc.global @bucket.0.accumulator : tensor<2x1024xf32>
// CHECK-LABEL: func.func @micro
// CHECK-DAG: %[[ACC:.+]] = dsc.get_global @bucket.0.accumulator
// CHECK-DAG: %[[SUM:.+]] = dsc.add %arg0, %arg0
// CHECK: %[[G:.+]] = dsc.pack %[[SUM]], %arg0 {offsets = array<i64: 0, 1024>}
// CHECK: %[[ADDED:.+]] = dsc.add %[[ACC]], %[[G]] : (tensor<2x1024xf32>, tensor<2x1024xf32>)
// CHECK: %[[NEXT:.+]] = dsc.select %arg1, %[[G]], %[[ADDED]]
// CHECK: dsc.set_global @bucket.0.accumulator, %[[NEXT]]
// CHECK: dsc.exp
module {
dsc.global @a : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">}
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @a.accumulator : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @a, slot_kind = "accumulator"}
dsc.global @b.accumulator : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @b, slot_kind = "accumulator"}
func.func @micro(%x: tensor<4xf32> {dsc.name = "x"}, %first: tensor<i1> {dsc.name = "first"}) -> (tensor<4xf32> {dsc.name = "y"}) {
  %ga = dsc.add %x, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = dsc.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %aa = dsc.get_global @a.accumulator : tensor<4xf32>
  %as = dsc.add %aa, %ga : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %an = dsc.select %first, %ga, %as : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  dsc.set_global @a.accumulator, %an : tensor<4xf32>
  %ba = dsc.get_global @b.accumulator : tensor<4xf32>
  %bs = dsc.add %ba, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %bn = dsc.select %first, %x, %bs : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  dsc.set_global @b.accumulator, %bn : tensor<4xf32>
  return %y : tensor<4xf32>
}
func.func @last(%x: tensor<4xf32> {dsc.name = "x"}, %first: tensor<i1> {dsc.name = "first"}) {
  %aa = dsc.get_global @a.accumulator : tensor<4xf32>
  %ba = dsc.get_global @b.accumulator : tensor<4xf32>
  dsc.gradients %aa, %ba {names = ["a", "b"]} : tensor<4xf32>, tensor<4xf32>
  return
}
}
