// The gathered operand of a convolution.

#include "runtime/cpu/Patches.h"

#include "runtime/abi.h"

#include <cstring>

using namespace dsc;

/// The taps of the forward pass, in the order of the weights.
static std::vector<Patches::Tap> allTaps(const ConvShape &shape) {
  std::vector<Patches::Tap> taps;
  for (int64_t tap = 0; tap < shape.taps(); ++tap) {
    int64_t at[3] = {tap / shape.kernel[2] / shape.kernel[1],
                     tap / shape.kernel[2] % shape.kernel[1], tap % shape.kernel[2]};
    Patches::Tap entry;
    entry.weight = tap;
    for (int axis = 0; axis < 3; ++axis) {
      entry.offset[axis] = at[axis] * shape.dilation[axis] - shape.pad[axis];
    }
    taps.push_back(entry);
  }
  return taps;
}

Patches dsc::inputPatches(const ConvShape &shape) {
  Patches patches;
  std::copy_n(shape.out, 3, patches.rows);
  std::copy_n(shape.stride, 3, patches.steps);
  std::copy_n(shape.in, 3, patches.size);
  patches.taps = allTaps(shape);
  patches.pixelStride = shape.x.pixel;
  patches.channels = shape.groupIn();
  patches.finish();
  return patches;
}

Patches dsc::outputPatches(const ConvShape &shape, const int64_t (&phase)[3]) {
  Patches patches;
  for (int axis = 0; axis < 3; ++axis) {
    patches.rows[axis] =
        (shape.in[axis] - phase[axis] + shape.stride[axis] - 1) / shape.stride[axis];
  }
  std::copy_n(shape.out, 3, patches.size);
  for (Patches::Tap tap : allTaps(shape)) {
    bool reaches = true;
    for (int axis = 0; axis < 3; ++axis) {
      int64_t moved = phase[axis] - tap.offset[axis];
      reaches = reaches && moved % shape.stride[axis] == 0;
      tap.offset[axis] = moved / shape.stride[axis];
    }
    if (reaches) {
      patches.taps.push_back(tap);
    }
  }
  patches.pixelStride = shape.y.pixel;
  patches.channels = shape.groupOut();
  patches.finish();
  return patches;
}

void Patches::finish() {
  std::vector<Tap> kept;
  for (const Tap &tap : taps) {
    bool reads = true;
    for (int axis = 0; axis < 3; ++axis) {
      bool any = false;
      for (int64_t i = 0; i < rows[axis] && !any; ++i) {
        int64_t place = i * steps[axis] + tap.offset[axis];
        any = place >= 0 && place < size[axis];
      }
      reads = reads && any;
    }
    if (reads) {
      kept.push_back(tap);
    }
  }
  taps = std::move(kept);
  auto follows = [&](size_t tap) {
    const int64_t *left = taps[tap - 1].offset, *right = taps[tap].offset;
    return left[0] == right[0] && left[1] == right[1] && left[2] + 1 == right[2];
  };
  run = 1;
  if (pixelStride == channels) {
    while (size_t(run) < taps.size() && follows(size_t(run))) {
      ++run;
    }
  }
}

void Patches::copyRow(const Row &row, int64_t k, int64_t depth, float *to) const {
  int64_t runFloats = run * channels;
  for (int64_t done = 0; done < depth;) {
    int64_t first = (k + done) / runFloats * run, skipped = (k + done) % runFloats;
    int64_t length = std::min(runFloats - skipped, depth - done);
    // The part [low, high) of the run that lies inside the line of pixels.
    const Tap &tap = taps[size_t(first)];
    int64_t pixel = row.sample;
    bool inside = true;
    for (int axis = 0; axis < 2; ++axis) {
      int64_t place = row.place[axis] + tap.offset[axis];
      inside = inside && place >= 0 && place < size[axis];
      pixel = pixel * size[axis] + place;
    }
    int64_t place = row.place[2] + tap.offset[2];
    int64_t low = std::max(-place * channels, skipped);
    int64_t high = std::min((size[2] - place) * channels, skipped + length);
    if (!inside || low >= high) {
      std::memset(to + done, 0, size_t(length) * sizeof(float));
    } else {
      const float *from = data + (pixel * size[2] + place) * pixelStride;
      std::memset(to + done, 0, size_t(low - skipped) * sizeof(float));
      std::memcpy(to + done + low - skipped, from + low, size_t(high - low) * sizeof(float));
      std::memset(to + done + high - skipped, 0, size_t(skipped + length - high) * sizeof(float));
    }
    done += length;
  }
}

void PatchRows::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k, int64_t depth,
                     float *packed) const {
  constexpr int mostRows = 16;
  Patches::Row rows[mostRows];
  for (int r = 0; r < count; ++r) {
    rows[r] = patches.rowAt(first + r);
  }
  if (patches.channels < Patches::fewChannels) {
    float lines[mostRows * DSC_MATMUL_DEPTH];
    for (int r = 0; r < count; ++r) {
      patches.copyRow(rows[r], k, depth, lines + r * depth);
    }
    return kernels.packA(count, depth, lines, depth, 1, packed);
  }
  int64_t done = 0;
  while (done < depth) {
    const Patches::Tap &tap = patches.taps[size_t((k + done) / patches.channels)];
    int64_t channel = (k + done) % patches.channels;
    int64_t length = std::min(patches.channels - channel, depth - done);
    const float *from[mostRows];
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
  constexpr int64_t batchRows = 64;
  if (patches.channels < Patches::fewChannels) {
    for (int64_t p = 0; p < depth; ++p) {
      float *to = packed + p * kernels.columns;
      patches.copyRow(patches.rowAt(k + p), first, count, to);
      std::fill(to + count, to + kernels.columns, 0.0f);
    }
    return;
  }
  Patches::Row rows[batchRows];
  const float *from[batchRows];
  for (int64_t begin = 0; begin < depth; begin += batchRows) {
    int64_t pixels = std::min(batchRows, depth - begin);
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

void FilterColumns::pack(const GemmKernels &kernels, int64_t first, int count, int64_t k,
                         int64_t depth, float *packed) const {
  int64_t done = 0;
  while (done < depth) {
    const Patches::Tap &tap = patches.taps[size_t((k + done) / patches.channels)];
    int64_t channel = (k + done) % patches.channels;
    int64_t length = std::min(patches.channels - channel, depth - done);
    kernels.packB(count, length,
                  weights + first * outStride + tap.weight * patches.channels + channel, 1,
                  outStride, packed + done * kernels.columns);
    done += length;
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
