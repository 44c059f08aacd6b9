//===- Gemm.cpp - f32 matrix products by packing ---------------------------===//

#include "runtime/cpu/Gemm.h"

#include "runtime/abi.h"

using namespace dsc;

namespace {

/// Rows of a block of a: packed, it and a panel of b stay in the second-level cache.
constexpr int64_t MostRows = 112;
/// Floats of a thread's scratch, and those that packed rows of a take from its start.
constexpr int64_t ThreadFloats = ThreadTeam::ScratchBytes / int64_t(sizeof(float));
constexpr int64_t RowFloats = MostRows * DSC_MATMUL_DEPTH + 16;
static_assert(RowFloats + 32 * DSC_MATMUL_DEPTH <= ThreadFloats, "a panel of b fits behind a's");

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// [begin, end) of piece `i` of `pieces` of [0, n), lengths differing by at most one unit.
struct Piece {
  int64_t begin, end;
  Piece(int64_t n, int64_t pieces, int64_t i) : begin(n * i / pieces), end(n * (i + 1) / pieces) {}
  int64_t size() const { return end - begin; }
};

/// How a product is cut. Only `kPieces` has to do with bits, and it depends on k alone.
struct Cut {
  int64_t kPieces, kMost;

  explicit Cut(const Gemm &gemm) {
    kPieces = ceilDiv(gemm.k, DSC_MATMUL_DEPTH);
    kMost = ceilDiv(gemm.k, kPieces);
  }
};

TileEnd endOf(const Gemm &gemm, const Cut &cut, int64_t kPiece, int64_t column) {
  TileEnd end;
  end.accumulate = gemm.accumulate || kPiece > 0;
  if (kPiece + 1 == cut.kPieces) {
    end.bias = gemm.bias ? gemm.bias + column : nullptr;
    end.epilogue = gemm.epilogue;
  }
  return end;
}

/// The tiles of rows x columns for one piece of k; b is packed in panels from `firstColumn` on.
struct BlockOfTiles {
  Piece rows, k;
  int64_t firstPanel, lastPanel;
  int64_t firstColumn, lastColumn; ///< of the packed block
};

void tiles(const GemmKernels &kernels, const Gemm &gemm, const Cut &cut, int64_t kPiece,
           const BlockOfTiles &block, const float *packedB, float *packedA) {
  int64_t rowPanels = ceilDiv(block.rows.size(), kernels.rows);
  const Piece &k = block.k;
  float *at = packedA;
  for (int64_t i = 0; i < rowPanels; ++i) {
    Piece rows(block.rows.size(), rowPanels, i);
    kernels.packA(int(rows.size()), k.size(),
                  gemm.a + (block.rows.begin + rows.begin) * gemm.aRow + k.begin * gemm.aK,
                  gemm.aRow, gemm.aK, at);
    at += rows.size() * k.size();
  }
  for (int64_t panel = block.firstPanel; panel < block.lastPanel; ++panel) {
    int64_t column = block.firstColumn + panel * kernels.columns;
    int columns = int(std::min<int64_t>(block.lastColumn - column, kernels.columns));
    TileEnd end = endOf(gemm, cut, kPiece, column);
    const float *b = packedB + panel * kernels.columns * k.size();
    at = packedA;
    for (int64_t i = 0; i < rowPanels; ++i) {
      Piece rows(block.rows.size(), rowPanels, i);
      kernels.tile(int(rows.size()), columns, k.size(), at, b, kernels.columns,
                   gemm.c + (block.rows.begin + rows.begin) * gemm.cRow + column, gemm.cRow, end);
      at += rows.size() * k.size();
    }
  }
}

void packPanel(const GemmKernels &kernels, const Gemm &gemm, const Piece &k, int64_t column,
               int64_t lastColumn, float *packed) {
  int columns = int(std::min<int64_t>(lastColumn - column, kernels.columns));
  kernels.packB(columns, k.size(), gemm.b + k.begin * gemm.bK + column * gemm.bColumn, gemm.bK,
                gemm.bColumn, packed);
}

/// One row times a b whose columns are contiguous in k: packing would cost as much as the product.
bool isDots(const Gemm &gemm) {
  return gemm.m == 1 && gemm.aK == 1 && gemm.bK == 1 && !gemm.accumulate;
}

void dots(const GemmKernels &kernels, const Gemm &gemm, int64_t begin, int64_t end) {
  kernels.dots(end - begin, gemm.k, gemm.a, gemm.b + begin * gemm.bColumn, gemm.bColumn,
               gemm.c + begin);
  if (gemm.bias || gemm.epilogue) {
    kernels.finish(end - begin, gemm.c + begin, gemm.bias ? gemm.bias + begin : nullptr,
                   gemm.epilogue);
  }
}

/// A product over nothing: what is left is c = epilogue(c or 0, + bias).
void finishEmpty(const GemmKernels &kernels, const Gemm &gemm) {
  for (int64_t i = 0; i < gemm.m; ++i) {
    float *row = gemm.c + i * gemm.cRow;
    if (!gemm.accumulate) {
      std::fill(row, row + gemm.n, 0.0f);
    }
    kernels.finish(gemm.n, row, gemm.bias, gemm.epilogue);
  }
}

} // namespace

