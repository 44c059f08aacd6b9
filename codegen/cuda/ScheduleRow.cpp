// Row kernels: short rows share a block, longer ones have one each.

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/RowEmitter.h"
#include "codegen/cuda/Schedules.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleRow(const KernelSpace &space, ModuleOp module,
                                                       StringRef name) {
  KernelOp kernel = space.kernel();
  if (!space.columnReductions().empty()) {
    return space.columnReductions().front()->emitOpError("reduces rows in a kernel of kind row");
  }
  RowLayout layout = layoutRows(space);
  gpu::GPUFuncOp function = createKernelFunction(module, name, kernel, layout.blockThreads());
  cuda::BodyEmitter body(space, function, layout.lanes);
  if (failed(body.beginKernel()) || failed(emitBlockRows(body, layout, /*columnStage=*/0))) {
    return failure();
  }
  return SmallVector<KernelLaunch>{
      {name.str(), static_cast<int64_t>(llvm::divideCeil(space.rows(), layout.rows)),
       kernel.getOwnedChunks() ? layout.rows : layout.blockThreads()}};
}
