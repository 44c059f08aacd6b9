// One kernel of the plan -> functions of the gpu, vector, scf and LLVM dialects, one file a
// schedule class. Grids have one dimension; threads find their place by division.

#ifndef DSC_CODEGEN_CUDA_SCHEDULES_H
#define DSC_CODEGEN_CUDA_SCHEDULES_H

#include "codegen/KernelSpace.h"
#include "codegen/OutlineKernels.h"

namespace dsc::cuda {

/// Emits the functions of `kernel` into `module`, named after `name`, and says how to launch them:
/// units are blocks, grains the threads of a block; over owned chunks the most blocks, and the
/// chunks of one.
mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleKernel(KernelOp kernel, mlir::ModuleOp module, llvm::StringRef name);

mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleElementwise(const KernelSpace &space, mlir::ModuleOp module, llvm::StringRef name);
mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleRow(const KernelSpace &space, mlir::ModuleOp module, llvm::StringRef name);
mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleColumn(const KernelSpace &space, mlir::ModuleOp module, llvm::StringRef name);
mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleLoops(KernelOp kernel, mlir::ModuleOp module, llvm::StringRef name);
mlir::FailureOr<llvm::SmallVector<KernelLaunch>>
scheduleGatherGrad(KernelOp kernel, GatherGradOp op, mlir::ModuleOp module, llvm::StringRef name);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_SCHEDULES_H
