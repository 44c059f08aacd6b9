// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK-LABEL: func.func @reduce
func.func @reduce(%x: tensor<4x8x2xf32>) {
  // CHECK: dsc.reduce %{{.+}} {axes = array<i64: 0, 2>, kind = #dsc.reduce_kind<sum>} : (tensor<4x8x2xf32>) -> tensor<1x8x1xf32>
  %y = dsc.reduce %x {axes = array<i64: 0, 2>, kind = #dsc.reduce_kind<sum>} : (tensor<4x8x2xf32>) -> tensor<1x8x1xf32>
  return
}

// An empty product is 1.
// CHECK-LABEL: func.func @reduce_empty
func.func @reduce_empty(%x: tensor<4x0xf32>) {
  // CHECK: dsc.reduce %{{.+}} {axes = array<i64: 1>, kind = #dsc.reduce_kind<prod>} : (tensor<4x0xf32>) -> tensor<4x1xf32>
  %y = dsc.reduce %x {axes = array<i64: 1>, kind = #dsc.reduce_kind<prod>} : (tensor<4x0xf32>) -> tensor<4x1xf32>
  return
}

// CHECK-LABEL: func.func @reduce_nothing
func.func @reduce_nothing(%x: tensor<4xi64>) {
  // CHECK: dsc.reduce %{{.+}} {axes = array<i64>, kind = #dsc.reduce_kind<max>} : (tensor<4xi64>) -> tensor<4xi64>
  %y = dsc.reduce %x {axes = array<i64>, kind = #dsc.reduce_kind<max>} : (tensor<4xi64>) -> tensor<4xi64>
  return
}

// CHECK-LABEL: func.func @arg_reduce
func.func @arg_reduce(%x: tensor<4x8xf32>) {
  // CHECK: dsc.arg_reduce %{{.+}} {axis = 1 : i64, kind = #dsc.reduce_kind<min>, select_last = true} : (tensor<4x8xf32>) -> tensor<4x1xi64>
  %y = dsc.arg_reduce %x {axis = 1 : i64, kind = #dsc.reduce_kind<min>, select_last = true} : (tensor<4x8xf32>) -> tensor<4x1xi64>
  return
}

// CHECK-LABEL: func.func @cumulative
func.func @cumulative(%x: tensor<4x8xf32>) {
  // CHECK: dsc.cumulative %{{.+}} {axis = 0 : i64, exclusive = true, kind = #dsc.reduce_kind<prod>, reverse = true} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %y = dsc.cumulative %x {axis = 0 : i64, exclusive = true, kind = #dsc.reduce_kind<prod>, reverse = true} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}
