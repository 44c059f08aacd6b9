// Plans of dsc_rt_conv.

#include "runtime/cpu/Convolution.h"

#include "runtime/cpu/CpuPlans.h"
#include "runtime/cpu/HalfKernels.h"
#include "runtime/cpu/Patches.h"
#include "runtime/cpu/PlainConvolution.h"

#include <cstring>

using namespace dsc;

namespace {

/// Fewer input or output channels in a group than this waste most of a tile.
constexpr int64_t fewestGroupChannels = 4;

/// Copies between any layout of [outer, channels, spatial...] and the dense channels-last one.
template <bool ToChannelsLast>
void relayout(ThreadTeam &team, const ConvShape::Layout &layout, int64_t outer, int64_t channels,
              const int64_t (&sizes)[3], float *strided, float *dense) {
  constexpr int64_t batchRows = 64;
  int64_t pixels = outer * sizes[0] * sizes[1] * sizes[2];
  team.parallelFor(pixels, std::max<int64_t>(batchRows, 8192 / std::max<int64_t>(channels, 1)),
                   [&](int64_t begin, int64_t end) {
                     int64_t offsets[batchRows];
                     for (int64_t first = begin; first < end; first += batchRows) {
                       int64_t count = std::min(batchRows, end - first);
                       for (int64_t p = 0; p < count; ++p) {
                         int64_t rest = first + p, offset = 0;
                         for (int axis = 2; axis >= 0; --axis) {
                           offset += rest % sizes[axis] * layout.spatial[axis];
                           rest /= sizes[axis];
                         }
                         offsets[p] = offset + rest * layout.outer;
                       }
                       for (int64_t c = 0; c < channels; ++c) {
                         for (int64_t p = 0; p < count; ++p) {
                           float &far = strided[offsets[p] + c * layout.channel];
                           float &near = dense[(first + p) * channels + c];
                           if (ToChannelsLast) {
                             near = far;
                           } else {
                             far = near;
                           }
                         }
                       }
                     }
                   });
}

} // namespace

void ConvPlan::forward(ThreadTeam &team, const Packed &operands, const float *bias) const {
  Patches patches = inputPatches(shape);
  for (int64_t group = 0; group < shape.groups; ++group) {
    patches.data = operands.x + group * shape.groupIn();
    PatchRows rows(patches);
    Gemm gemm;
    gemm.m = shape.batch * shape.outPixels();
    gemm.n = shape.groupOut();
    gemm.k = int64_t(patches.taps.size()) * shape.groupIn();
    gemm.left = &rows;
    int64_t filter = shape.taps() * shape.groupIn();
    FilterColumns weights(patches, operands.w + group * shape.groupOut() * filter, filter);
    gemm.right = &weights;
    if (int64_t(patches.taps.size()) == shape.taps()) {
      // All taps: the weights are a matrix.
      gemm.right = nullptr;
      gemm.b = operands.w + group * shape.groupOut() * filter;
      gemm.bK = 1;
      gemm.bColumn = filter;
    }
    gemm.c = operands.result + group * shape.groupOut();
    gemm.cRow = shape.y.pixel;
    gemm.bias = bias ? bias + group * shape.groupOut() : nullptr;
    gemm.epilogue = shape.epilogue;
    multiply(team, *gemmKernels(), gemm, operands.block, operands.blockBytes);
  }
}

void ConvPlan::gradWeight(ThreadTeam &team, const Packed &operands) const {
  Patches patches = inputPatches(shape);
  int64_t filter = shape.taps() * shape.groupIn();
  if (int64_t(patches.taps.size()) < shape.taps()) {
    std::memset(operands.result, 0, size_t(shape.outChannels * filter) * sizeof(float));
  }
  // Taps that lie side by side in the weights make one product.
  for (size_t first = 0, last; first < patches.taps.size(); first = last) {
    last = first + 1;
    while (last < patches.taps.size() &&
           patches.taps[last].weight == patches.taps[last - 1].weight + 1) {
      ++last;
    }
    Patches part = patches;
    part.taps.assign(patches.taps.begin() + int64_t(first), patches.taps.begin() + int64_t(last));
    part.run = std::min(part.run, int64_t(part.taps.size()));
    for (int64_t group = 0; group < shape.groups; ++group) {
      part.data = operands.x + group * shape.groupIn();
      PatchColumns columns(part);
      Gemm gemm;
      gemm.m = shape.groupOut();
      gemm.n = int64_t(part.taps.size()) * shape.groupIn();
      gemm.k = shape.batch * shape.outPixels();
      gemm.a = operands.y + group * shape.groupOut();
      gemm.aRow = 1;
      gemm.aK = shape.y.pixel;
      gemm.right = &columns;
      gemm.c = operands.result + group * shape.groupOut() * filter +
               part.taps[0].weight * shape.groupIn();
      gemm.cRow = filter;
      multiply(team, *gemmKernels(), gemm, operands.block, operands.blockBytes);
    }
  }
}

