// RUN: dsc-opt %s --dsc-build-kernels | FileCheck %s

// Column sums are two functions: blocks of rows add into their parts of the scratch, then the blocks are added in order.

// CHECK-LABEL: func.func @kernel_0_partial(
// CHECK-SAME: %{{.+}}: memref<1600xf32>, %{{.+}}: memref<16xf32>, %[[SCRATCH:[^:]+]]: memref<192xi8>
// CHECK: memref.view %[[SCRATCH]]
// CHECK-SAME: memref<192xi8> to memref<48xf32>
// CHECK-LABEL: func.func @kernel_0_final(
// CHECK: scf.for
// CHECK:   scf.for
// CHECK:     arith.addf
// CHECK:   vector.store
func.func @last(%x: tensor<100x16xf32>) {
  %0 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 100, 16>, row_rank = 1 : i64, scratch = 192 : i64} {
  ^bb0(%a: tensor<100x16xf32>):
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<100x16xf32>) -> tensor<1x16xf32>
    dsc.yield %s : tensor<1x16xf32>
  } : (tensor<100x16xf32>) -> tensor<1x16xf32>
  return
}
