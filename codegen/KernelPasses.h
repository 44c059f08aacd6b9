// The steps of kernel generation as passes, for dsc-opt and its tests.

#ifndef DSC_CODEGEN_KERNELPASSES_H
#define DSC_CODEGEN_KERNELPASSES_H

#include "ir/Dialect.h"

namespace dsc {

/// Registers --dsc-build-kernels and --dsc-lower-kernels.
void registerKernelPasses();

} // namespace dsc

#endif // DSC_CODEGEN_KERNELPASSES_H
