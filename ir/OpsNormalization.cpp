// Type rules of normalization, softmax and losses.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// x's shape with the dimensions from `axis` on set to 1, in the type of statistics.
static RankedTensorType rowStatistics(RankedTensorType x, int64_t axis) {
  SmallVector<int64_t> shape(x.getShape());
  std::fill(shape.begin() + axis, shape.end(), 1);
  return RankedTensorType::get(shape, statisticsType(x.getElementType()));
}

static LogicalResult checkAxis(StringRef name, std::optional<Location> loc, RankedTensorType x,
                               int64_t axis) {
  if (axis < 0 || axis >= x.getRank()) { // softmax_1, layer_norm_1
    return emitOptionalError(loc, "'", name, "' op axis is ", axis, ", rank is ", x.getRank());
  }
  return success();
}

LogicalResult SoftmaxOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          SoftmaxOp::Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return checkAxis("dsc.softmax", loc, typeOf(adaptor.getX()), adaptor.getAxis());
}

LogicalResult LogSoftmaxOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                             LogSoftmaxOp::Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return checkAxis("dsc.log_softmax", loc, typeOf(adaptor.getX()), adaptor.getAxis());
}

/// layer_norm_2: gamma and beta repeat over rows and cover no more than the normalized dimensions.
static LogicalResult checkAffine(StringRef name, std::optional<Location> loc, RankedTensorType x,
                                 Value affine, int64_t axis) {
  if (!affine) {
    return success();
  }
  ArrayRef<int64_t> shape = typeOf(affine).getShape();
  int64_t normalized = x.getRank() - axis;
  ArrayRef<int64_t> leading = shape.drop_back(std::min<int64_t>(normalized, shape.size()));
  if (!broadcastsTo(shape, x.getShape()) ||
      llvm::any_of(leading, [](int64_t d) { return d != 1; })) {
    return emitOptionalError(loc, "'", name, "' op weight ", affine.getType(),
                             " does not broadcast to the last ", normalized, " dimensions of ", x);
  }
  return success();
}

/// The rules of the gradients of layer_norm and rms_norm.
static LogicalResult checkRowGradient(StringRef name, std::optional<Location> loc,
                                      RankedTensorType x, int64_t axis, ValueRange statistics,
                                      Value g) {
  if (failed(checkAxis(name, loc, x, axis))) { // layer_norm_grad_1, rms_norm_grad_1
    return failure();
  }
  RankedTensorType expected = rowStatistics(x, axis);
  for (Value value : statistics) {
    if (value.getType() != expected) { // layer_norm_grad_2, rms_norm_grad_2
      return emitOptionalError(loc, "'", name, "' op statistics are ", value.getType(),
                               ", those of the rows of ", x, " are ", expected);
    }
  }
  if (typeOf(g).getShape() != x.getShape()) { // layer_norm_grad_3, rms_norm_grad_3
    return emitOptionalError(loc, "'", name, "' op g is ", g.getType(), ", x is ", x);
  }
  return success();
}

LogicalResult LayerNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            LayerNormOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  int64_t axis = adaptor.getAxis();
  if (failed(checkAxis("dsc.layer_norm", loc, x, axis)) ||
      failed(checkAffine("dsc.layer_norm", loc, x, adaptor.getGamma(), axis)) ||
      failed(checkAffine("dsc.layer_norm", loc, x, adaptor.getBeta(), axis))) {
    return failure();
  }
  types.append({x, rowStatistics(x, axis), rowStatistics(x, axis)});
  return success();
}

LogicalResult LayerNormGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                LayerNormGradOp::Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return checkRowGradient("dsc.layer_norm_grad", loc, typeOf(adaptor.getX()), adaptor.getAxis(),
                          {adaptor.getMean(), adaptor.getRstd()}, adaptor.getG());
}

LogicalResult RmsNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          RmsNormOp::Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  int64_t axis = adaptor.getAxis();
  if (failed(checkAxis("dsc.rms_norm", loc, x, axis)) ||
      failed(checkAffine("dsc.rms_norm", loc, x, adaptor.getGamma(), axis))) {
    return failure();
  }
  types.append({x, rowStatistics(x, axis)});
  return success();
}

LogicalResult RmsNormGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                              RmsNormGradOp::Adaptor adaptor,
                                              SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getX().getType());
  return checkRowGradient("dsc.rms_norm_grad", loc, typeOf(adaptor.getX()), adaptor.getAxis(),
                          adaptor.getRstd(), adaptor.getG());
}

