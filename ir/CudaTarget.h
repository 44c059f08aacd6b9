// The CUDA target: generated kernels, cuBLASLt, cuDNN.

#ifndef DSC_IR_CUDATARGET_H
#define DSC_IR_CUDATARGET_H

#include "ir/Target.h"

namespace dsc {

std::unique_ptr<Target> makeCudaTarget();

} // namespace dsc

#endif // DSC_IR_CUDATARGET_H
