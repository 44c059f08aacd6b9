// The blocks of f32 attention.
// A table of functions per instruction set, like GemmKernels: the bits are the same in each.
// Work items are independent; each is done by one thread with its own scratch.

#ifndef DSC_RUNTIME_CPU_ATTENTIONKERNELS_H
#define DSC_RUNTIME_CPU_ATTENTIONKERNELS_H

#include "runtime/LibraryShapes.h"

#include <stdint.h>

namespace dsc {

/// Operands and results of one call; gradients have the strides of what they are gradients of.
template <typename T> struct AttentionOperands {
  const T *q, *k, *v;
  const void *mask;
  T *o;
  T *lse;      ///< [batch, heads, qLength]
  const T *dO; ///< backward only, like the following
  T *dq, *dk, *dv;
  T *delta; ///< [batch, heads, qLength], written first, like `share`
  T *share; ///< [batch, heads, qLength]: what e^(score - lse) is multiplied by, 1 in most rows
};

/// The largest |lse| that stands for its row's sum. Beyond it the logarithm of the sum is rounded
/// off: under masks of -10^4 in part, under those of the lowest finite number entirely, and then
/// e^(score - lse) adds up to the number of keys. Such rows are summed again by the gradient.
constexpr double largestExactLse = 256;

/// Blocks of queries and keys of one head of k and v, and which gradients they add up to. Who wants
/// that of q covers all keys, who wants those of k and v all queries of all heads: each gradient is
/// added up by one owner in one order, however the work is cut.
struct AttentionPart {
  int64_t batch, kvHead;
  int64_t headBegin, headEnd; ///< within the group of heads that share k and v
  int64_t qBegin, qEnd;       ///< blocks of queries
  int64_t kBegin, kEnd;       ///< blocks of keys
  bool wantQ, wantKv;
};

struct AttentionKernels {
  /// The widest head that the kernels' scratch has room for.
  static constexpr int64_t mostWidth = 256;

  /// One block of queries of one head; items are batch x heads x blocks of queries.
  void (*forward)(const AttentionShape &, const AttentionOperands<float> &, int64_t item,
                  void *scratch, int64_t scratchBytes);
  /// delta = rowsum(o * d_o) and share of one head; items are batch x heads. Comes before
  /// `backward`.
  void (*rowSums)(const AttentionShape &, const AttentionOperands<float> &, int64_t item,
                  void *scratch);
  void (*backward)(const AttentionShape &, const AttentionOperands<float> &, const AttentionPart &,
                   void *scratch, int64_t scratchBytes);
};

extern const AttentionKernels attentionKernelsAvx2;
extern const AttentionKernels attentionKernelsAvx512;

} // namespace dsc

#endif // DSC_RUNTIME_CPU_ATTENTIONKERNELS_H
