// The CPU target: generated kernels, packed matrix products, blocked attention.

#ifndef DSC_IR_CPUTARGET_H
#define DSC_IR_CPUTARGET_H

#include "ir/Target.h"

namespace dsc {

std::unique_ptr<Target> makeCpuTarget();

} // namespace dsc

#endif // DSC_IR_CPUTARGET_H