const GemmKernels *dsc::gemmKernels() {
  static const GemmKernels *chosen = []() -> const GemmKernels * {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
      return &gemmKernelsAvx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      return &gemmKernelsAvx2;
    }
    return nullptr;
  }();
  return chosen;
}

bool dsc::fitsThread(const GemmKernels &kernels, const Gemm &gemm) {
  int64_t k = std::min<int64_t>(gemm.k, DSC_MATMUL_DEPTH);
  return (ceilDiv(gemm.n, kernels.columns) * kernels.columns + MostRows) * k + 16 <= ThreadFloats;
}

void dsc::multiplyAlone(const GemmKernels &kernels, const Gemm &gemm, void *scratch) {
  if (gemm.m == 0 || gemm.n == 0) {
    return;
  }
  if (gemm.k == 0) {
    return finishEmpty(kernels, gemm);
  }
  if (isDots(gemm)) {
    return dots(kernels, gemm, 0, gemm.n);
  }
  Cut cut(gemm);
  int64_t panels = ceilDiv(gemm.n, kernels.columns);
  float *packedB = static_cast<float *>(scratch);
  float *packedA = packedB + panels * kernels.columns * cut.kMost;
  for (int64_t kPiece = 0; kPiece < cut.kPieces; ++kPiece) {
    Piece k(gemm.k, cut.kPieces, kPiece);
    for (int64_t panel = 0; panel < panels; ++panel) {
      packPanel(kernels, gemm, k, panel * kernels.columns, gemm.n,
                packedB + panel * kernels.columns * k.size());
    }
    int64_t blocks = ceilDiv(gemm.m, MostRows);
    for (int64_t i = 0; i < blocks; ++i) {
      BlockOfTiles block{Piece(gemm.m, blocks, i), k, 0, panels, 0, gemm.n};
      tiles(kernels, gemm, cut, kPiece, block, packedB, packedA);
    }
  }
}

void dsc::multiply(ThreadTeam &team, const GemmKernels &kernels, const Gemm &gemm, void *workspace,
                   int64_t workspaceBytes) {
  if (gemm.m == 0 || gemm.n == 0) {
    return;
  }
  // Less than about two microseconds of one thread is not worth waking others.
  int64_t work = gemm.m * gemm.n * std::max<int64_t>(gemm.k, 1);
  if (gemm.k == 0 || (work < 128 * 1024 && fitsThread(kernels, gemm))) {
    return multiplyAlone(kernels, gemm, team.scratch(0));
  }
  if (isDots(gemm)) {
    int64_t grain = std::max<int64_t>(1, 32 * 1024 / gemm.k);
    return team.parallelFor(gemm.n, grain,
                            [&](int64_t begin, int64_t end) { dots(kernels, gemm, begin, end); });
  }

  Cut cut(gemm);
  float *packedB = static_cast<float *>(workspace);
  int64_t room = workspaceBytes / int64_t(sizeof(float));
  if (room < kernels.columns * cut.kMost) {
    packedB = static_cast<float *>(team.scratch(0)) + RowFloats;
    room = ThreadFloats - RowFloats;
  }
  int64_t nBlock =
      std::min<int64_t>(room / cut.kMost / kernels.columns * kernels.columns, DSC_MATMUL_COLUMNS);
  // Three counters in turn: the one of the phase after next can be cleared while this one is used.
  std::atomic<int64_t> next[3] = {};
  int wanted = int(std::min<int64_t>(team.threads(), std::max<int64_t>(work / (64 * 1024), 1)));
  team.run(wanted, [&](int thread, int threads) {
    float *packedA = static_cast<float *>(team.scratch(thread));
    int phase = 0;
    auto take = [&] { return next[phase % 3].fetch_add(1, std::memory_order_relaxed); };
    auto advance = [&] {
      if (thread == 0) {
        next[(phase + 2) % 3].store(0, std::memory_order_relaxed);
      }
      team.barrier(threads);
      ++phase;
    };
    for (int64_t first = 0; first < gemm.n; first += nBlock) {
      int64_t last = std::min(first + nBlock, gemm.n);
      int64_t panels = ceilDiv(last - first, kernels.columns);
      // Blocks of rows as high as possible, columns cut until there are some blocks a thread.
      int64_t rowBlocks = ceilDiv(gemm.m, MostRows);
      int64_t columnBlocks =
          std::min(panels, std::max<int64_t>(1, ceilDiv(4 * threads, rowBlocks)));
      for (int64_t kPiece = 0; kPiece < cut.kPieces; ++kPiece) {
        Piece k(gemm.k, cut.kPieces, kPiece);
        for (int64_t panel; (panel = take()) < panels;) {
          packPanel(kernels, gemm, k, first + panel * kernels.columns, last,
                    packedB + panel * kernels.columns * k.size());
        }
        advance();
        for (int64_t item; (item = take()) < rowBlocks * columnBlocks;) {
          Piece columns(panels, columnBlocks, item % columnBlocks);
          BlockOfTiles block{Piece(gemm.m, rowBlocks, item / columnBlocks),
                             k,
                             columns.begin,
                             columns.end,
                             first,
                             last};
          tiles(kernels, gemm, cut, kPiece, block, packedB, packedA);
        }
        advance();
      }
    }
  });
}
