// Loops kernels: one op as loops over its result, by family.

#include "codegen/cpu/Schedules.h"

using namespace mlir;
using namespace dsc;

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleLoops(KernelOp kernel, ModuleOp module,
                                                        StringRef name) {
  return kernel.emitOpError("of kind loops has no CPU code yet");
}
