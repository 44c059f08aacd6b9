// Checks the shapes of convolutions.
// The ABI's functions of convolutions: a plan states its geometry once, and every disagreement in
// it is found here.

#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/CpuPlans.h"

using namespace dsc;

namespace {

ConvShape::Layout layoutOf(int32_t rank, const int64_t *dims, const int64_t *strides, bool dense) {
  ConvShape::Layout layout = {};
  layout.outer = strides[0];
  layout.channel = strides[1];
  int first = ConvShape::axisCount - (rank - 2);
  for (int32_t i = 2; i < rank; ++i) {
    layout.spatial[first + i - 2] = strides[i];
  }
  layout.channelsLast = dsc_conv_is_channels_last(rank, dims, strides, dense) != 0;
  layout.pixel = dims[1];
  if (layout.channelsLast) {
    for (int32_t i = rank; i-- > 0;) {
      if (i != 1 && dims[i] != 1) {
        layout.pixel = strides[i];
        break;
      }
    }
  }
  return layout;
}

Status unfit(const char *what, long long found, long long other) {
  return Status::internal(format("convolution with %s: %lld against %lld; compile the model again",
                                 what, found, other));
}

Result<ConvShape> shapeOf(const ConvDescription &d) {
  ConvShape shape = {};
  const int64_t groups = d.groups;
  if (d.rank < 3 || d.rank > 5) {
    return Status::internal(format("convolution of rank %d; the runtime takes 3 to 5", d.rank));
  }
  shape.batch = d.xDims[0];
  shape.inChannels = d.xDims[1];
  shape.outChannels = d.wDims[0];
  shape.groups = groups;
  if (groups < 1 || shape.inChannels % groups || shape.outChannels % groups) {
    return unfit("groups that do not divide the channels", groups, shape.inChannels);
  }
  if (d.wDims[1] != shape.inChannels / groups) {
    return unfit("weights for another number of channels", d.wDims[1], shape.inChannels / groups);
  }
  if (d.yDims[0] != shape.batch || d.yDims[1] != shape.outChannels) {
    return unfit("a result of another batch or number of channels", d.yDims[1], shape.outChannels);
  }
  for (int axis = 0; axis < ConvShape::axisCount; ++axis) {
    int given = axis - (ConvShape::axisCount - (d.rank - 2));
    shape.in[axis] = given < 0 ? 1 : d.xDims[2 + given];
    shape.out[axis] = given < 0 ? 1 : d.yDims[2 + given];
    shape.kernel[axis] = given < 0 ? 1 : d.wDims[2 + given];
    shape.stride[axis] = given < 0 ? 1 : d.strides[given];
    shape.dilation[axis] = given < 0 ? 1 : d.dilations[given];
    shape.pad[axis] = given < 0 ? 0 : d.padsBegin[given];
    int64_t padEnd = given < 0 ? 0 : d.padsEnd[given];
    if (shape.stride[axis] < 1 || shape.dilation[axis] < 1) {
      return unfit("strides or dilations below 1", shape.stride[axis], shape.dilation[axis]);
    }
    int64_t reach = shape.dilation[axis] * (shape.kernel[axis] - 1) + 1;
    int64_t room = shape.in[axis] + shape.pad[axis] + padEnd - reach;
    int64_t expected = room < 0 ? 0 : room / shape.stride[axis] + 1;
    if (shape.out[axis] != expected) {
      return unfit("a result of another size than its strides, pads and kernel give",
                   shape.out[axis], expected);
    }
  }
  shape.x = layoutOf(d.rank, d.xDims, d.xStrides, false);
  shape.w = layoutOf(d.rank, d.wDims, d.wStrides, true);
  shape.y = layoutOf(d.rank, d.yDims, d.yStrides, false);
  // Copies are dense.
  shape.x.pixel = shape.x.channelsLast ? shape.x.pixel : shape.inChannels;
  shape.y.pixel = shape.y.channelsLast ? shape.y.pixel : shape.outChannels;
  return shape;
}

} // namespace

Status CpuDevice::planConv(int32_t plan, const ConvDescription &d, int64_t workspace) {
  if (d.dtype != DSC_F32 && d.dtype != DSC_F64 && !dsc_is_half(d.dtype)) {
    return Status::internal(format("convolution of element type %d; the CPU takes f32, f64, f16 "
                                   "and bf16",
                                   d.dtype));
  }
  if (d.kind < DSC_CONV_FORWARD || d.kind > DSC_CONV_GRAD_WEIGHT ||
      d.epilogue < DSC_EPILOGUE_NONE || d.epilogue > DSC_EPILOGUE_GELU_TANH) {
    return Status::internal(format("convolution of unknown kind %d or epilogue %d",
                                   static_cast<int>(d.kind), static_cast<int>(d.epilogue)));
  }
  Result<ConvShape> shape = shapeOf(d);
  if (shape.failed()) {
    return shape.status();
  }
  int64_t needed = dsc_conv_workspace(d.kind, d.dtype, d.rank, d.xDims, d.xStrides, d.wDims,
                                      d.wStrides, d.yDims, d.yStrides, d.strides, d.groups);
  if (workspace < needed) {
    return Status::internal(format("convolution has a workspace of %lld bytes planned and "
                                   "needs %lld; compile the model again",
                                   (long long)workspace, (long long)needed));
  }
  shape->kind = d.kind;
  shape->dtype = d.dtype;
  shape->epilogue = d.epilogue;
  shape->hasBias = d.hasBias;
  return convolutions.store(plan, std::make_unique<ConvPlan>(*shape, workspace));
}

Status CpuDevice::conv(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                       void *workspace) {
  const ConvPlan *found = convolutions.find(plan);
  if (!found || found->hasBias() != (bias != nullptr)) {
    return planMismatch(found != nullptr, plan);
  }
  found->run(team, a, b, bias, c, workspace);
  return {};
}
