// f32 matrix products by packing.

#include "runtime/cpu/Gemm.h"

#include "runtime/abi.h"
#include "runtime/cpu/HalfKernels.h"

using namespace dsc;

namespace {

/// Rows of a block of a: packed, it and a panel of b stay in the second-level cache.
constexpr int64_t mostRows = 224;
/// Floats of a thread's scratch, what packing may write behind a panel of a (another thread may
/// have packed the next one), and the floats that packed rows of a take from the scratch's start.
constexpr int64_t threadFloats = ThreadTeam::scratchBytesEach / int64_t(sizeof(float));
constexpr int64_t panelGap = 16;
constexpr int64_t rowFloats = mostRows * (DSC_MATMUL_DEPTH + panelGap);
static_assert(rowFloats + int64_t(32) * DSC_MATMUL_DEPTH <= threadFloats,
              "a panel of b fits behind a's");

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

/// b's columns [first, last) for one piece of k: packed in panels, or in place where its rows are
/// contiguous and there are too few rows of a to pay for packing. The last panel, if it is not
/// whole, is packed always: a tile reads whole vectors.
struct RightBlock {
  Piece k;
  int64_t first, last;
  bool inPlace;
  float *packed;

  int64_t panels(const GemmKernels &kernels) const {
    return ceilDiv(last - first, kernels.columns);
  }
  int64_t firstPacked(const GemmKernels &kernels) const {
    return inPlace ? (last - first) / kernels.columns : 0;
  }
  float *packedPanel(const GemmKernels &kernels, int64_t panel) const {
    return packed + (panel - firstPacked(kernels)) * kernels.columns * k.size();
  }
  int columns(const GemmKernels &kernels, int64_t panel) const {
    return int(std::min<int64_t>(last - first - panel * kernels.columns, kernels.columns));
  }
};

/// Packs rows of a for one piece of k: panels of at most kernels.rows rows, one after the other.
void packRowPanel(const GemmKernels &kernels, const Gemm &gemm, const Piece &block, const Piece &k,
                  int64_t panel, int64_t panels, float *packedA) {
  Piece rows(block.size(), panels, panel);
  int64_t first = block.begin + rows.begin;
  float *to = packedA + rows.begin * k.size() + panel * panelGap;
  if (gemm.left) {
    return gemm.left->pack(kernels, first, int(rows.size()), k.begin, k.size(), to);
  }
  kernels.packA(int(rows.size()), k.size(), gemm.a + first * gemm.aRow + k.begin * gemm.aK,
                gemm.aRow, gemm.aK, to);
}

void packColumnPanel(const GemmKernels &kernels, const Gemm &gemm, const RightBlock &right,
                     int64_t panel) {
  int64_t column = right.first + panel * kernels.columns;
  if (gemm.right) {
    return gemm.right->pack(kernels, column, right.columns(kernels, panel), right.k.begin,
                            right.k.size(), right.packedPanel(kernels, panel));
  }
  kernels.packB(right.columns(kernels, panel), right.k.size(),
                gemm.b + right.k.begin * gemm.bK + column * gemm.bColumn, gemm.bK, gemm.bColumn,
                right.packedPanel(kernels, panel));
}

/// The tiles of packed rows and the panels [begin, end) of b.
void multiplyBlock(const GemmKernels &kernels, const Gemm &gemm, const Cut &cut, int64_t kPiece,
                   const Piece &block, const float *packedA, const RightBlock &right, int64_t begin,
                   int64_t end) {
  int64_t rowPanels = ceilDiv(block.size(), kernels.rows);
  int64_t k = right.k.size();
  for (int64_t panel = begin; panel < end; ++panel) {
    int64_t column = right.first + panel * kernels.columns;
    bool packed = panel >= right.firstPacked(kernels);
    const float *b =
        packed ? right.packedPanel(kernels, panel) : gemm.b + right.k.begin * gemm.bK + column;
    int64_t bStride = packed ? kernels.columns : gemm.bK;
    TileEnd tileEnd = endOf(gemm, cut, kPiece, column);
    const char *next = reinterpret_cast<const char *>(b + k * kernels.columns);
    int64_t lines = packed && panel + 1 < end ? k * kernels.columns * 4 / DSC_ALIGNMENT : 0;
    for (int64_t i = 0; i < rowPanels; ++i) {
      // The next panel comes from a far cache: ask for a part of it under each tile.
      Piece ahead(lines, rowPanels, i);
      for (int64_t line = ahead.begin; line < ahead.end; ++line) {
        __builtin_prefetch(next + line * DSC_ALIGNMENT, 0, 2);
      }
      Piece rows(block.size(), rowPanels, i);
      kernels.tile(int(rows.size()), right.columns(kernels, panel), k,
                   packedA + rows.begin * k + i * panelGap, b, bStride,
                   gemm.c + (block.begin + rows.begin) * gemm.cRow + column, gemm.cRow, tileEnd);
    }
  }
}

/// Rounds whole sums of rows and columns of a half result.
void narrowBlock(const Gemm &gemm, const Piece &rows, int64_t begin, int64_t end) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    halfKernels().narrow(gemm.halfType, end - begin, gemm.c + row * gemm.cRow + begin,
                         gemm.half + row * gemm.halfRow + begin);
  }
}

