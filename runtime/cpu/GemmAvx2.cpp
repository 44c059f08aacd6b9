// Matrix product loops for AVX2 with FMA.
// 6 x 16 tiles: 12 of the 16 registers accumulate, 2 hold a row of b, 2 broadcast a.
// Compiled with AVX2 flags (runtime/CMakeLists.txt); runs only where the CPU has it.

#include "runtime/cpu/GemmKernelBodies.h"

namespace {

void tile(int rows, int columns, int64_t k, const float *a, const float *b, int64_t bStride,
          float *c, int64_t cStride, const dsc::TileEnd &end) {
  TileRow<1, 1, 1, 2, 3, 4, 5, 6>::functions[rows](columns, k, a, rows, b, bStride, c, cStride,
                                                   end);
}

} // namespace

const dsc::GemmKernels dsc::gemmKernelsAvx2 = {"AVX2",
                                               6,
                                               16,
                                               tile,
                                               packRows,
                                               packColumns<16>,
                                               packRowPointers,
                                               copyRowPointers,
                                               dotsOf,
                                               weighRowPointers,
                                               addRowProducts,
                                               finishRow};
