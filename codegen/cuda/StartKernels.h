// Kernels for the start of a run: parameters drawn at random, and weights rounded to the compute
// type. They belong to no entry. The runner launches them when it loads weights (runtime/abi.h,
// DSC_START_UNIFORM), so that neither random weights nor half copies ever pass through the host.

#ifndef DSC_CODEGEN_CUDA_STARTKERNELS_H
#define DSC_CODEGEN_CUDA_STARTKERNELS_H

#include "ir/Dialect.h"

namespace dsc::cuda {

/// Adds the kernels that the globals of `module` need.
void addStartKernels(mlir::ModuleOp module);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_STARTKERNELS_H
