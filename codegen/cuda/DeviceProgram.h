// The device's part of the host program: kernels by number, and the images that hold them.

#ifndef DSC_CODEGEN_CUDA_DEVICEPROGRAM_H
#define DSC_CODEGEN_CUDA_DEVICEPROGRAM_H

#include "codegen/RuntimeCalls.h"
#include "codegen/cuda/EmitPtx.h"
#include "ir/Dialect.h"

#include <string>

namespace dsc::cuda {

struct DeviceKernel {
  std::string name;
  int32_t threads = 0;     // of a block
  int32_t sharedBytes = 0; // that a launch asks for
};

/// The kernel functions of `module`'s gpu.modules, once lowered, in the order of their numbers.
llvm::SmallVector<DeviceKernel> deviceKernels(mlir::ModuleOp module);

/// Calls that make images and kernels known to the runtime, for the start of dsc_program_init.
/// Returns what is not 0 where one of them fails. The function that loads images is declared;
/// defineImages fills it.
mlir::Value emitDeviceInit(mlir::OpBuilder &b, mlir::Location loc, mlir::ModuleOp module,
                           RuntimeCalls &calls, mlir::Value context,
                           llvm::ArrayRef<DeviceKernel> kernels);

/// Puts `images` into the program and defines the function that loads them.
void defineImages(mlir::ModuleOp module, llvm::ArrayRef<Image> images);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_DEVICEPROGRAM_H