void ConvPlan::gradInput(ThreadTeam &team, const Packed &operands) const {
  bool whole = shape.stride[0] == 1 && shape.stride[1] == 1 && shape.stride[2] == 1;
  int64_t phase[3];
  for (phase[0] = 0; phase[0] < std::min(shape.stride[0], shape.in[0]); ++phase[0]) {
    for (phase[1] = 0; phase[1] < std::min(shape.stride[1], shape.in[1]); ++phase[1]) {
      for (phase[2] = 0; phase[2] < std::min(shape.stride[2], shape.in[2]); ++phase[2]) {
        Patches patches = outputPatches(shape, phase);
        int64_t pixels = shape.batch * patches.rows[0] * patches.rows[1] * patches.rows[2];
        for (int64_t group = 0; group < shape.groups; ++group) {
          patches.data = operands.y + group * shape.groupOut();
          PatchRows rows(patches);
          int64_t filter = shape.taps() * shape.groupIn();
          TurnedWeights weights(patches, operands.w + group * shape.groupOut() * filter, filter,
                                shape.groupIn());
          Gemm gemm;
          gemm.m = pixels;
          gemm.n = shape.groupIn();
          gemm.k = int64_t(patches.taps.size()) * shape.groupOut();
          gemm.left = &rows;
          gemm.right = &weights;
          gemm.c = (whole ? operands.result : operands.part) + group * shape.groupIn();
          gemm.cRow = whole ? shape.x.pixel : shape.inChannels;
          multiply(team, *gemmKernels(), gemm, operands.block, operands.blockBytes);
        }
        if (whole) {
          return;
        }
        size_t bytes = size_t(shape.inChannels) * sizeof(float);
        int64_t grain = std::max<int64_t>(1, int64_t(16) * 1024 / int64_t(bytes));
        team.parallelFor(pixels, grain, [&](int64_t begin, int64_t end) {
          for (int64_t row = begin; row < end; ++row) {
            Patches::Row at = patches.rowAt(row);
            int64_t pixel = at.sample;
            for (int axis = 0; axis < 3; ++axis) {
              pixel = pixel * shape.in[axis] + at.place[axis] * shape.stride[axis] + phase[axis];
            }
            std::memcpy(operands.result + pixel * shape.x.pixel,
                        operands.part + row * shape.inChannels, bytes);
          }
        });
      }
    }
  }
}

