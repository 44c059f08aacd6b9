// RUN: dsc-opt %s --split-input-file --dsc-schedule-collectives --dsc-plan-memory --dsc-verify-plan | FileCheck %s

// A reduction starts behind the last part of its bucket, above what follows in backward; what reads it comes behind
// all that does not. The gather of new weights is left to the next entry, which waits where it first reads them.
// CHECK-LABEL: func.func @last
// CHECK: %[[W:.+]] = dsc.get_global @w
// CHECK: %[[G:.+]] = dsc.get_global @g
// CHECK: %[[NEW:.+]] = dsc.wait %[[W]] {{{.*}}id = 2 : i64}
// CHECK: %[[A:.+]] = dsc.matmul %{{.+}}, %[[NEW]]
// CHECK: %[[P:.+]] = dsc.pack %[[A]]
// CHECK: %[[R:.+]] = dsc.reduce_scatter %[[P]] {{{.*}}id = 0 : i64}
// CHECK: %[[B:.+]] = dsc.matmul %[[G]], %[[G]]
// CHECK: %[[DONE:.+]] = dsc.wait %[[R]] {{{.*}}id = 0 : i64}
// CHECK: dsc.kernel(%[[DONE]])
// CHECK: dsc.gradients
// CHECK: %[[U:.+]] = dsc.kernel
// CHECK: dsc.all_gather %[[U]] {{{.*}}id = 2 : i64}
// CHECK: dsc.set_global @w
// CHECK-LABEL: func.func @eval
// CHECK: %[[V:.+]] = dsc.get_global @w
// CHECK: dsc.kernel(%{{.+}})
// CHECK: %[[VW:.+]] = dsc.wait %[[V]] {{{.*}}id = 2 : i64}
// CHECK: dsc.matmul %{{.+}}, %[[VW]]
module {
dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @g : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "g", "">}
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x"}) -> (tensor<4x1xf32> {dsc.name = "norm"}, tensor<4x4xf32> {dsc.name = "b"}) {
  %w = dsc.get_global @w : tensor<4x4xf32>
  %g = dsc.get_global @g : tensor<4x4xf32>
  %a = dsc.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = dsc.pack %a {offsets = array<i64: 0>} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = dsc.reduce_scatter %p : tensor<4x4xf32>
  %s = dsc.kernel (%r) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 4, 4>, row_rank = 1 : i64, owned_chunks = 4 : i64} {
  ^bb0(%e: tensor<4x4xf32>):
    %sum = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<4x1xf32>
    dsc.yield %sum : tensor<4x1xf32>
  } : (tensor<4x4xf32>) -> tensor<4x1xf32>
  %all = dsc.all_gather %s : tensor<4x1xf32>
  %b = dsc.matmul %g, %g : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  dsc.gradients %r {names = ["w"]} : tensor<4x4xf32>
  %u = dsc.kernel (%r) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 4>, row_rank = 0 : i64, owned_chunks = 4 : i64} {
  ^bb0(%e: tensor<4x4xf32>):
    %n = dsc.neg %e : (tensor<4x4xf32>) -> tensor<4x4xf32>
    dsc.yield %n : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %w1 = dsc.all_gather %u : tensor<4x4xf32>
  dsc.set_global @w, %w1 : tensor<4x4xf32>
  return %all, %b : tensor<4x1xf32>, tensor<4x4xf32>
}
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %w = dsc.get_global @w : tensor<4x4xf32>
  %n = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 4>, row_rank = 0 : i64} {
  ^bb0(%e: tensor<4x4xf32>):
    %m = dsc.neg %e : (tensor<4x4xf32>) -> tensor<4x4xf32>
    dsc.yield %m : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = dsc.matmul %n, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
}

// -----

