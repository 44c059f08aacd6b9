// The loops behind GemmKernels, as templates.
// Included by GemmAvx2.cpp and GemmAvx512.cpp, which are compiled with their instruction set and
// give the tile's size. Nothing here has external linkage.

#ifndef DSC_RUNTIME_CPU_GEMMKERNELBODIES_H
#define DSC_RUNTIME_CPU_GEMMKERNELBODIES_H

#include "runtime/abi.h"
#include "runtime/cpu/GemmKernels.h"
#include "runtime/cpu/VectorMath.h"

namespace {

inline Vec activated(Vec x, int32_t epilogue) {
  switch (epilogue) {
  case DSC_EPILOGUE_RELU:
    return x < 0.0f ? splat(0.0f) : x; // NaN stays NaN
  case DSC_EPILOGUE_GELU_ERF:
    return 0.5f * x * (1.0f + errorFunction(x * 0.70710678118654752f));
  case DSC_EPILOGUE_GELU_TANH: {
    Vec inner = 0.79788456080286536f * fma(x * x * x, splat(0.044715f), x);
    return 0.5f * x * (1.0f + hyperbolicTangent(inner));
  }
  default:
    return x;
  }
}

/// R x V*16 accumulators that live in registers. Rows of a are Apart floats apart, steps of k
/// aStride: 1 and the tile's height for packed operands.
template <int R, int V, int Apart>
void tileOf(int columns, int64_t k, const float *a, int64_t aStride, const float *b,
            int64_t bStride, float *c, int64_t cStride, const dsc::TileEnd &end) {
  Vec sum[R][V];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      sum[r][v] = splat(0.0f);
    }
  }
  // The sums are stored far behind this; by then the lines of c are here.
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      __builtin_prefetch(c + r * cStride + v * laneCount, 1);
    }
  }
#pragma clang loop unroll_count(4)
  for (int64_t p = 0; p < k; ++p) {
    Vec row[V];
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      row[v] = load(b + v * laneCount);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) {
      Vec left = splat(a[int64_t(r) * Apart]);
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
        sum[r][v] = fma(left, row[v], sum[r][v]);
      }
    }
    a += aStride;
    b += bStride;
  }
  bool plain = !end.accumulate && !end.bias && end.epilogue == DSC_EPILOGUE_NONE;
  if (columns == V * laneCount) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) {
#pragma clang loop unroll(full)
      for (int v = 0; v < V; ++v) {
        float *at = c + r * cStride + v * laneCount;
        Vec value = sum[r][v];
        if (end.accumulate) {
          value += load(at);
        }
        if (end.bias) {
          value += load(end.bias + v * laneCount);
        }
        store(at, value);
      }
    }
    if (!plain && end.epilogue != DSC_EPILOGUE_NONE) {
      for (int r = 0; r < R; ++r) {
        for (int v = 0; v < V; ++v) {
          float *at = c + r * cStride + v * laneCount;
          store(at, activated(load(at), end.epilogue));
        }
      }
    }
    return;
  }
  alignas(64) float rows[R][V * laneCount];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) {
#pragma clang loop unroll(full)
    for (int v = 0; v < V; ++v) {
      store(&rows[r][v * laneCount], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v * laneCount < columns; ++v) {
      int count = columns - v * laneCount < laneCount ? columns - v * laneCount : laneCount;
      float *at = c + r * cStride + v * laneCount;
      Vec value = load(&rows[r][v * laneCount]);
      if (end.accumulate) {
        value += loadFirst(at, count);
      }
      if (end.bias) {
        value += loadFirst(end.bias + v * laneCount, count);
      }
      storeFirst(at, activated(value, end.epilogue), count);
    }
  }
}

using TileFunction = void (*)(int, int64_t, const float *, int64_t, const float *, int64_t, float *,
                              int64_t, const dsc::TileEnd &);

/// The tiles of 1, 2, .. rows; the number of rows is the index.
template <int V, int Apart, int... R> struct TileRow {
  static constexpr TileFunction functions[] = {nullptr, tileOf<R, V, Apart>...};
};

