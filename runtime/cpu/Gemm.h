// f32 matrix products by packing.
// c = epilogue(a . b (+ c) + bias) for any strides of a and b and row-major c. Operands are packed
// block by block, so transposed ones cost the same. Each element of c is the sum of chains of FMAs
// over fixed pieces of k: its bits depend on the operands and the shape, not on threads, tiles,
// batch or instruction set. Small row counts use other fixed rules, by shape.

#ifndef DSC_RUNTIME_CPU_GEMM_H
#define DSC_RUNTIME_CPU_GEMM_H

#include "runtime/cpu/GemmKernels.h"
#include "runtime/cpu/ThreadTeam.h"

namespace dsc {

/// An operand that is no matrix in memory, like the patches of a convolution.
class PackedSource {
public:
  virtual ~PackedSource() = default;
  /// As GemmKernels::packA for rows [first, first + count), or as packB for such columns, and
  /// steps [k, k + depth) of the inner dim.
  virtual void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
                    float *packed) const = 0;
};

struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const float *a = nullptr;
  int64_t aRow = 0, aK = 0; ///< strides of a
  const float *b = nullptr;
  int64_t bK = 0, bColumn = 0; ///< strides of b
  float *c = nullptr;
  int64_t cRow = 0; ///< stride of c's rows; its columns are contiguous
  const float *bias = nullptr;
  int32_t epilogue = 0;
  bool accumulate = false;
  /// A result of f16 or bf16 in the place of c, its rows halfRow apart: sums are kept in f32 until
  /// they are whole, and rounded once. Does not accumulate.
  uint16_t *half = nullptr;
  int64_t halfRow = 0;
  int32_t halfType = 0;
  const PackedSource *left = nullptr;  ///< instead of a
  const PackedSource *right = nullptr; ///< instead of b
};

/// The table for this CPU; null if it has neither AVX-512 nor AVX2 with FMA.
const GemmKernels *gemmKernels();

/// Computes one product with the whole team. With dsc_matmul_workspace bytes of workspace it packs
/// b in the fewest blocks; with less, also none, in more blocks with the same bits. Half results
/// need their dsc_matmul_sums.
void multiply(ThreadTeam &team, const GemmKernels &kernels, const Gemm &gemm, void *workspace,
              int64_t workspaceBytes);

/// Whether multiplyAlone can do it: everything packed fits a thread's scratch.
bool fitsThread(const GemmKernels &kernels, const Gemm &gemm);

/// Computes one product on the calling thread; `scratch` is that thread's. Same bits as multiply.
void multiplyAlone(const GemmKernels &kernels, const Gemm &gemm, void *scratch);

} // namespace dsc

#endif // DSC_RUNTIME_CPU_GEMM_H
