// Half operands of matrix products.

#include "runtime/cpu/HalfMatrix.h"

#include "runtime/abi.h"

#include <algorithm>

using namespace dsc;

void HalfMatrix::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k,
                      int64_t depth, float *packed) const {
  const HalfKernels &half = halfKernels();
  const uint16_t *from = data + first * outer + k * inner;
  // Panels of the right operand are always whole.
  const int width = side == Left ? count : kernels.columns;
  if (inner == 1) {
    // Runs along the inner dim: widened as they lie, then packed as f32 is.
    constexpr int64_t mostOuter = 32;
    alignas(64) float rows[mostOuter * DSC_MATMUL_DEPTH];
    for (int i = 0; i < count; ++i) {
      half.widen(dtype, depth, from + i * outer, rows + i * depth);
    }
    if (side == Left) {
      kernels.packA(count, depth, rows, depth, 1, packed);
    } else {
      kernels.packB(count, depth, rows, 1, depth, packed);
    }
    return;
  }
  for (int64_t p = 0; p < depth; ++p) {
    float *to = packed + p * width;
    if (outer == 1) {
      half.widen(dtype, count, from + p * inner, to);
    } else {
      for (int i = 0; i < count; ++i) {
        half.widen(dtype, 1, from + p * inner + i * outer, to + i);
      }
    }
    std::fill(to + count, to + width, 0.0f);
  }
}
