// Kernels in the NVVM dialect -> PTX, by LLVM's NVPTX backend.

#ifndef DSC_CODEGEN_CUDA_EMITPTX_H
#define DSC_CODEGEN_CUDA_EMITPTX_H

#include "ir/Dialect.h"

#include <string>

namespace dsc::cuda {

/// Registers what translation of kernels to LLVM IR needs.
void registerPtxDialects(mlir::DialectRegistry &registry);

/// One PTX module with all kernels of `module`'s gpu.modules, for `arch` (sm_90) and newer chips.
/// Several LLVM modules are compiled on threads. Error: libdevice is needed and not found.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module, llvm::StringRef arch);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_EMITPTX_H
