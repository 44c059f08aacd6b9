// The functions of kernels: gpu.func ops in the module's gpu.modules, one for each width of
// indices.

#ifndef DSC_CODEGEN_CUDA_KERNELFUNCTION_H
#define DSC_CODEGEN_CUDA_KERNELFUNCTION_H

#include "codegen/cuda/CudaBuilder.h"

namespace dsc::cuda {

// Kernels whose offsets fit 32 bits, and the others.
constexpr llvm::StringLiteral kKernelModule = "kernels", kWideKernelModule = "wide_kernels";

/// The gpu.module `name` of `module`, made where it is missing.
mlir::gpu::GPUModuleOp kernelModule(mlir::ModuleOp module, llvm::StringRef name);

/// An empty kernel of these parameters for blocks of `threads`, in `kernels`.
mlir::gpu::GPUFuncOp createFunction(mlir::gpu::GPUModuleOp kernels, mlir::Location loc,
                                    llvm::StringRef name, llvm::ArrayRef<mlir::Type> parameters,
                                    int64_t threads);

/// An empty function for blocks of `threads`: addresses of `kernel`'s operands, results and
/// scratch; where it has owned chunks, also the first of them and the one behind the last.
/// `residentBlocks`: how many a multiprocessor must have room for, which limits registers.
mlir::gpu::GPUFuncOp createKernelFunction(mlir::ModuleOp module, llvm::StringRef name,
                                          KernelOp kernel, int64_t threads,
                                          int64_t residentBlocks = 1);

/// The chunks that a launch of a kernel over owned chunks works on, its last two arguments.
struct OwnedChunks {
  OwnedChunks(CudaBuilder &b, mlir::gpu::GPUFuncOp function);

  mlir::Value begin, end;
};

/// What the memory plan says of addresses, for each of `function`'s arguments.
void setSlotAlignments(CudaBuilder &b, KernelOp kernel, mlir::gpu::GPUFuncOp function);

/// What kernels with equal bodies may differ in: alignments that are less than an access's width.
std::string placementKey(KernelOp kernel);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_KERNELFUNCTION_H