/// Writes the transpose of `Lines` vectors, 8 or 16, as 16 rows of as many floats, `toStride`
/// apart. Later rows overwrite the overhang of earlier ones.
template <int Lines> inline void storeTransposed(Vec (&t)[Lines], float *to, int64_t toStride) {
  static_assert(Lines == 8 || Lines == 16);
  Vec u[Lines];
#pragma clang loop unroll(full)
  for (int i = 0; i < Lines; i += 2) {
    u[i] = __builtin_shufflevector(t[i], t[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28,
                                   13, 29);
    u[i + 1] = __builtin_shufflevector(t[i], t[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27,
                                       14, 30, 15, 31);
  }
#pragma clang loop unroll(full)
  for (int i = 0; i < Lines; i += 4) {
#pragma clang loop unroll(full)
    for (int j = 0; j < 2; ++j) {
      t[i + 2 * j] = __builtin_shufflevector(u[i + j], u[i + j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8,
                                             9, 24, 25, 12, 13, 28, 29);
      t[i + 2 * j + 1] = __builtin_shufflevector(u[i + j], u[i + j + 2], 2, 3, 18, 19, 6, 7, 22, 23,
                                                 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
  // t[4g + c] holds, in each of its four quarters q, column 4q + c of rows 4g .. 4g + 3.
  if constexpr (Lines == 8) {
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; ++c) {
      float *at = to + c * toStride;
      storeHalf(at, __builtin_shufflevector(t[c], t[4 + c], 0, 1, 2, 3, 16, 17, 18, 19));
      u[c] = __builtin_shufflevector(t[c], t[4 + c], 4, 5, 6, 7, 20, 21, 22, 23, 8, 9, 10, 11, 24,
                                     25, 26, 27);
      u[4 + c] = __builtin_shufflevector(t[c], t[4 + c], 12, 13, 14, 15, 28, 29, 30, 31, 12, 13, 14,
                                         15, 28, 29, 30, 31);
    }
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; ++c) {
      storeHalf(to + (4 + c) * toStride, u[c].lo);
    }
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; ++c) {
      storeHalf(to + (8 + c) * toStride, u[c].hi);
    }
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; ++c) {
      storeHalf(to + (12 + c) * toStride, u[4 + c].lo);
    }
  } else {
#pragma clang loop unroll(full)
    for (int c = 0; c < 4; ++c) {
      Vec a = __builtin_shufflevector(t[c], t[4 + c], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24,
                                      25, 26, 27);
      Vec b = __builtin_shufflevector(t[8 + c], t[12 + c], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11,
                                      24, 25, 26, 27);
      Vec d = __builtin_shufflevector(t[c], t[4 + c], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15,
                                      28, 29, 30, 31);
      Vec e = __builtin_shufflevector(t[8 + c], t[12 + c], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14,
                                      15, 28, 29, 30, 31);
      u[c] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
      u[8 + c] = __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29,
                                         30, 31);
      u[4 + c] =
          __builtin_shufflevector(d, e, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
      u[12 + c] = __builtin_shufflevector(d, e, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28,
                                          29, 30, 31);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; ++i) {
      store(to + i * toStride, u[i]);
    }
  }
}

/// Transposes the block of `Lines` x 16 at `from`, whose rows are `stride` apart and of which
/// `rows` exist.
template <int Lines = 16>
inline void transposeBlock(int rows, const float *from, int64_t stride, float *to,
                           int64_t toStride) {
  Vec t[Lines];
#pragma clang loop unroll(full)
  for (int i = 0; i < Lines; ++i) {
    t[i] = i < rows ? load(from + i * stride) : splat(0.0f);
  }
  storeTransposed(t, to, toStride);
}

template <int Lines>
inline void packPointers(int rows, int64_t k, const float *const *from, float *packed) {
  int64_t p = 0;
  for (; p + 16 <= k; p += 16) {
    Vec t[Lines];
#pragma clang loop unroll(full)
    for (int i = 0; i < Lines; ++i) {
      t[i] = i < rows && from[i] ? load(from[i] + p) : splat(0.0f);
    }
    storeTransposed(t, packed + p * rows, rows);
  }
  for (; p < k; ++p) {
    for (int r = 0; r < rows; ++r) {
      packed[p * rows + r] = from[r] ? from[r][p] : 0.0f;
    }
  }
}

inline void packRowPointers(int rows, int64_t k, const float *const *from, float *packed) {
  rows <= 8 ? packPointers<8>(rows, k, from, packed) : packPointers<16>(rows, k, from, packed);
}

inline void copyRowPointers(int64_t count, int length, const float *const *from, float *to,
                            int64_t toStride) {
  for (int64_t i = 0; i < count; ++i) {
    float *row = to + i * toStride;
    for (int j = 0; j < length; j += laneCount) {
      int lanes = length - j < laneCount ? length - j : laneCount;
      Vec value = !from[i]             ? splat(0.0f)
                  : lanes == laneCount ? load(from[i] + j)
                                       : loadFirst(from[i] + j, lanes);
      lanes == laneCount ? store(row + j, value) : storeFirst(row + j, value, lanes);
    }
  }
}

inline void packRows(int rows, int64_t k, const float *a, int64_t rowStride, int64_t kStride,
                     float *packed) {
  if (kStride == 1) {
    int64_t p = 0;
    // Half the work where the tile is low (AVX2), and a block stays in the registers.
    for (; rows <= 8 && p + 16 <= k; p += 16) {
      transposeBlock<8>(rows, a + p, rowStride, packed + p * rows, rows);
    }
    for (; p + 16 <= k; p += 16) {
      transposeBlock(rows, a + p, rowStride, packed + p * rows, rows);
    }
    for (; p < k; ++p) {
      for (int r = 0; r < rows; ++r) {
        packed[p * rows + r] = a[r * rowStride + p];
      }
    }
    return;
  }
  if (rowStride == 1) {
    // Full vectors as far as what they read behind a row is still inside the operand.
    int64_t full = kStride >= laneCount ? k - 1 : 0, p = 0;
    for (; rows <= 8 && p < full; ++p) {
      storeHalf(packed + p * rows, loadHalf(a + p * kStride));
    }
    for (; p < full; ++p) {
      store(packed + p * rows, load(a + p * kStride));
    }
    for (p = full; p < k; ++p) {
      storeFirst(packed + p * rows, loadFirst(a + p * kStride, rows), rows);
    }
    return;
  }
  for (int64_t p = 0; p < k; ++p) {
    for (int r = 0; r < rows; ++r) {
      packed[p * rows + r] = a[r * rowStride + p * kStride];
    }
  }
}

template <int Width>
void packColumns(int columns, int64_t k, const float *b, int64_t kStride, int64_t columnStride,
                 float *packed) {
  if (columnStride == 1) {
    if (columns == Width) {
      for (int64_t p = 0; p < k; ++p) {
#pragma clang loop unroll(full)
        for (int v = 0; v < Width; v += laneCount) {
          store(packed + p * Width + v, load(b + p * kStride + v));
        }
      }
      return;
    }
    for (int64_t p = 0; p < k; ++p) {
      for (int v = 0; v < Width; v += laneCount) {
        int count = columns - v < 0 ? 0 : columns - v < laneCount ? columns - v : laneCount;
        store(packed + p * Width + v, loadFirst(b + p * kStride + v, count));
      }
    }
    return;
  }
  if (kStride == 1) {
    int64_t p = 0;
    for (; p + 16 <= k; p += 16) {
      for (int v = 0; v < Width; v += laneCount) {
        int count = columns - v < 0 ? 0 : columns - v < laneCount ? columns - v : laneCount;
        transposeBlock(count, b + v * columnStride + p, columnStride, packed + p * Width + v,
                       Width);
      }
    }
    for (; p < k; ++p) {
      for (int j = 0; j < Width; ++j) {
        packed[p * Width + j] = j < columns ? b[j * columnStride + p] : 0.0f;
      }
    }
    return;
  }
  for (int64_t p = 0; p < k; ++p) {
    for (int j = 0; j < Width; ++j) {
      packed[p * Width + j] = j < columns ? b[p * kStride + j * columnStride] : 0.0f;
    }
  }
}

/// Four columns at a time share the loads of a.
inline void dotsOf(int64_t columns, int64_t k, const float *a, const float *b, int64_t bStride,
                   float *c) {
  int64_t whole = k / laneCount * laneCount;
  int rest = static_cast<int>(k - whole);
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    Vec s0 = 0.0f, s1 = 0.0f, s2 = 0.0f, s3 = 0.0f;
    const float *row = b + j * bStride;
    for (int64_t p = 0; p < whole; p += laneCount) {
      Vec left = load(a + p);
      s0 = fma(left, load(row + p), s0);
      s1 = fma(left, load(row + bStride + p), s1);
      s2 = fma(left, load(row + 2 * bStride + p), s2);
      s3 = fma(left, load(row + 3 * bStride + p), s3);
    }
    if (rest) {
      Vec left = loadFirst(a + whole, rest);
      s0 = fma(left, loadFirst(row + whole, rest), s0);
      s1 = fma(left, loadFirst(row + bStride + whole, rest), s1);
      s2 = fma(left, loadFirst(row + 2 * bStride + whole, rest), s2);
      s3 = fma(left, loadFirst(row + 3 * bStride + whole, rest), s3);
    }
    c[j] = sumOf(s0);
    c[j + 1] = sumOf(s1);
    c[j + 2] = sumOf(s2);
    c[j + 3] = sumOf(s3);
  }
  for (; j < columns; ++j) {
    Vec sum = 0.0f;
    const float *row = b + j * bStride;
    for (int64_t p = 0; p < whole; p += laneCount) {
      sum = fma(load(a + p), load(row + p), sum);
    }
    if (rest) {
      sum = fma(loadFirst(a + whole, rest), loadFirst(row + whole, rest), sum);
    }
    c[j] = sumOf(sum);
  }
}

inline void weighRowPointers(int64_t taps, int64_t channels, const float *const *rows,
                             const float *const *weights, const float *bias, int32_t epilogue,
                             float *to) {
  for (int64_t c = 0; c < channels; c += laneCount) {
    int lanes = channels - c < laneCount ? static_cast<int>(channels - c) : laneCount;
    bool whole = lanes == laneCount;
    Vec sum = splat(0.0f);
    for (int64_t t = 0; t < taps; ++t) {
      sum = whole ? fma(load(rows[t] + c), load(weights[t] + c), sum)
                  : fma(loadFirst(rows[t] + c, lanes), loadFirst(weights[t] + c, lanes), sum);
    }
    if (bias) {
      sum += whole ? load(bias + c) : loadFirst(bias + c, lanes);
    }
    storeFirst(to + c, activated(sum, epilogue), lanes);
  }
}

inline void addRowProducts(int64_t taps, int64_t channels, const float *const *rows,
                           const float *by, float *sums) {
  for (int64_t c = 0; c < channels; c += laneCount) {
    int lanes = channels - c < laneCount ? static_cast<int>(channels - c) : laneCount;
    Vec factor = loadFirst(by + c, lanes);
    for (int64_t t = 0; t < taps; ++t) {
      if (rows[t]) {
        float *at = sums + t * channels + c;
        storeFirst(at, fma(loadFirst(rows[t] + c, lanes), factor, loadFirst(at, lanes)), lanes);
      }
    }
  }
}

inline void finishRow(int64_t count, float *c, const float *bias, int32_t epilogue) {
  for (int64_t j = 0; j < count; j += laneCount) {
    int lanes = count - j < laneCount ? static_cast<int>(count - j) : laneCount;
    Vec value = lanes == laneCount ? load(c + j) : loadFirst(c + j, lanes);
    if (bias) {
      value += lanes == laneCount ? load(bias + j) : loadFirst(bias + j, lanes);
    }
    storeFirst(c + j, activated(value, epilogue), lanes);
  }
}

} // namespace

#endif // DSC_RUNTIME_CPU_GEMMKERNELBODIES_H
