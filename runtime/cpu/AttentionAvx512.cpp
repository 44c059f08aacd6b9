// Attention's blocks for AVX-512.
// Compiled with AVX-512 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/GemmKernelBodies.h"

namespace {

constexpr int64_t tileRows = 14, tileVectors = 2;

template <int Apart> TileFunction tileFunction(int rows, int columns) {
  using One = TileRow<1, Apart, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
  using Two = TileRow<2, Apart, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
  return columns <= laneCount ? One::functions[rows] : Two::functions[rows];
}

} // namespace

#include "runtime/cpu/AttentionKernelBodies.h"

const dsc::AttentionKernels dsc::attentionKernelsAvx512 = {attentionForward, attentionRowSums,
                                                           attentionBackward};
