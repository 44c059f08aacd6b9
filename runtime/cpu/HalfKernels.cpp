// Conversions of whole tensors, and the choice of the table.

#include "runtime/cpu/HalfKernels.h"

#include "runtime/cpu/Gemm.h"

using namespace dsc;

/// Elements worth a thread of their own.
static constexpr int64_t grain = 16384;

const HalfKernels &dsc::halfKernels() {
  return gemmKernels() == &gemmKernelsAvx512 ? halfKernelsAvx512 : halfKernelsAvx2;
}

void dsc::widen(ThreadTeam &team, int32_t dtype, int64_t count, const void *from, float *to) {
  team.parallelFor(count, grain, [&](int64_t begin, int64_t end) {
    halfKernels().widen(dtype, end - begin, static_cast<const uint16_t *>(from) + begin,
                        to + begin);
  });
}

void dsc::narrow(ThreadTeam &team, int32_t dtype, int64_t count, const float *from, void *to) {
  team.parallelFor(count, grain, [&](int64_t begin, int64_t end) {
    halfKernels().narrow(dtype, end - begin, from + begin, static_cast<uint16_t *>(to) + begin);
  });
}
