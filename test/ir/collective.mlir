// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK-LABEL: func.func @reduce_scatter
func.func @reduce_scatter(%x: tensor<3x1024xbf16>) {
  // CHECK: dsc.reduce_scatter %{{.+}} : tensor<3x1024xbf16>
  %y = dsc.reduce_scatter %x : tensor<3x1024xbf16>
  return
}

// With an id the op only starts it.
// CHECK-LABEL: func.func @wait
func.func @wait(%x: tensor<3x1024xf32>) {
  // CHECK: dsc.reduce_scatter %{{.+}} {id = 2 : i64} : tensor<3x1024xf32>
  %y = dsc.reduce_scatter %x {id = 2 : i64} : tensor<3x1024xf32>
  // CHECK: dsc.wait %{{.+}} {id = 2 : i64} : tensor<3x1024xf32>
  %z = dsc.wait %y {id = 2 : i64} : tensor<3x1024xf32>
  return
}

// One sum a chunk, and what is sharded.
// CHECK-LABEL: func.func @all_gather
func.func @all_gather(%x: tensor<3x1xf32>, %w: tensor<3x1024xf16>) {
  // CHECK: dsc.all_gather %{{.+}} : tensor<3x1xf32>
  %y = dsc.all_gather %x : tensor<3x1xf32>
  // CHECK: dsc.all_gather %{{.+}} {apart} : tensor<3x1024xf16>
  %z = dsc.all_gather %w {apart} : tensor<3x1024xf16>
  return
}

// CHECK-LABEL: func.func @all_reduce
func.func @all_reduce(%x: tensor<f32>, %y: tensor<2xf64>) {
  // CHECK: dsc.all_reduce %{{.+}} : tensor<f32>
  %a = dsc.all_reduce %x : tensor<f32>
  // CHECK: dsc.all_reduce %{{.+}} : tensor<2xf64>
  %b = dsc.all_reduce %y : tensor<2xf64>
  return
}
