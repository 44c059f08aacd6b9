// RUN: dsc-opt %s --dsc-merge-collectives | FileCheck %s

// The loss and the number of labels are there together: one message. What needs the first sum first is another one.
// CHECK-LABEL: func.func @last
// CHECK: %[[BOTH:.+]] = dsc.pack %{{.+}}, %{{.+}} {offsets = array<i64: 0, 1>} : (tensor<f32>, tensor<f32>) -> tensor<2xf32>
// CHECK: %[[SUMS:.+]] = dsc.all_reduce %[[BOTH]] : tensor<2xf32>
// CHECK: %[[FIRST:.+]] = dsc.slice %[[SUMS]] {sizes = array<i64: 1>, starts = array<i64: 0>
// CHECK: %[[LOSS:.+]] = dsc.reshape %[[FIRST]] : (tensor<1xf32>) -> tensor<f32>
// CHECK: %[[SECOND:.+]] = dsc.slice %[[SUMS]] {sizes = array<i64: 1>, starts = array<i64: 1>
// CHECK: %[[COUNT:.+]] = dsc.reshape %[[SECOND]] : (tensor<1xf32>) -> tensor<f32>
// CHECK: %[[MEAN:.+]] = dsc.div %[[LOSS]], %[[COUNT]]
// CHECK: dsc.all_reduce %[[MEAN]] : tensor<f32>
// CHECK-NOT: dsc.all_reduce
func.func @last(%loss: tensor<f32>, %count: tensor<f32>) -> tensor<f32> {
  %a = dsc.all_reduce %loss : tensor<f32>
  %b = dsc.all_reduce %count : tensor<f32>
  %mean = dsc.div %a, %b : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %c = dsc.all_reduce %mean : tensor<f32>
  return %c : tensor<f32>
}

// Stage 3: what is read again soon is gathered once, what two others come between as well, what three do is gathered again.
// CHECK-LABEL: func.func @eval
// CHECK: %[[WA:.+]] = dsc.get_global @a
// CHECK: %[[A:.+]] = dsc.all_gather %[[WA]] {apart}
// CHECK: dsc.mul %[[A]], %[[A]]
// CHECK-COUNT-2: dsc.all_gather
// CHECK: dsc.neg %[[A]]
// CHECK-COUNT-3: dsc.all_gather
// CHECK: %[[AGAIN:.+]] = dsc.all_gather %[[WA]] {apart}
// CHECK: dsc.neg %[[AGAIN]]
dsc.global @a : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">, sharded}
dsc.global @b : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">, sharded}
dsc.global @c : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "c", "">, sharded}
dsc.global @d : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "d", "">, sharded}
dsc.global @e : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "e", "">, sharded}
dsc.global @f : tensor<1x1024xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "f", "">, sharded}
func.func @eval() -> (tensor<1x1024xf32>, tensor<1x1024xf32>, tensor<1x1024xf32>) {
  %wa = dsc.get_global @a : tensor<1x1024xf32>
  %wb = dsc.get_global @b : tensor<1x1024xf32>
  %wc = dsc.get_global @c : tensor<1x1024xf32>
  %wd = dsc.get_global @d : tensor<1x1024xf32>
  %we = dsc.get_global @e : tensor<1x1024xf32>
  %wf = dsc.get_global @f : tensor<1x1024xf32>
  %a1 = dsc.all_gather %wa {apart} : tensor<1x1024xf32>
  %a2 = dsc.all_gather %wa {apart} : tensor<1x1024xf32>
  %x = dsc.mul %a1, %a2 : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %b = dsc.all_gather %wb {apart} : tensor<1x1024xf32>
  %c = dsc.all_gather %wc {apart} : tensor<1x1024xf32>
  %bc = dsc.mul %b, %c : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %a3 = dsc.all_gather %wa {apart} : tensor<1x1024xf32>
  %y = dsc.neg %a3 : (tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %d = dsc.all_gather %wd {apart} : tensor<1x1024xf32>
  %e = dsc.all_gather %we {apart} : tensor<1x1024xf32>
  %f = dsc.all_gather %wf {apart} : tensor<1x1024xf32>
  %de = dsc.mul %d, %e : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %def = dsc.mul %de, %f : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %xb = dsc.mul %x, %bc : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %xd = dsc.mul %xb, %def : (tensor<1x1024xf32>, tensor<1x1024xf32>) -> tensor<1x1024xf32>
  %a4 = dsc.all_gather %wa {apart} : tensor<1x1024xf32>
  %z = dsc.neg %a4 : (tensor<1x1024xf32>) -> tensor<1x1024xf32>
  return %xd, %y, %z : tensor<1x1024xf32>, tensor<1x1024xf32>, tensor<1x1024xf32>
}
