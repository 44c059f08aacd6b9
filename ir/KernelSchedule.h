// Sizes that the fusion phase plans and code generation relies on. They are functions of shapes
// only, so that a reduction's tree, and with it every bit, does not depend on threads.

#ifndef DSC_IR_KERNELSCHEDULE_H
#define DSC_IR_KERNELSCHEDULE_H

#include "runtime/abi.h"

#include <algorithm>
#include <cstdint>

namespace dsc {

/// Bytes of a row's dear values (exponentials and the like) that a kernel keeps from one pass over
/// the row to the next: what fits the second-level cache. Rows that need more are computed again,
/// so fusion does not make such kernels.
constexpr int64_t kKeptRowBytes = 256 << 10;

/// Number of blocks into which a column reduction over `rows` rows is split: enough for many
/// threads, each with enough rows to be worth its row of partial sums.
inline int64_t columnBlocks(int64_t rows, int64_t columns) {
  return std::clamp<int64_t>(rows / 32, 1, 32);
}

/// Bytes of scratch of a kernel with `reductions` column reductions of elements of `elementBytes`.
inline int64_t columnScratchBytes(int64_t rows, int64_t columns, int64_t reductions,
                                  int64_t elementBytes) {
  return dsc_align(columnBlocks(rows, columns) * columns * elementBytes) * reductions;
}

} // namespace dsc

#endif // DSC_IR_KERNELSCHEDULE_H