/// Whether packing b would cost more than reading its rows where they are.
bool readInPlace(const Gemm &gemm) {
  return !gemm.right && gemm.bColumn == 1 && gemm.m <= mostRows / 2;
}

/// One row times a b whose columns are contiguous in k: packing would cost as much as the product.
bool isDots(const Gemm &gemm) {
  return !gemm.half && !gemm.left && !gemm.right && gemm.m == 1 && gemm.aK == 1 && gemm.bK == 1 &&
         !gemm.accumulate;
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
  int64_t k = std::min<int64_t>(gemm.k, DSC_MATMUL_DEPTH), sums = gemm.half ? gemm.m * gemm.n : 0;
  return ceilDiv(gemm.n, kernels.columns) * kernels.columns * k + rowFloats + sums <= threadFloats;
}

void dsc::multiplyAlone(const GemmKernels &kernels, const Gemm &product, void *scratch) {
  Gemm gemm = product;
  if (gemm.m == 0 || gemm.n == 0) {
    return;
  }
  float *packedB = static_cast<float *>(scratch);
  if (gemm.half) {
    gemm.c = packedB;
    gemm.cRow = gemm.n;
    packedB += gemm.m * gemm.n;
  }
  if (gemm.k == 0) {
    finishEmpty(kernels, gemm);
    return gemm.half ? narrowBlock(gemm, Piece(gemm.m, 1, 0), 0, gemm.n) : void();
  }
  if (isDots(gemm)) {
    return dots(kernels, gemm, 0, gemm.n);
  }
  Cut cut(gemm);
  float *packedA = packedB + ceilDiv(gemm.n, kernels.columns) * kernels.columns * cut.kMost;
  for (int64_t kPiece = 0; kPiece < cut.kPieces; ++kPiece) {
    RightBlock right{Piece(gemm.k, cut.kPieces, kPiece), 0, gemm.n, readInPlace(gemm), packedB};
    int64_t panels = right.panels(kernels);
    for (int64_t panel = right.firstPacked(kernels); panel < panels; ++panel) {
      packColumnPanel(kernels, gemm, right, panel);
    }
    int64_t blocks = ceilDiv(gemm.m, mostRows);
    for (int64_t i = 0; i < blocks; ++i) {
      Piece rows(gemm.m, blocks, i);
      int64_t rowPanels = ceilDiv(rows.size(), kernels.rows);
      for (int64_t panel = 0; panel < rowPanels; ++panel) {
        packRowPanel(kernels, gemm, rows, right.k, panel, rowPanels, packedA);
      }
      multiplyBlock(kernels, gemm, cut, kPiece, rows, packedA, right, 0, panels);
    }
  }
  if (gemm.half) {
    narrowBlock(gemm, Piece(gemm.m, 1, 0), 0, gemm.n);
  }
}

