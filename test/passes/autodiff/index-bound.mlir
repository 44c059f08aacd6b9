// RUN: dsc-opt %s --dsc-build-entries | FileCheck %s

// An input that indexes a table may only hold rows of it, and the entries' signatures say so for the manifest; the labels have
// their classes; an index that is computed from an input bounds nothing. Rows that pad the table may not be named.
module attributes {dsc.options = {loss = "cross-entropy", optimizer = "sgd"}} {
  dsc.global @padded : tensor<72x8xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<72x8xf32>}
  dsc.global @table : tensor<65x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "table", "">, storage = #dsc.storage<@padded, [0, 0], [0, 1]>}
  dsc.global @positions : tensor<16x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "positions", "">}
  func.func @forward(%ids: tensor<2x4xi64> {dsc.name = "ids"}, %at: tensor<2x4xi64> {dsc.name = "at"}) -> (tensor<2x4x8xf32> {dsc.name = "y"}) {
    %t = dsc.get_global @padded : tensor<72x8xf32>
    %p = dsc.get_global @positions : tensor<16x8xf32>
    %flat = dsc.reshape %ids : (tensor<2x4xi64>) -> tensor<8xi64>
    %rows = dsc.gather %t, %flat {axis = 0 : i64} : (tensor<72x8xf32>, tensor<8xi64>) -> tensor<8x8xf32>
    %x = dsc.reshape %rows : (tensor<8x8xf32>) -> tensor<2x4x8xf32>
    %next = dsc.add %at, %at : (tensor<2x4xi64>, tensor<2x4xi64>) -> tensor<2x4xi64>
    %z = dsc.gather %p, %next {axis = 0 : i64} : (tensor<16x8xf32>, tensor<2x4xi64>) -> tensor<2x4x8xf32>
    %y = dsc.add %x, %z : (tensor<2x4x8xf32>, tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
    return %y : tensor<2x4x8xf32>
  }
  func.func @inference(%ids: tensor<2x4xi64> {dsc.name = "ids"}, %at: tensor<2x4xi64> {dsc.name = "at"}) -> (tensor<2x4x8xf32> {dsc.name = "y"}) {
    %t = dsc.get_global @padded : tensor<72x8xf32>
    %x = dsc.gather %t, %ids {axis = 0 : i64} : (tensor<72x8xf32>, tensor<2x4xi64>) -> tensor<2x4x8xf32>
    return %x : tensor<2x4x8xf32>
  }
}

// CHECK-LABEL: func.func @last(
// CHECK-SAME: {dsc.classes = 65 : i64, dsc.name = "ids", dsc.role = "input"}
// CHECK-SAME: {dsc.name = "at", dsc.role = "input"}
// CHECK-SAME: {dsc.classes = 8 : i64, dsc.name = "labels", dsc.role = "labels"}