// At stage 2 a bucket's bytes are wanted back: what reads the first reduction comes as soon as two more have started.
// CHECK-LABEL: func.func @micro
// CHECK: dsc.reduce_scatter %{{.+}} {{{.*}}id = 0 : i64}
// CHECK: dsc.reduce_scatter %{{.+}} {{{.*}}id = 1 : i64}
// CHECK-NOT: dsc.wait
// CHECK: dsc.reduce_scatter %{{.+}} {{{.*}}id = 2 : i64}
// CHECK-NEXT: %[[FIRST:.+]] = dsc.wait %{{.+}} {{{.*}}id = 0 : i64}
// CHECK-NEXT: %[[OWN:.+]] = dsc.kernel(%[[FIRST]])
// CHECK: dsc.set_global @a, %[[OWN]]
// CHECK-NOT: dsc.wait
// CHECK: dsc.reduce_scatter %{{.+}} {{{.*}}id = 3 : i64}
// CHECK: dsc.wait %{{.+}} {{{.*}}id = 1 : i64}
// CHECK: dsc.wait %{{.+}} {{{.*}}id = 2 : i64}
// CHECK: dsc.wait %{{.+}} {{{.*}}id = 3 : i64}
module attributes {dsc.options = {zero = 2 : i64}} {
dsc.global @a : tensor<4x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4x4xf32>, sharded}
dsc.global @b : tensor<4x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4x4xf32>, sharded}
dsc.global @c : tensor<4x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4x4xf32>, sharded}
dsc.global @d : tensor<4x4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4x4xf32>, sharded}
func.func @micro(%x: tensor<4x4xf32> {dsc.name = "x"}) {
  %a = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %ra = dsc.reduce_scatter %a : tensor<4x4xf32>
  dsc.set_global @a, %ra : tensor<4x4xf32>
  %b = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %rb = dsc.reduce_scatter %b : tensor<4x4xf32>
  dsc.set_global @b, %rb : tensor<4x4xf32>
  %c = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %rc = dsc.reduce_scatter %c : tensor<4x4xf32>
  dsc.set_global @c, %rc : tensor<4x4xf32>
  %d = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %rd = dsc.reduce_scatter %d : tensor<4x4xf32>
  dsc.set_global @d, %rd : tensor<4x4xf32>
  return
}
}

// -----

// Stage 3: weights are gathered while what the two before them are for is computed, into places that are free again.
// CHECK-LABEL: func.func @eval
// CHECK: %[[A:.+]] = dsc.all_gather %{{.+}} {apart, {{.*}}id = 0 : i64}
// CHECK: %[[B:.+]] = dsc.all_gather %{{.+}} {apart, {{.*}}id = 1 : i64}
// CHECK: %[[C:.+]] = dsc.all_gather %{{.+}} {apart, {{.*}}id = 2 : i64}
// CHECK-NEXT: %[[A1:.+]] = dsc.wait %[[A]] {{{.*}}id = 0 : i64}
// CHECK-NEXT: dsc.matmul %{{.+}}, %[[A1]]
// CHECK: %[[D:.+]] = dsc.all_gather %{{.+}} {apart, {{.*}}id = 3 : i64}
// CHECK-NEXT: %[[B1:.+]] = dsc.wait %[[B]] {{{.*}}id = 1 : i64}
// CHECK-NEXT: dsc.matmul %{{.+}}, %[[B1]]
// CHECK-NEXT: %[[C1:.+]] = dsc.wait %[[C]] {{{.*}}id = 2 : i64}
// CHECK-NEXT: dsc.matmul %{{.+}}, %[[C1]]
// CHECK-NEXT: %[[D1:.+]] = dsc.wait %[[D]] {{{.*}}id = 3 : i64}
// CHECK-NEXT: dsc.matmul %{{.+}}, %[[D1]]
module attributes {dsc.options = {zero = 3 : i64}} {
dsc.global @a : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">, sharded}
dsc.global @b : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">, sharded}
dsc.global @c : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "c", "">, sharded}
dsc.global @d : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "d", "">, sharded}
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %a = dsc.get_global @a : tensor<4x4xf32>
  %b = dsc.get_global @b : tensor<4x4xf32>
  %c = dsc.get_global @c : tensor<4x4xf32>
  %d = dsc.get_global @d : tensor<4x4xf32>
  %wa = dsc.all_gather %a {apart} : tensor<4x4xf32>
  %wb = dsc.all_gather %b {apart} : tensor<4x4xf32>
  %wc = dsc.all_gather %c {apart} : tensor<4x4xf32>
  %wd = dsc.all_gather %d {apart} : tensor<4x4xf32>
  %1 = dsc.matmul %x, %wa : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %2 = dsc.matmul %1, %wb : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %3 = dsc.matmul %2, %wc : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %4 = dsc.matmul %3, %wd : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %4 : tensor<4x4xf32>
}
}
