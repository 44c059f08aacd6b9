// Kernel functions of the gpu, vector and scf dialects -> the LLVM and NVVM dialects.

#ifndef DSC_CODEGEN_CUDA_LOWERTONVVM_H
#define DSC_CODEGEN_CUDA_LOWERTONVVM_H

#include "ir/Dialect.h"

namespace dsc::cuda {

/// Dialects that CUDA kernels are written in and lowered to.
void registerKernelDialects(mlir::DialectRegistry &registry);

/// Lowers every gpu.module of `module` in place. After it kernels are llvm.func ops with
/// `nvvm.kernel`.
mlir::LogicalResult lowerKernelsToNvvm(mlir::ModuleOp module);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_LOWERTONVVM_H
