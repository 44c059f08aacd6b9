// Half operands of matrix products, widened while they are packed.

#ifndef DSC_RUNTIME_CPU_HALFMATRIX_H
#define DSC_RUNTIME_CPU_HALFMATRIX_H

#include "runtime/cpu/Gemm.h"
#include "runtime/cpu/HalfKernels.h"

namespace dsc {

/// A matrix of f16 or bf16 in memory. `outer` is the stride of what is packed side by side: rows of
/// the left operand, columns of the right one; `inner` that of the inner dim of the product.
class HalfMatrix final : public PackedSource {
public:
  enum Side { Left, Right };

  HalfMatrix(Side side, int32_t dtype, const uint16_t *data, int64_t outer, int64_t inner)
      : side(side), dtype(dtype), data(data), outer(outer), inner(inner) {}

  void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
            float *packed) const override;

private:
  Side side;
  int32_t dtype;
  const uint16_t *data;
  int64_t outer, inner;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_HALFMATRIX_H
