// RUN: dsc-opt %s --dsc-build-kernels | FileCheck %s
// RUN: dsc-opt %s --dsc-build-kernels --dsc-lower-kernels | FileCheck %s --check-prefix=NVVM

// A kernel over owned chunks gets the first of them and the one behind the last: elementwise, blocks go from vector to
// vector of these (256 a chunk of f32), as many as there are; a row is a chunk, and one behind the last is not stored.

// CHECK: gpu.func @kernel_0(%{{.+}}: !llvm.ptr<1>, %{{.+}}: !llvm.ptr<1>, %[[BEGIN:.+]]: i64, %[[END:.+]]: i64)
// CHECK-DAG: %[[FIRST:.+]] = arith.index_cast %[[BEGIN]] : i64 to index
// CHECK-DAG: %[[LAST:.+]] = arith.index_cast %[[END]] : i64 to index
// CHECK-DAG: arith.muli %[[FIRST]], %c256
// CHECK-DAG: %[[LIMIT:.+]] = arith.muli %[[LAST]], %c256
// CHECK: gpu.grid_dim x
// CHECK: scf.for %{{.+}} = %{{.+}} to %[[LIMIT]] step
// CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 16 : i64} : vector<4xf32>
// CHECK: gpu.func @kernel_1(%{{.+}}: !llvm.ptr<1>, %{{.+}}: !llvm.ptr<1>, %{{.+}}: i64, %[[END:.+]]: i64)
// CHECK: %[[LAST:.+]] = arith.index_cast %[[END]] : i64 to index
// CHECK: arith.cmpi ult, %{{.+}}, %[[LAST]] : index

// NVVM: llvm.func @kernel_0(%{{.+}}: !llvm.ptr<1>{{.*}}, %{{.+}}: !llvm.ptr<1>{{.*}}, %[[BEGIN:.+]]: i64, %{{.+}}: i64)
// NVVM: llvm.trunc %[[BEGIN]] : i64 to i32
module attributes {dsc.options = {target = "cuda"}} {
  func.func @last(%x: tensor<6x1024xf32> {dsc.slot = #dsc.slot<io, 0, 24576, 0, 1>}) {
    %0 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 6, 1024>, row_rank = 0 : i64, owned_chunks = 6 : i64} {
    ^bb0(%a: tensor<6x1024xf32>):
      %y = dsc.neg %a : (tensor<6x1024xf32>) -> tensor<6x1024xf32>
      dsc.yield %y : tensor<6x1024xf32>
    } : (tensor<6x1024xf32>) -> tensor<6x1024xf32>
    %1 = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 6, 1024>, row_rank = 1 : i64, owned_chunks = 6 : i64} {
    ^bb0(%a: tensor<6x1024xf32>):
      %y = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<6x1024xf32>) -> tensor<6x1xf32>
      dsc.yield %y : tensor<6x1xf32>
    } : (tensor<6x1024xf32>) -> tensor<6x1xf32>
    return
  }
}
