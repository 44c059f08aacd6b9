// RUN: dsc-opt %s --dsc-build-kernels | FileCheck %s
// RUN: dsc-opt %s --dsc-build-kernels --dsc-lower-kernels | FileCheck %s --check-prefix=LLVM

// Values that do not change along a row are computed before the loop over it, in all lanes; whole vectors come first,
// then the row's last 5 elements through the same code under a mask. Equal kernels are one function.

// CHECK-LABEL: func.func @kernel_0(
// CHECK-SAME: %[[X:[^:]+]]: memref<148xf32>, %[[S:[^:]+]]: memref<4xf32>, %[[Y:[^:]+]]: memref<148xf32>, %[[BEGIN:[^:]+]]: index, %[[END:[^:]+]]: index)
// CHECK-DAG: %[[MASK:.+]] = arith.constant dense<[true, true, true, true, true, false,
// CHECK: scf.for %{{.+}} = %[[BEGIN]] to %[[END]]
// CHECK:   memref.load %[[S]]
// CHECK:   math.sqrt %{{.+}} : vector<16xf32>
// CHECK:   scf.for
// CHECK:     vector.load %[[X]]
// CHECK:     arith.addf %{{.+}}, %{{.+}} : vector<16xf32>
// CHECK:     vector.store %{{.+}}, %[[Y]]
// CHECK:   vector.maskedload %[[X]][%{{.+}}], %[[MASK]]
// CHECK:   vector.maskedstore %[[Y]][%{{.+}}], %[[MASK]]
// CHECK-NOT: @kernel_1

// LLVM: llvm.func internal @kernel_0(%{{.+}}: !llvm.ptr, %{{.+}}: !llvm.ptr, %{{.+}}: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64)
// LLVM: llvm.func hidden @kernel_0_entry(%{{.+}}: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64)
// LLVM: llvm.call @kernel_0(
func.func @last(%x: tensor<4x37xf32>, %s: tensor<4x1xf32>) {
  %0 = dsc.kernel (%x, %s) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 37>, row_rank = 2 : i64} {
  ^bb0(%a: tensor<4x37xf32>, %b: tensor<4x1xf32>):
    %r = dsc.sqrt %b : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %y = dsc.add %a, %r : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
    dsc.yield %y : tensor<4x37xf32>
  } : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
  %1 = dsc.kernel (%0, %s) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 37>, row_rank = 2 : i64} {
  ^bb0(%c: tensor<4x37xf32>, %d: tensor<4x1xf32>):
    %q = dsc.sqrt %d : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %z = dsc.add %c, %q : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
    dsc.yield %z : tensor<4x37xf32>
  } : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
  return
}
