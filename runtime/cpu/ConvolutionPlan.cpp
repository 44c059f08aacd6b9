// Checks the shapes of convolutions.
// The ABI's functions of convolutions: a plan states its geometry once, and every disagreement in
// it is found here.

#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/CpuPlans.h"

using namespace dsc;

namespace {

/// The operands as the program describes them.
struct Described {
  int32_t rank;
  const int64_t *xDims, *xStrides, *wDims, *wStrides, *yDims, *yStrides;
  const int64_t *strides, *dilations, *padsBegin, *padsEnd;
};

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

Result<ConvShape> shapeOf(const Described &described, int64_t groups) {
  ConvShape shape = {};
  const Described &d = described;
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

extern "C" {

int32_t dsc_rt_conv_plan(dsc_context *ctx, int32_t op, int32_t plan, int32_t kind, int32_t dtype,
                         int32_t rank, const int64_t *x_dims, const int64_t *x_strides,
                         const int64_t *w_dims, const int64_t *w_strides, const int64_t *y_dims,
                         const int64_t *y_strides, const int64_t *strides, const int64_t *dilations,
                         const int64_t *pads_begin, const int64_t *pads_end, int64_t groups,
                         int32_t has_bias, int32_t epilogue, int64_t workspace) {
  auto fail = [&](Status status) { return setError(ctx, status.in(opName(ctx, op))); };
  if (dtype != DSC_F32 && dtype != DSC_F64) {
    return fail(Status::internal(format("convolution of element type %d; the CPU takes f32 (%d) "
                                        "and f64 (%d): compile with another precision",
                                        dtype, DSC_F32, DSC_F64)));
  }
  if (kind < DSC_CONV_FORWARD || kind > DSC_CONV_GRAD_WEIGHT || epilogue < DSC_EPILOGUE_NONE ||
      epilogue > DSC_EPILOGUE_GELU_TANH) {
    return fail(Status::internal(format("convolution of unknown kind %d or epilogue %d",
                                        static_cast<int>(kind), static_cast<int>(epilogue))));
  }
  Result<ConvShape> shape = shapeOf({rank, x_dims, x_strides, w_dims, w_strides, y_dims, y_strides,
                                     strides, dilations, pads_begin, pads_end},
                                    groups);
  if (shape.failed()) {
    return fail(shape.status());
  }
  int64_t needed = dsc_conv_workspace(kind, dtype, rank, x_dims, x_strides, w_dims, w_strides,
                                      y_dims, y_strides, strides, groups);
  if (workspace < needed) {
    return fail(Status::internal(format("convolution has a workspace of %lld bytes planned and "
                                        "needs %lld; compile the model again",
                                        (long long)workspace, (long long)needed)));
  }
  shape->kind = kind;
  shape->dtype = dtype;
  shape->epilogue = epilogue;
  shape->hasBias = has_bias != 0;
  Status stored =
      storePlan(ctx->cpu->convolutions, plan, std::make_unique<ConvPlan>(*shape, workspace));
  return stored.ok() ? 0 : fail(stored);
}

int32_t dsc_rt_conv(dsc_context *ctx, int32_t op, int32_t plan, const void *a, const void *b,
                    const void *bias, void *c, void *workspace) {
  OpTimer timer(ctx, op);
  const ConvPlan *found = findPlan(ctx->cpu->convolutions, plan);
  if (!found || found->hasBias() != (bias != nullptr)) {
    return setError(ctx, planMismatch(found != nullptr, plan).in(opName(ctx, op)));
  }
  found->run(ctx->cpu->team, a, b, bias, c, workspace);
  return 0;
}

} // extern "C"
