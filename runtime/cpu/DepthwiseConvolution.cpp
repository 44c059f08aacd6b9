// Convolutions of one channel a group.
// Every output pixel is a sum over taps of rows of channels times rows of weights. Weights are
// turned to [tap, channel] in a thread's scratch first; the gradient of weights is added up by one
// owner for each range of channels, sample by sample.

#include "runtime/abi.h"
#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/Patches.h"

#include <cstring>

using namespace dsc;

namespace {

/// Channels that one owner adds up.
constexpr int64_t ownedChannels = 64;

/// Number of the tap's weight in a layout of [C, 1, spatial...].
int64_t weightOffset(const ConvShape &shape, int64_t tap) {
  int64_t last = tap % shape.kernel[2], rest = tap / shape.kernel[2];
  return rest / shape.kernel[1] * shape.w.spatial[0] + rest % shape.kernel[1] * shape.w.spatial[1] +
         last * shape.w.spatial[2];
}

/// Rows [tap][channel] of the weights.
void turnWeights(const ConvShape &shape, const float *w, float *to) {
  for (int64_t tap = 0; tap < shape.taps(); ++tap) {
    int64_t offset = weightOffset(shape, tap);
    for (int64_t c = 0; c < shape.outChannels; ++c) {
      to[tap * shape.outChannels + c] = w[c * shape.w.outer + offset];
    }
  }
}

/// Weighs the patches of every row; `place` says where a row's channels go.
template <typename Place>
void weigh(ThreadTeam &team, const ConvShape &shape, const Patches &patches, const float *weights,
           const float *bias, int32_t epilogue, Place &&place) {
  int64_t channels = shape.outChannels;
  int64_t pixels = shape.batch * patches.rows[0] * patches.rows[1] * patches.rows[2];
  int64_t cost = channels * std::max<int64_t>(int64_t(patches.taps.size()), 1);
  team.parallelFor(pixels, std::max<int64_t>(1, 16384 / cost), [&](int64_t begin, int64_t end) {
    std::vector<const float *> rows(patches.taps.size()), factors(patches.taps.size());
    for (int64_t pixel = begin; pixel < end; ++pixel) {
      Patches::Row row = patches.rowAt(pixel);
      size_t used = 0;
      for (const Patches::Tap &tap : patches.taps) {
        if (const float *from = patches.at(row, tap)) {
          rows[used] = from;
          factors[used++] = weights + tap.weight * channels;
        }
      }
      gemmKernels()->weighRows(int64_t(used), channels, rows.data(), factors.data(), bias, epilogue,
                               place(row));
    }
  });
}

void sumWeights(ThreadTeam &team, const ConvShape &shape, const float *x, const float *dy,
                float *dw) {
  Patches patches = inputPatches(shape);
  auto taps = int64_t(patches.taps.size());
  int64_t pixels = shape.outPixels();
  int64_t owners = (shape.outChannels + ownedChannels - 1) / ownedChannels;
  team.deal(owners, [&](int64_t owner, int) {
    int64_t first = owner * ownedChannels;
    int64_t channels = std::min(ownedChannels, shape.outChannels - first);
    Patches mine = patches;
    mine.data = x + first;
    std::vector<float> total(size_t(taps * channels)), sample(total.size());
    std::vector<const float *> rows(patches.taps.size());
    for (int64_t n = 0; n < shape.batch; ++n) {
      std::fill(sample.begin(), sample.end(), 0.0f);
      for (int64_t pixel = n * pixels; pixel < (n + 1) * pixels; ++pixel) {
        Patches::Row row = mine.rowAt(pixel);
        for (int64_t tap = 0; tap < taps; ++tap) {
          rows[size_t(tap)] = mine.at(row, mine.taps[size_t(tap)]);
        }
        gemmKernels()->addProducts(taps, channels, rows.data(), dy + pixel * shape.y.pixel + first,
                                   sample.data());
      }
      for (size_t i = 0; i < total.size(); ++i) {
        total[i] += sample[i];
      }
    }
    for (int64_t c = 0; c < channels; ++c) {
      float *filter = dw + (first + c) * shape.w.outer;
      for (int64_t tap = 0; tap < shape.taps(); ++tap) {
        filter[weightOffset(shape, tap)] = 0.0f; // taps that read only padding
      }
      for (int64_t tap = 0; tap < taps; ++tap) {
        filter[weightOffset(shape, mine.taps[size_t(tap)].weight)] =
            total[size_t(tap * channels + c)];
      }
    }
  });
}

} // namespace

bool ConvPlan::isDepthwise() const {
  int64_t turned = shape.taps() * shape.outChannels * int64_t(sizeof(float));
  return shape.dtype == DSC_F32 && shape.groups > 1 && shape.groups == shape.inChannels &&
         shape.groups == shape.outChannels && shape.x.channelsLast && shape.y.channelsLast &&
         turned <= ThreadTeam::scratchBytesEach;
}

void ConvPlan::runDepthwise(ThreadTeam &team, const float *a, const float *b, const float *bias,
                            float *c) const {
  if (shape.kind == DSC_CONV_GRAD_WEIGHT) {
    return sumWeights(team, shape, a, b, c);
  }
  auto *weights = static_cast<float *>(team.scratch(0));
  turnWeights(shape, b, weights);
  if (shape.kind == DSC_CONV_FORWARD) {
    Patches patches = inputPatches(shape);
    patches.data = a;
    return weigh(team, shape, patches, weights, bias, shape.epilogue, [&](const Patches::Row &row) {
      int64_t pixel = row.sample;
      for (int axis = 0; axis < 3; ++axis) {
        pixel = pixel * shape.out[axis] + row.place[axis] / shape.stride[axis];
      }
      return c + pixel * shape.y.pixel;
    });
  }
  int64_t phase[3];
  for (phase[0] = 0; phase[0] < std::min(shape.stride[0], shape.in[0]); ++phase[0]) {
    for (phase[1] = 0; phase[1] < std::min(shape.stride[1], shape.in[1]); ++phase[1]) {
      for (phase[2] = 0; phase[2] < std::min(shape.stride[2], shape.in[2]); ++phase[2]) {
        Patches patches = outputPatches(shape, phase);
        patches.data = a;
        weigh(team, shape, patches, weights, nullptr, DSC_EPILOGUE_NONE,
              [&](const Patches::Row &row) {
                int64_t pixel = row.sample;
                for (int axis = 0; axis < 3; ++axis) {
                  pixel =
                      pixel * shape.in[axis] + row.place[axis] * shape.stride[axis] + phase[axis];
                }
                return c + pixel * shape.x.pixel;
              });
      }
    }
  }
}
