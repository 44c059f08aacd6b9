// Plans of dsc_rt_conv.
// Convolutions are matrix products whose one operand is gathered while it is packed: no patch
// matrix exists. Channels-last operands are used in place, others through copies in the workspace.
// f64, the reference, and convolutions with few channels a group take plain loops. The half types
// are widened in the workspace, computed in f32 and rounded once.

#ifndef DSC_RUNTIME_CPU_CONVOLUTION_H
#define DSC_RUNTIME_CPU_CONVOLUTION_H

#include "runtime/Status.h"
#include "runtime/cpu/ThreadTeam.h"

#include <cstdint>

namespace dsc {

/// The geometry, always with three spatial axes; missing ones have size 1 and come first.
struct ConvShape {
  static constexpr int axisCount = 3;
  /// Strides in elements.
  struct Layout {
    int64_t outer, channel, spatial[axisCount];
    bool channelsLast;
    /// Distance of neighbouring pixels (of taps for weights); channels-last layouts only.
    int64_t pixel;
  };

  int32_t kind, dtype, epilogue;
  bool hasBias;
  int64_t batch, inChannels, outChannels, groups;
  int64_t in[axisCount], out[axisCount], kernel[axisCount];
  int64_t stride[axisCount], dilation[axisCount], pad[axisCount];
  Layout x, w, y;

  int64_t groupIn() const { return inChannels / groups; }
  int64_t groupOut() const { return outChannels / groups; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  int64_t inPixels() const { return in[0] * in[1] * in[2]; }
  int64_t outPixels() const { return out[0] * out[1] * out[2]; }
};

class ConvPlan {
public:
  ConvPlan(const ConvShape &shape, int64_t workspace) : shape(shape), workspaceBytes(workspace) {}

  bool hasBias() const { return shape.hasBias; }
  /// Operands in the order of dsc_rt_conv.
  void run(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
           void *workspace) const;

private:
  /// What lies channels-last: operands themselves or copies in the workspace.
  struct Packed {
    const float *x, *w, *y;
    float *result;
    float *part; ///< for the gradient of a strided input
    void *block;
    int64_t blockBytes;
  };
  /// One channel a group, channels-last: no product of matrices, but a sum of scaled rows.
  void runHalf(ThreadTeam &team, const void *a, const void *b, const void *bias, void *c,
               char *workspace) const;
  bool isDepthwise() const;
  void runDepthwise(ThreadTeam &team, const float *a, const float *b, const float *bias,
                    float *c) const;
  void runPacked(ThreadTeam &team, const float *a, const float *b, const float *bias, float *c,
                 char *workspace) const;
  void forward(ThreadTeam &team, const Packed &operands, const float *bias) const;
  void gradWeight(ThreadTeam &team, const Packed &operands) const;
  void gradInput(ThreadTeam &team, const Packed &operands) const;

  ConvShape shape;
  int64_t workspaceBytes;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_CONVOLUTION_H
