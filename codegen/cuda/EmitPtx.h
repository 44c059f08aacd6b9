// Kernels in the NVVM dialect -> PTX, by LLVM's NVPTX backend -> machine code.

#ifndef DSC_CODEGEN_CUDA_EMITPTX_H
#define DSC_CODEGEN_CUDA_EMITPTX_H

#include "codegen/cuda/LinkCubin.h"
#include "ir/Dialect.h"

#include <string>
#include <vector>

namespace dsc::cuda {

/// Registers what translation of kernels to LLVM IR needs.
void registerPtxDialects(mlir::DialectRegistry &registry);

/// Kernels that are loaded together, as text and as machine code.
struct Image {
  std::string ptx;
  Cubin cubin;
};

/// One PTX module with all kernels of `module`'s gpu.modules, for `arch` (sm_90) and newer chips.
/// Several LLVM modules are compiled on threads. Error: libdevice is needed and not found.
mlir::FailureOr<std::string> emitPtx(mlir::ModuleOp module, llvm::StringRef arch);

/// The same kernels as several images, assembled on the threads that compile them: NVIDIA's
/// assembler takes twice as long as LLVM does, and one text on one thread. Error: also where it
/// refuses a text.
mlir::FailureOr<std::vector<Image>> compileImages(mlir::ModuleOp module, llvm::StringRef arch);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_EMITPTX_H
