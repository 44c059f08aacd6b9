// How the threads of a block lie over rows of a given length. A function of the number of columns
// alone, so that sums over a row are the same tree in every kernel.

#ifndef DSC_CODEGEN_CUDA_ROWLAYOUT_H
#define DSC_CODEGEN_CUDA_ROWLAYOUT_H

#include <cstdint>

namespace dsc::cuda {

struct RowLayout {
  /// For rows of `columns` elements.
  static RowLayout of(int64_t columns);

  /// Elements of a vector, which divides the row.
  int64_t lanes = 1;
  /// Vectors of a row.
  int64_t vectors = 1;
  /// Threads of a row: up to 32 (a power of two, parts of a warp), or whole warps.
  int64_t threads = 1;
  /// Vectors of a thread; thread t has vectors t, t + threads, ..
  int64_t steps = 1;
  /// Rows of a block.
  int64_t rows = 1;
  /// Whether a thread has all its vectors at once, in registers from pass to pass. Otherwise it
  /// reads them again in each. The same sums either way.
  bool inRegisters = true;
  /// Vectors that a thread loads before it uses the first, where it has them one after the other.
  int64_t unroll = 2;

  /// Registers that a thread has for what it keeps of a row.
  static constexpr int64_t keptRegisters = 64;
  /// Registers of a thread's part of the row, and of its sums over rows, where it has them at once.
  int64_t rowRegisters = 0, sumRegisters = 0;

  int64_t blockThreads() const { return threads * rows; }
  /// Whether the last step lies partly behind the row.
  bool isRagged() const { return vectors % threads != 0; }
};

/// Threads of blocks whose rows need no more than a warp, and of all blocks without rows.
constexpr int64_t kBlockThreads = 256;

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_ROWLAYOUT_H
