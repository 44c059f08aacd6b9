// RUN: dsc-opt %s --dsc-build-entries --canonicalize --cse | FileCheck %s

// Only paths from trained parameters to the loss are differentiated: nothing below the first trained layer, nothing for a
// buffer or a constant, nothing for a second output. The first weight is in no optimizer op and has no state.
module attributes {dsc.options = {loss = "mean", optimizer = "sgd"}} {
  dsc.global @first : tensor<3x3xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m", "first", "">}
  dsc.global @second : tensor<3x3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "second", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<2x3xf32> {dsc.name = "z"}) {
    %first = dsc.get_global @first : tensor<3x3xf32>
    %second = dsc.get_global @second : tensor<3x3xf32>
    %h = dsc.matmul %x, %first : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
    %r = dsc.relu %h : (tensor<2x3xf32>) -> tensor<2x3xf32>
    %y = dsc.matmul %r, %second : (tensor<2x3xf32>, tensor<3x3xf32>) -> tensor<2x3xf32>
    %z = dsc.exp %y : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %y, %z : tensor<2x3xf32>, tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}, tensor<2x3xf32> {dsc.name = "z"}) {
    return %x, %x : tensor<2x3xf32>, tensor<2x3xf32>
  }
}

// CHECK-NOT: @first.
// CHECK: dsc.global @second.momentum_buffer : tensor<3x3xf32> {of = @second
// CHECK-NOT: func.func @micro
// CHECK-LABEL: func.func @last(
// CHECK: dsc.matmul
// CHECK: dsc.relu
// CHECK: dsc.matmul
// CHECK-NOT: dsc.exp
// CHECK-NOT: dsc.select
// CHECK: %[[D:.+]] = dsc.matmul {{.*}}transpose_a = true
// CHECK-NOT: dsc.matmul
// CHECK: dsc.gradients %[[D]] {names = ["second"]}
// CHECK: dsc.sgd
// CHECK-NOT: dsc.sgd