/// Number of channels of x in `layout`, or failure where x has no channel dimension (batch_norm_2).
static FailureOr<int64_t> channelsOf(StringRef name, std::optional<Location> loc,
                                     RankedTensorType x, ConvLayout layout) {
  if (x.getRank() < 2) {
    return emitOptionalError(loc, "'", name, "' op needs rank at least 2, not ", x);
  }
  return x.getDimSize(layout == ConvLayout::channels_last ? x.getRank() - 1 : 1);
}

/// batch_norm_1, batch_norm_grad_1: one number a channel.
static LogicalResult checkChannels(StringRef name, std::optional<Location> loc, ValueRange values,
                                   int64_t channels) {
  for (Value value : values) {
    if (typeOf(value).getShape() != ArrayRef<int64_t>{channels}) {
      return emitOptionalError(loc, "'", name, "' op operand is ", value.getType(), ", image has ",
                               channels, " channels");
    }
  }
  return success();
}

LogicalResult BatchNormOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            BatchNormOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  FailureOr<int64_t> channels = channelsOf("dsc.batch_norm", loc, x, adaptor.getLayout());
  if (failed(channels)) {
    return failure();
  }
  if (failed(checkChannels("dsc.batch_norm", loc, {adaptor.getGamma(), adaptor.getBeta()},
                           *channels))) { // batch_norm_1
    return failure();
  }
  auto statistics = RankedTensorType::get({*channels}, statisticsType(x.getElementType()));
  types.append({x, statistics, statistics, statistics});
  return success();
}

LogicalResult BatchNormGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                BatchNormGradOp::Adaptor adaptor,
                                                SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  FailureOr<int64_t> channels = channelsOf("dsc.batch_norm_grad", loc, x, adaptor.getLayout());
  if (failed(channels) ||
      failed(checkChannels("dsc.batch_norm_grad", loc,
                           {adaptor.getGamma(), adaptor.getMean(), adaptor.getRstd()},
                           *channels))) { // batch_norm_grad_2, batch_norm_grad_1
    return failure();
  }
  if (typeOf(adaptor.getDy()).getShape() != x.getShape()) { // batch_norm_grad_3
    return emitOptionalError(loc, "'dsc.batch_norm_grad' op dy is ", adaptor.getDy().getType(),
                             ", x is ", x);
  }
  types.append({x, adaptor.getGamma().getType(), adaptor.getGamma().getType()});
  return success();
}

static LogicalResult checkLabels(StringRef name, std::optional<Location> loc, Value logits,
                                 Value labels, double smoothing, std::optional<uint64_t> classes) {
  RankedTensorType x = typeOf(logits), y = typeOf(labels);
  if (x.getRank() < 1 || x.getShape().drop_back() != y.getShape()) { // cross_entropy_1
    return emitOptionalError(loc, "'", name, "' op logits are ", x, ", labels are ", y);
  }
  if (!(smoothing >= 0 && smoothing <= 1)) { // cross_entropy_2
    return emitOptionalError(loc, "'", name, "' op label smoothing is ", smoothing,
                             ", expected 0 to 1");
  }
  if (classes && (*classes < 1 || *classes > static_cast<uint64_t>(x.getShape().back()))) {
    return emitOptionalError(loc, "'", name, "' op has ", static_cast<int64_t>(*classes),
                             " classes, logits are ", x); // cross_entropy_3
  }
  return success();
}

LogicalResult CrossEntropyOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                               CrossEntropyOp::Adaptor adaptor,
                                               SmallVectorImpl<Type> &types) {
  if (failed(checkLabels("dsc.cross_entropy", loc, adaptor.getLogits(), adaptor.getLabels(),
                         adaptor.getLabelSmoothing().convertToDouble(), adaptor.getClasses()))) {
    return failure();
  }
  auto loss = RankedTensorType::get(typeOf(adaptor.getLabels()).getShape(),
                                    statisticsType(typeOf(adaptor.getLogits()).getElementType()));
  types.append({loss, loss});
  return success();
}

LogicalResult CrossEntropyGradOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                   CrossEntropyGradOp::Adaptor adaptor,
                                                   SmallVectorImpl<Type> &types) {
  types.push_back(adaptor.getLogits().getType());
  if (failed(checkLabels("dsc.cross_entropy_grad", loc, adaptor.getLogits(), adaptor.getLabels(),
                         adaptor.getLabelSmoothing().convertToDouble(), adaptor.getClasses()))) {
    return failure();
  }
  for (Value value : {adaptor.getLse(), adaptor.getDloss()}) {
    if (typeOf(value).getShape() !=
        typeOf(adaptor.getLabels()).getShape()) { // cross_entropy_grad_3
      return emitOptionalError(loc, "'dsc.cross_entropy_grad' op lse or dloss is ", value.getType(),
                               ", labels are ", adaptor.getLabels().getType());
    }
  }
  return success();
}
