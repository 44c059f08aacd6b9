// Convolutions as they are written.
// Loops over any strides, summing in double: the reference, and what depthwise convolutions take.

#ifndef DSC_RUNTIME_CPU_PLAINCONVOLUTION_H
#define DSC_RUNTIME_CPU_PLAINCONVOLUTION_H

#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/Epilogue.h"

namespace dsc {

template <typename T> class PlainConvolution {
public:
  PlainConvolution(const ConvShape &shape, const T *x, const T *w, const T *y, const T *bias,
                   T *result)
      : shape(shape), x(x), w(w), y(y), bias(bias), result(result) {}

  void run(ThreadTeam &team) const {
    switch (shape.kind) {
    case DSC_CONV_FORWARD:
      team.parallelFor(shape.batch * shape.outPixels() * shape.outChannels, 256,
                       [this](int64_t begin, int64_t end) { forward(begin, end); });
      return;
    case DSC_CONV_GRAD_INPUT:
      team.parallelFor(shape.batch * shape.inPixels() * shape.inChannels, 256,
                       [this](int64_t begin, int64_t end) { gradInput(begin, end); });
      return;
    default:
      team.parallelFor(shape.outChannels * shape.taps() * shape.groupIn(), 1,
                       [this](int64_t begin, int64_t end) { gradWeight(begin, end); });
    }
  }

private:
  struct Place {
    int64_t outer, at[3], channel;
  };
  /// The index `linear` of [outer, sizes..., channels].
  static Place placeOf(int64_t linear, const int64_t (&sizes)[3], int64_t channels) {
    Place place;
    place.channel = linear % channels;
    linear /= channels;
    for (int axis = 2; axis >= 0; --axis) {
      place.at[axis] = linear % sizes[axis];
      linear /= sizes[axis];
    }
    place.outer = linear;
    return place;
  }
  static int64_t offset(const ConvShape::Layout &layout, int64_t outer, int64_t channel,
                        const int64_t (&at)[3]) {
    return outer * layout.outer + channel * layout.channel + at[0] * layout.spatial[0] +
           at[1] * layout.spatial[1] + at[2] * layout.spatial[2];
  }

  /// Calls body(tap) for every tap.
  template <typename Body> void eachTap(Body &&body) const {
    int64_t tap[3];
    for (tap[0] = 0; tap[0] < shape.kernel[0]; ++tap[0]) {
      for (tap[1] = 0; tap[1] < shape.kernel[1]; ++tap[1]) {
        for (tap[2] = 0; tap[2] < shape.kernel[2]; ++tap[2]) {
          body(tap);
        }
      }
    }
  }
  /// Where in x the tap of an output pixel reads; false outside.
  bool inputAt(const int64_t (&out)[3], const int64_t (&tap)[3], int64_t (&in)[3]) const {
    for (int axis = 0; axis < 3; ++axis) {
      in[axis] =
          out[axis] * shape.stride[axis] - shape.pad[axis] + tap[axis] * shape.dilation[axis];
      if (in[axis] < 0 || in[axis] >= shape.in[axis]) {
        return false;
      }
    }
    return true;
  }
  /// The output pixel whose tap reads `in`; false if there is none.
  bool outputAt(const int64_t (&in)[3], const int64_t (&tap)[3], int64_t (&out)[3]) const {
    for (int axis = 0; axis < 3; ++axis) {
      int64_t moved = in[axis] + shape.pad[axis] - tap[axis] * shape.dilation[axis];
      if (moved < 0 || moved % shape.stride[axis] != 0) {
        return false;
      }
      out[axis] = moved / shape.stride[axis];
      if (out[axis] >= shape.out[axis]) {
        return false;
      }
    }
    return true;
  }

  void forward(int64_t begin, int64_t end) const {
    for (int64_t index = begin; index < end; ++index) {
      Place out = placeOf(index, shape.out, shape.outChannels);
      int64_t firstIn = out.channel / shape.groupOut() * shape.groupIn();
      double sum = 0;
      eachTap([&](const int64_t(&tap)[3]) {
        int64_t in[3];
        if (!inputAt(out.at, tap, in)) {
          return;
        }
        const T *from = x + offset(shape.x, out.outer, firstIn, in);
        const T *weight = w + offset(shape.w, out.channel, 0, tap);
        for (int64_t c = 0; c < shape.groupIn(); ++c) {
          sum += double(from[c * shape.x.channel]) * double(weight[c * shape.w.channel]);
        }
      });
      T value = static_cast<T>(sum + (bias ? double(bias[out.channel]) : 0.0));
      result[offset(shape.y, out.outer, out.channel, out.at)] = activated(value, shape.epilogue);
    }
  }

  void gradInput(int64_t begin, int64_t end) const {
    for (int64_t index = begin; index < end; ++index) {
      Place in = placeOf(index, shape.in, shape.inChannels);
      int64_t firstOut = in.channel / shape.groupIn() * shape.groupOut();
      double sum = 0;
      eachTap([&](const int64_t(&tap)[3]) {
        int64_t out[3];
        if (!outputAt(in.at, tap, out)) {
          return;
        }
        const T *from = y + offset(shape.y, in.outer, firstOut, out);
        const T *weight = w + offset(shape.w, firstOut, in.channel % shape.groupIn(), tap);
        for (int64_t o = 0; o < shape.groupOut(); ++o) {
          sum += double(from[o * shape.y.channel]) * double(weight[o * shape.w.outer]);
        }
      });
      result[offset(shape.x, in.outer, in.channel, in.at)] = static_cast<T>(sum);
    }
  }

  void gradWeight(int64_t begin, int64_t end) const {
    for (int64_t index = begin; index < end; ++index) {
      Place weight = placeOf(index, shape.kernel, shape.groupIn());
      int64_t channel = weight.outer / shape.groupOut() * shape.groupIn() + weight.channel;
      double sum = 0;
      int64_t out[3], in[3];
      for (int64_t n = 0; n < shape.batch; ++n) {
        for (out[0] = 0; out[0] < shape.out[0]; ++out[0]) {
          for (out[1] = 0; out[1] < shape.out[1]; ++out[1]) {
            for (out[2] = 0; out[2] < shape.out[2]; ++out[2]) {
              if (inputAt(out, weight.at, in)) {
                sum += double(x[offset(shape.x, n, channel, in)]) *
                       double(y[offset(shape.y, n, weight.outer, out)]);
              }
            }
          }
        }
      }
      result[offset(shape.w, weight.outer, weight.channel, weight.at)] = static_cast<T>(sum);
    }
  }

  const ConvShape &shape;
  const T *x, *w, *y, *bias;
  T *result;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_PLAINCONVOLUTION_H
