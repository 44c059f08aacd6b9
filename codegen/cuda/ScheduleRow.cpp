// Row kernels: short rows share a block, longer ones have one each.

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/RowEmitter.h"
#include "codegen/cuda/Schedules.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;

// About as many as a large GPU has multiprocessors (an H100 or H200 132).
static constexpr int64_t kRowsAhead = 128;

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleRow(const KernelSpace &space, ModuleOp module,
                                                       StringRef name) {
  KernelOp kernel = space.kernel();
  if (!space.columnReductions().empty()) {
    return space.columnReductions().front()->emitOpError("reduces rows in a kernel of kind row");
  }
  RowLayout layout = layoutRows(space);
  gpu::GPUFuncOp function = createKernelFunction(module, name, kernel, layout.blockThreads());
  cuda::BodyEmitter body(space, function, layout.lanes);
  if (layout.inRegisters && layout.fillsMultiprocessor() && !kernel.getOwnedChunks()) {
    // Such a block computes while no other one loads: rows are fetched a wave of blocks ahead.
    body.prefetchAhead(kRowsAhead);
  }
  if (failed(body.beginKernel()) || failed(emitBlockRows(body, layout, /*columnStage=*/0))) {
    return failure();
  }
  return SmallVector<KernelLaunch>{
      {name.str(), static_cast<int64_t>(llvm::divideCeil(space.rows(), layout.rows)),
       kernel.getOwnedChunks() ? layout.rows : layout.blockThreads()}};
}
