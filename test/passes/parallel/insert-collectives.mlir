// RUN: sed -e 's/STAGE/0/' -e 's/MICROS/1/' %s | dsc-opt --dsc-form-buckets --dsc-insert-collectives | FileCheck %s --check-prefix=ZERO0
// RUN: sed -e 's/STAGE/1/' -e 's/MICROS/1/' %s | dsc-opt --dsc-form-buckets --dsc-insert-collectives | FileCheck %s --check-prefix=ZERO1
// RUN: sed -e 's/STAGE/2/' -e 's/MICROS/1/' %s | dsc-opt --dsc-form-buckets --dsc-insert-collectives | FileCheck %s --check-prefix=ZERO2
// RUN: sed -e 's/STAGE/2/' -e 's/MICROS/1/' -e 's/64 : i64, zero/1 : i64, zero/' %s | dsc-opt --dsc-form-buckets --dsc-insert-collectives | FileCheck %s --check-prefix=ALONE

// Stage 0: the mean of the gradients, on every rank; nothing is divided, so that all that follows is as with one rank.
// ZERO0-NOT: sharded
// ZERO0-LABEL: func.func @last
// ZERO0: %[[G:.+]] = dsc.pack
// ZERO0: %[[R:.+]] = dsc.reduce_scatter %[[G]] : tensor<3x1024xf32>
// ZERO0: %[[ALL:.+]] = dsc.all_gather %[[R]] : tensor<3x1024xf32>
// ZERO0: dsc.select %{{.+}}, %[[ALL]],
// ZERO0-NOT: dsc.all_gather
// ZERO0: dsc.sgd %{{[^,]+}}, %[[ALL]],
// ZERO0-NOT: dsc.all_gather

// Stage 1: own chunks are squared and updated, the sums and the weights gathered.
// ZERO1: dsc.global @bucket.0 : {{.*}}value = dense<0.000000e+00> : tensor<3x1024xf32>}
// ZERO1: dsc.global @bucket.0.momentum_buffer {{.*}}sharded
// ZERO1-LABEL: func.func @last
// ZERO1: %[[R:.+]] = dsc.reduce_scatter %{{.+}} : tensor<3x1024xf32>
// ZERO1-NOT: dsc.all_gather %[[R]]
// ZERO1: %[[SUMS:.+]] = dsc.reduce %{{.+}} : (tensor<3x1024xf32>) -> tensor<3x1xf32>
// ZERO1: %[[ALL:.+]] = dsc.all_gather %[[SUMS]] : tensor<3x1xf32>
// ZERO1: dsc.reshape %[[ALL]] : (tensor<3x1xf32>) -> tensor<3xf32>
// ZERO1: %[[P:[^,]+]], %[[M:.+]] = dsc.sgd %{{[^,]+}}, %[[R]],
// ZERO1-DAG: %[[W:.+]] = dsc.all_gather %[[P]] : tensor<3x1024xf32>
// ZERO1-DAG: dsc.set_global @bucket.0, %[[W]] :
// ZERO1-DAG: dsc.set_global @bucket.0.momentum_buffer, %[[M]]

// Stage 2: own chunks of the gradient move to a place of their own.
// ZERO2: dsc.global @bucket.0.gradient : tensor<3x1024xf32> {of = @bucket.0, role = #dsc.role<state>, sharded, slot_kind = "gradient"
// ZERO2-LABEL: func.func @last
// ZERO2: %[[R:.+]] = dsc.reduce_scatter %{{.+}} : tensor<3x1024xf32>
// ZERO2-NEXT: dsc.set_global @bucket.0.gradient, %[[R]]
// ZERO2-NEXT: %[[G:.+]] = dsc.get_global @bucket.0.gradient
// ZERO2: dsc.select %{{.+}}, %[[G]],
// ZERO2: dsc.sgd %{{[^,]+}}, %[[G]],

// A program for one rank has none of it.
// ALONE-NOT: sharded
// ALONE-NOT: dsc.reduce_scatter
// ALONE-NOT: dsc.all_gather
// ALONE: dsc.sgd
module attributes {dsc.options = {accumulate = MICROS : i64, max_ranks = 64 : i64, zero = STAGE : i64}} {
dsc.global @w : tensor<275x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @w.momentum_buffer : tensor<275x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<275x4xf32>, of = @w, slot_kind = "momentum_buffer"}
dsc.global @b.momentum_buffer : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, of = @b, slot_kind = "momentum_buffer"}
dsc.global @rt.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<0.1> : tensor<f32>}
func.func @last(%dw: tensor<275x4xf32> {dsc.name = "dw"}, %db: tensor<4xf32> {dsc.name = "db"}, %ok: tensor<i1> {dsc.name = "ok"}) -> (tensor<1xf32> {dsc.name = "norm"}) {
  %w = dsc.get_global @w : tensor<275x4xf32>
  %b = dsc.get_global @b : tensor<4xf32>
  %lr = dsc.get_global @rt.lr : tensor<f32>
  %sw = dsc.chunk_squares %dw : (tensor<275x4xf32>) -> tensor<2xf32>
  %sb = dsc.chunk_squares %db : (tensor<4xf32>) -> tensor<1xf32>
  dsc.gradients %dw, %db {names = ["w", "b"]} : tensor<275x4xf32>, tensor<4xf32>
  %s = dsc.concat %sw, %sb {axis = 0 : i64} : (tensor<2xf32>, tensor<1xf32>) -> tensor<3xf32>
  %norm = dsc.reduce %s {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<3xf32>) -> tensor<1xf32>
  %mw = dsc.get_global @w.momentum_buffer : tensor<275x4xf32>
  %mb = dsc.get_global @b.momentum_buffer : tensor<4xf32>
  %w1, %mw1 = dsc.sgd %w, %dw, %mw, %lr, %lr, %lr, %lr, %lr, %lr, %ok {nesterov = false}
      : (tensor<275x4xf32>, tensor<275x4xf32>, tensor<275x4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<275x4xf32>, tensor<275x4xf32>)
  %b1, %mb1 = dsc.sgd %b, %db, %mb, %lr, %lr, %lr, %lr, %lr, %lr, %ok {nesterov = false}
      : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>) -> (tensor<4xf32>, tensor<4xf32>)
  dsc.set_global @w, %w1 : tensor<275x4xf32>
  dsc.set_global @w.momentum_buffer, %mw1 : tensor<275x4xf32>
  dsc.set_global @b, %b1 : tensor<4xf32>
  dsc.set_global @b.momentum_buffer, %mb1 : tensor<4xf32>
  return %norm : tensor<1xf32>
}
}
