// The device's part of the host program: kernels by number, and the images that hold them.

#ifndef DSC_CODEGEN_CUDA_DEVICEPROGRAM_H
#define DSC_CODEGEN_CUDA_DEVICEPROGRAM_H

#include "codegen/RuntimeCalls.h"
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
/// Returns what is not 0 where one of them fails. The images are declared; defineImages fills them.
mlir::Value emitDeviceInit(mlir::OpBuilder &b, mlir::Location loc, mlir::ModuleOp module,
                           RuntimeCalls &calls, mlir::Value context,
                           llvm::ArrayRef<DeviceKernel> kernels);

/// Gives the images that emitDeviceInit declared their bytes; `cubin` may be empty.
void defineImages(mlir::ModuleOp module, llvm::StringRef cubin, llvm::StringRef ptx);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_DEVICEPROGRAM_H
