// The choice of a schedule by kind.

#include "codegen/cuda/Schedules.h"

using namespace mlir;
using namespace dsc;

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleKernel(KernelOp kernel, ModuleOp module,
                                                          StringRef name) {
  if (kernel.getKind() == KernelKind::loops) {
    return scheduleLoops(kernel, module, name);
  }
  KernelSpace space(kernel);
  if (failed(space.verify())) {
    return failure();
  }
  switch (kernel.getKind()) {
  case KernelKind::elementwise:
    return scheduleElementwise(space, module, name);
  case KernelKind::row:
    return scheduleRow(space, module, name);
  case KernelKind::column:
  case KernelKind::row_column:
    return scheduleColumn(space, module, name);
  case KernelKind::loops:
    break;
  }
  llvm_unreachable("all kinds handled");
}
