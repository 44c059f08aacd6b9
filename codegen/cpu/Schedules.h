// One kernel of the plan -> functions of the vector, scf and memref dialects, one file a schedule
// class.

#ifndef DSC_CODEGEN_CPU_SCHEDULES_H
#define DSC_CODEGEN_CPU_SCHEDULES_H

#include "codegen/KernelSpace.h"
#include "codegen/OutlineKernels.h"

namespace dsc {

/// An empty function for a launch of `kernel`: flat memrefs of operands, results and scratch, then
/// the range of units.
mlir::func::FuncOp createKernelFunction(mlir::ModuleOp module, llvm::StringRef name,
                                        KernelOp kernel);

/// The least number of units worth a thread, for units that move `bytes` bytes; `kernel`'s costly
/// ops make them fewer.
int64_t launchGrain(KernelOp kernel, int64_t bytes);

/// Bytes that the domain's operands and results have a column (or an element) of all rows.
int64_t bytesPerElement(const KernelSpace &space);

/// Emits the functions of `kernel` into `module`, named after `name`, and says how to launch them.
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

} // namespace dsc

#endif // DSC_CODEGEN_CPU_SCHEDULES_H
