// Kernel functions of the vector, scf and memref dialects -> the LLVM dialect, with the C ABI of
// dsc_kernel_fn.

#ifndef DSC_CODEGEN_CPU_LOWERTOLLVM_H
#define DSC_CODEGEN_CPU_LOWERTOLLVM_H

#include "ir/Dialect.h"

namespace dsc {

/// Dialects that buildKernels and lowerKernelsToLlvm create ops of; a context must load them first.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Whether `name` is that of a generated kernel's function.
bool isKernelSymbol(llvm::StringRef name);

/// Lowers every kernel function of `module` in place, on several threads where the context allows.
/// After it `void kernel_N_entry(void *const *args, int64_t begin, int64_t end)` is what a launch
/// names.
mlir::LogicalResult lowerKernelsToLlvm(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_CODEGEN_CPU_LOWERTOLLVM_H