void ConvPlan::runPacked(ThreadTeam &team, const float *a, const float *b, const float *bias,
                         float *c, char *workspace) const {
  char *end = workspace + workspaceBytes;
  auto take = [&](int64_t floats) {
    float *result = reinterpret_cast<float *>(workspace);
    workspace += dsc_align(floats * int64_t(sizeof(float)));
    return result;
  };
  // An operand where it is, or its copy; a result where it goes, or where it is computed.
  auto inputOf = [&](const ConvShape::Layout &layout, int64_t outer, int64_t channels,
                     const int64_t(&sizes)[3], const float *data) -> const float * {
    if (layout.channelsLast) {
      return data;
    }
    float *copy = take(outer * channels * sizes[0] * sizes[1] * sizes[2]);
    // Only read: the direction is ToChannelsLast.
    relayout<true>(team, layout, outer, channels, sizes, const_cast<float *>(data), copy);
    return copy;
  };
  auto resultOf = [&](const ConvShape::Layout &layout, int64_t elements) {
    return layout.channelsLast ? c : take(elements);
  };
  auto xOf = [&](const float *data) {
    return inputOf(shape.x, shape.batch, shape.inChannels, shape.in, data);
  };
  auto wOf = [&](const float *data) {
    return inputOf(shape.w, shape.outChannels, shape.groupIn(), shape.kernel, data);
  };
  auto yOf = [&](const float *data) {
    return inputOf(shape.y, shape.batch, shape.outChannels, shape.out, data);
  };
  Packed operands = {};
  auto takeBlock = [&] {
    operands.block = workspace;
    operands.blockBytes = std::max<int64_t>(end - workspace, 0);
  };
  switch (shape.kind) {
  case DSC_CONV_FORWARD:
    operands.x = xOf(a);
    operands.w = wOf(b);
    operands.result = resultOf(shape.y, shape.batch * shape.outPixels() * shape.outChannels);
    takeBlock();
    forward(team, operands, bias);
    if (!shape.y.channelsLast) {
      relayout<false>(team, shape.y, shape.batch, shape.outChannels, shape.out, c, operands.result);
    }
    return;
  case DSC_CONV_GRAD_INPUT: {
    operands.y = yOf(a);
    operands.w = wOf(b);
    int64_t elements = shape.batch * shape.inPixels() * shape.inChannels;
    operands.result = resultOf(shape.x, elements);
    bool whole = shape.stride[0] == 1 && shape.stride[1] == 1 && shape.stride[2] == 1;
    operands.part = whole ? nullptr : take(elements);
    takeBlock();
    gradInput(team, operands);
    if (!shape.x.channelsLast) {
      relayout<false>(team, shape.x, shape.batch, shape.inChannels, shape.in, c, operands.result);
    }
    return;
  }
  default:
    operands.x = xOf(a);
    operands.y = yOf(b);
    operands.result = resultOf(shape.w, shape.outChannels * shape.taps() * shape.groupIn());
    takeBlock();
    gradWeight(team, operands);
    if (!shape.w.channelsLast) {
      relayout<false>(team, shape.w, shape.outChannels, shape.groupIn(), shape.kernel, c,
                      operands.result);
    }
  }
}

/// f32 copies lie as the operands do, element by element.
void ConvPlan::runHalf(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
                       char *workspace) const {
  int64_t used = 0;
  auto take = [&](int64_t elements) {
    auto *result = reinterpret_cast<float *>(workspace + used);
    used += dsc_align(elements * int64_t(sizeof(float)));
    return result;
  };
  auto wide = [&](const void *from, int64_t elements) {
    float *to = take(elements);
    widen(team, shape.dtype, elements, from, to);
    return to;
  };
  int64_t x = shape.batch * shape.inPixels() * shape.inChannels;
  int64_t y = shape.batch * shape.outPixels() * shape.outChannels;
  int64_t w = shape.outChannels * shape.taps() * shape.groupIn();
  bool toInput = shape.kind == DSC_CONV_GRAD_INPUT, toWeight = shape.kind == DSC_CONV_GRAD_WEIGHT;
  const float *wideA = wide(a, toInput ? y : x), *wideB = wide(b, toWeight ? y : w);
  const float *wideBias = bias ? wide(bias, shape.outChannels) : nullptr;
  int64_t elements = toInput ? x : toWeight ? w : y;
  float *result = take(elements);
  ConvShape f32 = shape;
  f32.dtype = DSC_F32;
  ConvPlan(f32, workspaceBytes - used).run(team, wideA, wideB, wideBias, result, workspace + used);
  narrow(team, shape.dtype, elements, result, c);
}

void ConvPlan::run(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
                   void *workspace) const {
  if (dsc_is_half(shape.dtype)) {
    return runHalf(team, a, b, bias, c, static_cast<char *>(workspace));
  }
  if (isDepthwise()) {
    return runDepthwise(team, static_cast<const float *>(a), static_cast<const float *>(b),
                        static_cast<const float *>(bias), static_cast<float *>(c));
  }
  bool fewInGroup =
      shape.groups > 1 && std::min(shape.groupIn(), shape.groupOut()) < fewestGroupChannels;
  if (shape.dtype == DSC_F32 && !fewInGroup) {
    return runPacked(team, static_cast<const float *>(a), static_cast<const float *>(b),
                     static_cast<const float *>(bias), static_cast<float *>(c),
                     static_cast<char *>(workspace));
  }
  bool toWeight = shape.kind == DSC_CONV_GRAD_WEIGHT, toInput = shape.kind == DSC_CONV_GRAD_INPUT;
  auto plain = [&](auto zero) {
    using T = decltype(zero);
    auto *first = static_cast<const T *>(a), *second = static_cast<const T *>(b);
    PlainConvolution<T>(shape, toInput ? nullptr : first, toWeight ? nullptr : second,
                        toInput ? first : second, static_cast<const T *>(bias), static_cast<T *>(c))
        .run(team);
  };
  shape.dtype == DSC_F32 ? plain(float(0)) : plain(double(0));
}
