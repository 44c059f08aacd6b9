//===- Patches.cpp - The gathered operand of a convolution -----------------===//

#include "runtime/cpu/Patches.h"

using namespace dsc;

void PatchRows::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
                     float *packed) const {
  constexpr int MostRows = 16;
  Patches::Row rows[MostRows];
  for (int r = 0; r < count; ++r) {
    rows[r] = patches.rowAt(first + r);
  }
  int64_t done = 0;
  while (done < depth) {
    const Patches::Tap &tap = patches.taps[size_t((k + done) / patches.channels)];
    int64_t channel = (k + done) % patches.channels;
    int64_t length = std::min(patches.channels - channel, depth - done);
    const float *from[MostRows];
    for (int r = 0; r < count; ++r) {
      const float *pixel = patches.at(rows[r], tap);
      from[r] = pixel ? pixel + channel : nullptr;
    }
    kernels.packPointers(count, length, from, packed + done * count);
    done += length;
  }
}

void PatchColumns::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k,
                        int64_t depth, float *packed) const {
  constexpr int64_t Batch = 64;
  Patches::Row rows[Batch];
  const float *from[Batch];
  for (int64_t begin = 0; begin < depth; begin += Batch) {
    int64_t pixels = std::min(Batch, depth - begin);
    for (int64_t p = 0; p < pixels; ++p) {
      rows[p] = patches.rowAt(k + begin + p);
    }
    float *to = packed + begin * kernels.columns;
    int done = 0;
    while (done < count) {
      const Patches::Tap &tap = patches.taps[size_t((first + done) / patches.channels)];
      int64_t channel = (first + done) % patches.channels;
      int length = int(std::min<int64_t>(patches.channels - channel, count - done));
      for (int64_t p = 0; p < pixels; ++p) {
        const float *pixel = patches.at(rows[p], tap);
        from[p] = pixel ? pixel + channel : nullptr;
      }
      kernels.copyPointers(pixels, length, from, to + done, kernels.columns);
      done += length;
    }
    if (count < kernels.columns) {
      std::fill(from, from + pixels, nullptr);
      kernels.copyPointers(pixels, kernels.columns - count, from, to + count, kernels.columns);
    }
  }
}

void TurnedWeights::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k,
                         int64_t depth, float *packed) const {
  int64_t done = 0;
  while (done < depth) {
    const Patches::Tap &tap = patches.taps[size_t((k + done) / patches.channels)];
    int64_t channel = (k + done) % patches.channels;
    int64_t length = std::min(patches.channels - channel, depth - done);
    kernels.packB(count, length, weights + channel * outStride + tap.weight * tapStride + first,
                  outStride, 1, packed + done * kernels.columns);
    done += length;
  }
}
