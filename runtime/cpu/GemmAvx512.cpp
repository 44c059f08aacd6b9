// Matrix product loops for AVX-512.
// 14 x 32 tiles: 28 of the 32 registers accumulate, 2 hold a row of b, a is broadcast from memory.
// Compiled with AVX-512 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/GemmKernelBodies.h"

namespace {

void tile(int rows, int columns, int64_t k, const float *a, const float *b, int64_t bStride,
          float *c, int64_t cStride, const dsc::TileEnd &end) {
  using One = TileRow<1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
  using Two = TileRow<2, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
  TileFunction function = columns <= laneCount ? One::functions[rows] : Two::functions[rows];
  function(columns, k, a, rows, b, bStride, c, cStride, end);
}

} // namespace

const dsc::GemmKernels dsc::gemmKernelsAvx512 = {"AVX-512",
                                                 14,
                                                 32,
                                                 tile,
                                                 packRows,
                                                 packColumns<32>,
                                                 packRowPointers,
                                                 copyRowPointers,
                                                 dotsOf,
                                                 weighRowPointers,
                                                 addRowProducts,
                                                 finishRow};
