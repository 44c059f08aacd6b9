// RUN: dsc-opt %s --dsc-build-kernels | FileCheck %s
// RUN: dsc-opt %s --dsc-build-kernels --dsc-lower-kernels | FileCheck %s --check-prefix=NVVM

// A thread adds four neighbouring elements; equal kernels are one function, and one whose operand starts at an odd place
// is another, with accesses as wide as that place allows.

// CHECK: gpu.module @kernels
// CHECK: gpu.func @kernel_0(%[[X:.+]]: !llvm.ptr<1>, %[[Y:.+]]: !llvm.ptr<1>, %[[Z:.+]]: !llvm.ptr<1>) kernel attributes {nvvm.maxntid = array<i32: 256, 1, 1>}
// CHECK: %[[THREAD:.+]] = gpu.thread_id x
// CHECK: %[[BLOCK:.+]] = gpu.block_id x
// CHECK: llvm.load %{{.+}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK: llvm.load %{{.+}} {alignment = 16 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK: arith.addf %{{.+}}, %{{.+}} : vector<4xf32>
// CHECK: llvm.store %{{.+}}, %{{.+}} {alignment = 16 : i64} : vector<4xf32>, !llvm.ptr<1>
// CHECK: gpu.func @kernel_1(
// CHECK: llvm.load %{{.+}} {alignment = 4 : i64} : !llvm.ptr<1> -> vector<4xf32>
// CHECK-NOT: gpu.func

// NVVM: gpu.module @kernels
// NVVM: llvm.func @kernel_0({{.*}}) attributes {{.*}}nvvm.kernel{{.*}}nvvm.maxntid = array<i32: 256, 1, 1>
// NVVM: nvvm.read.ptx.sreg.tid.x : i32
module attributes {dsc.options = {target = "cuda"}} {
  func.func @last(%x: tensor<4096xf32> {dsc.slot = #dsc.slot<io, 0, 16384, 0, 1>}, %u: tensor<4096xf32> {dsc.slot = #dsc.slot<io, 20004, 16384, 0, 1>}) {
    %0 = dsc.kernel (%x, %x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4096>, row_rank = 1 : i64} {
    ^bb0(%a: tensor<4096xf32>, %b: tensor<4096xf32>):
      %y = dsc.add %a, %b : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
      dsc.yield %y : tensor<4096xf32>
    } : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
    %1 = dsc.kernel (%x, %x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4096>, row_rank = 1 : i64} {
    ^bb0(%a: tensor<4096xf32>, %b: tensor<4096xf32>):
      %y = dsc.add %a, %b : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
      dsc.yield %y : tensor<4096xf32>
    } : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
    %2 = dsc.kernel (%u, %x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4096>, row_rank = 1 : i64} {
    ^bb0(%a: tensor<4096xf32>, %b: tensor<4096xf32>):
      %y = dsc.add %a, %b : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
      dsc.yield %y : tensor<4096xf32>
    } : (tensor<4096xf32>, tensor<4096xf32>) -> tensor<4096xf32>
    return
  }
}
