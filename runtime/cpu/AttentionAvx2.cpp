// Attention's blocks for AVX2 with FMA.
// Compiled with AVX2 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/GemmKernelBodies.h"

namespace {

constexpr int64_t tileRows = 6, tileVectors = 1;

template <int Apart> TileFunction tileFunction(int rows, int) {
  return TileRow<1, Apart, 1, 2, 3, 4, 5, 6>::functions[rows];
}

} // namespace

#include "runtime/cpu/AttentionKernelBodies.h"

const dsc::AttentionKernels dsc::attentionKernelsAvx2 = {attentionForward, attentionRowSums,
                                                         attentionBackward};
