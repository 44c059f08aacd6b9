// The innermost loops of f32 matrix products.
// A table of functions per instruction set, chosen once at start by what the CPU reports. Every
// element of a tile is one chain of FMAs over k, in every table, so that the choice does not
// change a bit.

#ifndef DSC_RUNTIME_CPU_GEMMKERNELS_H
#define DSC_RUNTIME_CPU_GEMMKERNELS_H

#include <stdint.h>

namespace dsc {

/// What happens to a tile's sums before they are stored: c = epilogue(sum + c + bias).
struct TileEnd {
  bool accumulate = false;     ///< add what is in c
  const float *bias = nullptr; ///< of the tile's columns
  int32_t epilogue = 0;        ///< a dsc_epilogue
};

struct GemmKernels {
  const char *name;
  int rows;    ///< most rows of a tile
  int columns; ///< most columns of a tile; the width of a packed panel of b

  /// c[rows, columns] = sums of a and b over k. `a` is packed: k groups of `rows` floats. `b` has
  /// k rows, `bStride` floats apart, each readable up to the next multiple of 16 columns.
  void (*tile)(int rows, int columns, int64_t k, const float *a, const float *b, int64_t bStride,
               float *c, int64_t cStride, const TileEnd &end);

  /// packed[p * rows + r] = a[r * rowStride + p * kStride]. May write up to 16 floats past the end.
  void (*packA)(int rows, int64_t k, const float *a, int64_t rowStride, int64_t kStride,
                float *packed);

  /// packed[p * this->columns + j] = b[p * kStride + j * columnStride], 0 for j >= columns.
  void (*packB)(int columns, int64_t k, const float *b, int64_t kStride, int64_t columnStride,
                float *packed);

  /// packed[p * rows + r] = from[r][p], 0 where from[r] is null; writes behind the end like packA.
  void (*packPointers)(int rows, int64_t k, const float *const *from, float *packed);

  /// to[i * toStride + j] = from[i][j] for j < length, 0 where from[i] is null.
  void (*copyPointers)(int64_t count, int length, const float *const *from, float *to,
                       int64_t toStride);

  /// c[j] = sum over p of a[p] * b[j * bStride + p], in 16 lanes: rows of b are contiguous.
  void (*dots)(int64_t columns, int64_t k, const float *a, const float *b, int64_t bStride,
               float *c);

  /// to[c] = epilogue(bias[c] + sum over t of rows[t][c] * weights[t][c]); null bias means none.
  void (*weighRows)(int64_t taps, int64_t channels, const float *const *rows,
                    const float *const *weights, const float *bias, int32_t epilogue, float *to);

  /// sums[t * channels + c] += rows[t][c] * by[c] where rows[t] is not null.
  void (*addProducts)(int64_t taps, int64_t channels, const float *const *rows, const float *by,
                      float *sums);

  /// Applies bias and epilogue to `count` floats of a row; null bias means none.
  void (*finish)(int64_t count, float *c, const float *bias, int32_t epilogue);
};

extern const GemmKernels gemmKernelsAvx2;
extern const GemmKernels gemmKernelsAvx512;

} // namespace dsc

#endif // DSC_RUNTIME_CPU_GEMMKERNELS_H
