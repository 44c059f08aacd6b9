// Conversions between f32 and the half types.
// A table of functions per instruction set, like GemmKernels: the bits are the same in each, and
// those of generated kernels. Widening is exact; narrowing rounds to nearest even and keeps NaN.

#ifndef DSC_RUNTIME_CPU_HALFKERNELS_H
#define DSC_RUNTIME_CPU_HALFKERNELS_H

#include "runtime/abi.h"
#include "runtime/cpu/ThreadTeam.h"

#include <stdint.h>

namespace dsc {

struct HalfKernels {
  /// `count` elements of `dtype` (DSC_F16, DSC_BF16), contiguous.
  void (*widen)(int32_t dtype, int64_t count, const void *from, float *to);
  void (*narrow)(int32_t dtype, int64_t count, const float *from, void *to);
};

extern const HalfKernels halfKernelsAvx2;
extern const HalfKernels halfKernelsAvx512;

/// The table that goes with gemmKernels().
const HalfKernels &halfKernels();

/// The whole of contiguous tensors, by the team.
void widen(ThreadTeam &team, int32_t dtype, int64_t count, const void *from, float *to);
void narrow(ThreadTeam &team, int32_t dtype, int64_t count, const float *from, void *to);

} // namespace dsc

#endif // DSC_RUNTIME_CPU_HALFKERNELS_H
