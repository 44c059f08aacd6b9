// RUN: dsc-opt %s --dsc-build-kernels | FileCheck %s

// Two passes over a row of 64: the sum of exponentials in four accumulators that move on by one with each vector, with
// each exponential kept on the stack; then the quotient of what was kept and the sum, the only store.

// CHECK-LABEL: func.func @kernel_0(
// CHECK-SAME: %[[X:[^:]+]]: memref<192xf32>, %[[Y:[^:]+]]: memref<192xf32>
// CHECK: %[[KEPT:.+]] = memref.alloca() {{.*}}: memref<64xf32>
// CHECK: %[[SUMS:.+]]:4 = scf.for {{.+}} iter_args(%[[A:.+]] = %{{.+}}, %[[B:.+]] = %{{.+}}, %[[C:.+]] = %{{.+}}, %[[D:.+]] = %{{.+}})
// CHECK:   vector.load %[[X]]
// CHECK:   %[[NEXT:.+]] = arith.addf %[[A]], %{{.+}} : vector<16xf32>
// CHECK:   vector.store %{{.+}}, %[[KEPT]]
// CHECK:   scf.yield %[[B]], %[[C]], %[[D]], %[[NEXT]]
// CHECK: %[[LEFT:.+]] = arith.addf %[[SUMS]]#0, %[[SUMS]]#1
// CHECK: %[[RIGHT:.+]] = arith.addf %[[SUMS]]#2, %[[SUMS]]#3
// CHECK: arith.addf %[[LEFT]], %[[RIGHT]]
// CHECK: scf.for
// CHECK-NOT: vector.load %[[X]]
// CHECK:   vector.load %[[KEPT]]
// CHECK:   arith.divf
// CHECK:   vector.store %{{.+}}, %[[Y]]
func.func @last(%x: tensor<3x64xf32>) {
  %0 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 3, 64>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<3x64xf32>):
    %e = dsc.exp %a : (tensor<3x64xf32>) -> tensor<3x64xf32>
    %s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<3x64xf32>) -> tensor<3x1xf32>
    %y = dsc.div %e, %s : (tensor<3x64xf32>, tensor<3x1xf32>) -> tensor<3x64xf32>
    dsc.yield %y : tensor<3x64xf32>
  } : (tensor<3x64xf32>) -> tensor<3x64xf32>
  return
}