void dsc::multiply(ThreadTeam &team, const GemmKernels &kernels, const Gemm &gemm, void *workspace,
                   int64_t workspaceBytes) {
  if (gemm.m == 0 || gemm.n == 0) {
    return;
  }
  // Less than about two microseconds of one thread is not worth waking others.
  int64_t work = gemm.m * gemm.n * std::max<int64_t>(gemm.k, 1);
  if (gemm.k == 0 || (work < int64_t(128) * 1024 && fitsThread(kernels, gemm))) {
    return multiplyAlone(kernels, gemm, team.scratch(0));
  }
  if (isDots(gemm)) {
    int64_t grain = std::max<int64_t>(1, int64_t(32) * 1024 / gemm.k);
    return team.parallelFor(gemm.n, grain,
                            [&](int64_t begin, int64_t end) { dots(kernels, gemm, begin, end); });
  }

  Cut cut(gemm);
  float *packedB = static_cast<float *>(workspace), *sums = packedB;
  int64_t room = workspaceBytes / int64_t(sizeof(float));
  if (gemm.half) {
    int64_t floats = dsc_matmul_sums(gemm.m, gemm.n) / int64_t(sizeof(float));
    packedB += floats;
    room -= floats;
  }
  if (room < kernels.columns * cut.kMost) {
    packedB = static_cast<float *>(team.scratch(0)) + rowFloats;
    room = threadFloats - rowFloats;
  }
  int64_t nBlock =
      std::min<int64_t>(room / cut.kMost / kernels.columns * kernels.columns, DSC_MATMUL_COLUMNS);
  bool inPlace = readInPlace(gemm);
  if (inPlace) {
    nBlock = gemm.n;
  }
  // A half result's sums: one block of columns at a time, where its columns would be in c.
  auto sumsOf = [&](int64_t first) {
    Gemm block = gemm;
    if (gemm.half) {
      block.c = sums - first;
      block.cRow = std::min(nBlock, gemm.n);
    }
    return block;
  };
  // Three counters in turn: the one of the phase after next can be cleared while this one is used.
  std::atomic<int64_t> next[3] = {};
  int wanted =
      int(std::min<int64_t>(team.threads(), std::max<int64_t>(work / (int64_t(64) * 1024), 1)));
  team.run(wanted, [&](int thread, int threads) {
    int phase = 0;
    auto take = [&] { return next[phase % 3].fetch_add(1, std::memory_order_relaxed); };
    auto advance = [&] {
      if (thread == 0) {
        next[(phase + 2) % 3].store(0, std::memory_order_relaxed);
      }
      team.barrier(threads);
      ++phase;
    };
    // Few rows: all threads share one packed block of a. Else each packs the blocks it takes.
    int64_t rowBlocks = ceilDiv(gemm.m, mostRows);
    bool shareRows = rowBlocks == 1;
    float *packedA = static_cast<float *>(team.scratch(shareRows ? 0 : thread));
    for (int64_t first = 0; first < gemm.n; first += nBlock) {
      const Gemm block = sumsOf(first);
      for (int64_t kPiece = 0; kPiece < cut.kPieces; ++kPiece) {
        RightBlock right{Piece(gemm.k, cut.kPieces, kPiece), first,
                         std::min(first + nBlock, gemm.n), inPlace, packedB};
        int64_t panels = right.panels(kernels), firstPacked = right.firstPacked(kernels);
        int64_t sharedPanels = shareRows ? ceilDiv(gemm.m, kernels.rows) : 0;
        for (int64_t item; (item = take()) < sharedPanels + panels - firstPacked;) {
          if (item < sharedPanels) {
            packRowPanel(kernels, gemm, Piece(gemm.m, 1, 0), right.k, item, sharedPanels, packedA);
          } else {
            packColumnPanel(kernels, gemm, right, item - sharedPanels + firstPacked);
          }
        }
        advance();
        // Blocks of rows as high as possible, columns cut until there are some blocks a thread.
        int64_t columnBlocks =
            threads == 1
                ? 1
                : std::min(panels, std::max<int64_t>(1, ceilDiv(int64_t(4) * threads, rowBlocks)));
        int64_t atHand = -1; // the block of rows that this thread packed last
        for (int64_t item; (item = take()) < rowBlocks * columnBlocks;) {
          Piece rows(gemm.m, rowBlocks, item / columnBlocks);
          Piece columns(panels, columnBlocks, item % columnBlocks);
          bool isPacked = shareRows || item / columnBlocks == atHand;
          atHand = item / columnBlocks;
          int64_t rowPanels = isPacked ? 0 : ceilDiv(rows.size(), kernels.rows);
          for (int64_t panel = 0; panel < rowPanels; ++panel) {
            packRowPanel(kernels, gemm, rows, right.k, panel, rowPanels, packedA);
          }
          multiplyBlock(kernels, block, cut, kPiece, rows, packedA, right, columns.begin,
                        columns.end);
          if (gemm.half && kPiece + 1 == cut.kPieces) {
            narrowBlock(block, rows, first + columns.begin * kernels.columns,
                        std::min(first + columns.end * kernels.columns, right.last));
          }
        }
        // The end of the run is a barrier already.
        if (kPiece + 1 < cut.kPieces || first + nBlock < gemm.n) {
          advance();
        }
      }
    }
  });
}
