// The gathered operand of a convolution.
// Row r, column (tap, channel) of the patch matrix is the channel at the pixel where the tap of r
// reads, 0 outside. The same description serves x in the forward pass and d_y in the gradient of
// the input; it is packed in panels of rows, or, for the gradient of weights, of columns.

#ifndef DSC_RUNTIME_CPU_PATCHES_H
#define DSC_RUNTIME_CPU_PATCHES_H

#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/Gemm.h"

#include <vector>

namespace dsc {

struct Patches {
  struct Tap {
    int64_t offset[3]; ///< added to a row's place
    int64_t weight;    ///< number of the tap in the weights
  };

  int64_t rows[3] = {1, 1, 1};  ///< grid of rows in one sample
  int64_t steps[3] = {1, 1, 1}; ///< places between neighbouring rows
  int64_t size[3] = {1, 1, 1};  ///< of the source
  std::vector<Tap> taps;
  const float *data = nullptr; ///< channels-last
  int64_t pixelStride = 0, channels = 0;
  /// Taps in a row whose pixels follow each other without a gap: what few channels are copied by.
  int64_t run = 1;
  static constexpr int64_t fewChannels = 16;

  /// Leaves out the taps that read outside for every row, and finds `run`.
  void finish();

  /// A row's sample and place.
  struct Row {
    int64_t sample, place[3];
  };
  Row rowAt(int64_t index) const {
    Row row;
    for (int axis = 2; axis >= 0; --axis) {
      row.place[axis] = index % rows[axis] * steps[axis];
      index /= rows[axis];
    }
    row.sample = index;
    return row;
  }
  /// The channels that `tap` of `row` reads, or null.
  const float *at(const Row &row, const Tap &tap) const {
    int64_t pixel = row.sample;
    for (int axis = 0; axis < 3; ++axis) {
      int64_t place = row.place[axis] + tap.offset[axis];
      if (place < 0 || place >= size[axis]) {
        return nullptr;
      }
      pixel = pixel * size[axis] + place;
    }
    return data + pixel * pixelStride;
  }
  /// Copies columns [k, k + depth) of `row`, run by run.
  void copyRow(const Row &row, int64_t k, int64_t depth, float *to) const;
};

/// Patches of x, whose rows are the pixels of y.
Patches inputPatches(const ConvShape &shape);

/// Patches of d_y for the pixels of x that are `phase` modulo the stride: only some taps reach
/// them.
Patches outputPatches(const ConvShape &shape, const int64_t (&phase)[3]);

/// The patch matrix as left operand: rows are pixels, k is (tap, channel).
class PatchRows : public PackedSource {
public:
  explicit PatchRows(const Patches &patches) : patches(patches) {}
  void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
            float *packed) const override;

private:
  const Patches &patches;
};

/// The patch matrix as right operand: k is pixels, columns are (tap, channel).
class PatchColumns : public PackedSource {
public:
  explicit PatchColumns(const Patches &patches) : patches(patches) {}
  void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
            float *packed) const override;

private:
  const Patches &patches;
};

/// Weights [O, tap, C] as right operand of the forward pass: k is (tap, C), columns are O.
class FilterColumns : public PackedSource {
public:
  FilterColumns(const Patches &patches, const float *weights, int64_t outStride)
      : patches(patches), weights(weights), outStride(outStride) {}
  void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
            float *packed) const override;

private:
  const Patches &patches;
  const float *weights;
  int64_t outStride;
};

/// Weights [O, tap, C] as right operand of the gradient of the input: k is (tap, O), columns are C.
class TurnedWeights : public PackedSource {
public:
  TurnedWeights(const Patches &patches, const float *weights, int64_t outStride, int64_t tapStride)
      : patches(patches), weights(weights), outStride(outStride), tapStride(tapStride) {}
  void pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
            float *packed) const override;

private:
  const Patches &patches;
  const float *weights;
  int64_t outStride, tapStride;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_PATCHES_H
