// The table of row lengths.

#include "codegen/cuda/RowLayout.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace dsc::cuda;

// Rows of up to this many vectors belong to one warp. With more of them a thread would hold so many
// sums over rows that too few threads were there to hide its loads.
static constexpr int64_t kWarpVectors = 64;
// Threads of a longer row, and vectors of each.
static constexpr int64_t kRowThreads = 512, kRowSteps = 4;
RowLayout RowLayout::of(int64_t columns) {
  RowLayout layout;
  for (int64_t lanes : {8, 4, 2}) {
    if (columns > 0 && columns % lanes == 0) {
      layout.lanes = lanes;
      break;
    }
  }
  layout.vectors = columns / layout.lanes;
  if (layout.vectors <= kWarpVectors) {
    layout.threads = std::clamp<int64_t>(llvm::PowerOf2Ceil(layout.vectors), 1, 32);
    layout.rows = kBlockThreads / layout.threads;
  } else if (layout.vectors <= kRowThreads * kRowSteps) {
    int64_t steps = llvm::divideCeil(layout.vectors, kRowThreads);
    layout.threads = llvm::alignTo(llvm::divideCeil(layout.vectors, steps), 32);
  } else {
    layout.threads = kRowThreads;
  }
  layout.steps = llvm::divideCeil(layout.vectors, layout.threads);
  return layout;
}
