// Type rules of convolution and pooling.

#include "ir/Dialect.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Extent of the result of sliding a window of `window` elements, `dilation` apart, by `stride`
/// over a padded dimension; 0 where the window does not fit, or a number does not fit 64 bits.
static int64_t windowResult(int64_t size, int64_t begin, int64_t end, int64_t window,
                            int64_t dilation, int64_t stride) {
  int64_t padded = 0, reach = 0;
  if (window < 1 || llvm::AddOverflow(size, begin, padded) ||
      llvm::AddOverflow(padded, end, padded) || llvm::MulOverflow(window - 1, dilation, reach) ||
      padded <= reach) {
    return 0;
  }
  return (padded - reach - 1) / stride + 1;
}

static int64_t channelDim(ConvLayout layout, int64_t rank) {
  return layout == ConvLayout::channels_last ? rank - 1 : 1;
}
static int64_t spatialDim(ConvLayout layout, int64_t i) {
  return layout == ConvLayout::channels_last ? i + 1 : i + 2;
}

/// Shape of conv(x, w), or failure with the rule that is broken (conv_1 to conv_4).
template <typename Attributes>
static FailureOr<SmallVector<int64_t>> convShape(StringRef name, std::optional<Location> loc,
                                                 RankedTensorType x, RankedTensorType w,
                                                 Attributes attributes) {
  int64_t rank = x.getRank();
  if (rank != w.getRank() || rank < 3 || rank > 5 ||
      x.getElementType() != w.getElementType()) { // conv_1
    return emitOptionalError(loc, "'", name, "' op image ", x, " and weight ", w,
                             " must have one element type and one rank, 3 to 5");
  }
  ConvLayout layout = attributes.getLayout();
  int64_t groups = attributes.getGroups(), channels = x.getDimSize(channelDim(layout, rank));
  if (groups < 1 || channels % groups != 0 ||
      channels / groups != w.getDimSize(channelDim(layout, rank)) ||
      w.getDimSize(0) % groups != 0) { // conv_2
    return emitOptionalError(loc, "'", name, "' op ", channels, " channels do not fit weight ", w,
                             " in ", groups, " groups");
  }
  size_t spatial = rank - 2;
  ArrayRef<int64_t> strides = attributes.getStrides(), dilations = attributes.getDilations();
  ArrayRef<int64_t> begin = attributes.getPadsBegin(), end = attributes.getPadsEnd();
  if (strides.size() != spatial || dilations.size() != spatial || begin.size() != spatial ||
      end.size() != spatial || llvm::any_of(strides, [](int64_t v) { return v < 1; }) ||
      llvm::any_of(dilations, [](int64_t v) { return v < 1; }) ||
      llvm::any_of(begin, [](int64_t v) { return v < 0; }) ||
      llvm::any_of(end, [](int64_t v) { return v < 0; })) { // conv_3
    return emitOptionalError(loc, "'", name, "' op needs ", spatial,
                             " positive strides and dilations and as many pads, none negative");
  }
  SmallVector<int64_t> shape(rank);
  shape[0] = x.getDimSize(0);
  shape[channelDim(layout, rank)] = w.getDimSize(0);
  for (size_t i = 0; i < spatial; ++i) {
    int64_t dim = spatialDim(layout, i);
    shape[dim] = windowResult(x.getDimSize(dim), begin[i], end[i], w.getDimSize(dim), dilations[i],
                              strides[i]);
    if (shape[dim] < 1) { // conv_4
      return emitOptionalError(loc, "'", name, "' op window ", w.getDimSize(dim),
                               " does not fit dimension ", dim, " of ", x);
    }
  }
  return shape;
}

LogicalResult ConvOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                       ConvOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX()), w = typeOf(adaptor.getW());
  FailureOr<SmallVector<int64_t>> shape = convShape("dsc.conv", loc, x, w, adaptor);
  if (failed(shape)) {
    return failure();
  }
  if (Value bias = adaptor.getBias();
      bias && typeOf(bias) != x.clone({w.getDimSize(0)})) { // conv_5
    return emitOptionalError(loc, "'dsc.conv' op bias is ", bias.getType(), ", expected ",
                             x.clone({w.getDimSize(0)}));
  }
  types.push_back(x.clone(*shape));
  return success();
}

LogicalResult ConvGradInputOp::verify() {
  FailureOr<SmallVector<int64_t>> shape =
      convShape("dsc.conv_grad_input", getLoc(), typeOf(getDx()), typeOf(getW()), *this);
  if (failed(shape)) { // conv_grad_input_1
    return failure();
  }
  if (typeOf(getDy()) != typeOf(getDx()).clone(*shape)) { // conv_grad_input_2
    return emitOpError("dy is ") << getDy().getType() << ", the convolution of the result gives "
                                 << typeOf(getDx()).clone(*shape);
  }
  return success();
}

LogicalResult ConvGradWeightOp::verify() {
  FailureOr<SmallVector<int64_t>> shape =
      convShape("dsc.conv_grad_weight", getLoc(), typeOf(getX()), typeOf(getDw()), *this);
  if (failed(shape)) { // conv_grad_weight_1
    return failure();
  }
  if (typeOf(getDy()) != typeOf(getX()).clone(*shape)) { // conv_grad_weight_2
    return emitOpError("dy is ") << getDy().getType() << ", the convolution with the result gives "
                                 << typeOf(getX()).clone(*shape);
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

template <typename Attributes>
static FailureOr<SmallVector<int64_t>> poolShape(StringRef name, std::optional<Location> loc,
                                                 RankedTensorType x, Attributes attributes) {
  int64_t rank = x.getRank();
  size_t spatial = rank < 2 ? 0 : rank - 2;
  ArrayRef<int64_t> window = attributes.getWindow(), strides = attributes.getStrides();
  ArrayRef<int64_t> dilations = attributes.getDilations();
  ArrayRef<int64_t> begin = attributes.getPadsBegin(), end = attributes.getPadsEnd();
  if (spatial < 1 || window.size() != spatial || strides.size() != spatial ||
      dilations.size() != spatial || begin.size() != spatial ||
      end.size() != spatial) { // max_pool_1
    return emitOptionalError(loc, "'", name, "' op needs one entry a spatial dimension of ", x,
                             " in each array");
  }
  SmallVector<int64_t> shape(x.getShape());
  for (size_t i = 0; i < spatial; ++i) {
    int64_t dim = spatialDim(attributes.getLayout(), i), size = x.getDimSize(dim);
    bool positive =
        window[i] > 0 && strides[i] > 0 && dilations[i] > 0 && begin[i] >= 0 && end[i] >= 0;
    shape[dim] =
        positive ? windowResult(size, begin[i], end[i], window[i], dilations[i], strides[i]) : 0;
    // The first window reaches into the image, the last one starts in it.
    bool inside = shape[dim] >= 1 && begin[i] <= (window[i] - 1) * dilations[i] &&
                  (shape[dim] - 1) * strides[i] - begin[i] < size;
    if (!inside) { // max_pool_2
      return emitOptionalError(loc, "'", name, "' op window ", window[i], " with pads ", begin[i],
                               " and ", end[i], " does not fit dimension ", dim, " of ", x);
    }
  }
  return shape;
}

LogicalResult MaxPoolOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                          MaxPoolOp::Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  FailureOr<SmallVector<int64_t>> shape = poolShape("dsc.max_pool", loc, x, adaptor);
  if (failed(shape)) {
    return failure();
  }
  types.push_back(x.clone(*shape));
  types.push_back(RankedTensorType::get(*shape, IntegerType::get(context, 32)));
  return success();
}

LogicalResult MaxPoolGradOp::verify() {
  FailureOr<SmallVector<int64_t>> shape =
      poolShape("dsc.max_pool_grad", getLoc(), typeOf(getDx()), *this);
  if (failed(shape)) { // max_pool_grad_1
    return failure();
  }
  Type values = typeOf(getDx()).clone(*shape);
  Type indices = RankedTensorType::get(*shape, IntegerType::get(getContext(), 32));
  if (getDy().getType() != values || getIndex().getType() != indices) { // max_pool_grad_2
    return emitOpError("dy and index are ")
           << getDy().getType() << " and " << getIndex().getType()
           << ", max_pool of the result gives " << values << " and " << indices;
  }
  return success();
}

template <typename Attributes>
static FailureOr<SmallVector<int64_t>> avgPoolShape(StringRef name, std::optional<Location> loc,
                                                    RankedTensorType x, Attributes attributes) {
  FailureOr<SmallVector<int64_t>> shape = poolShape(name, loc, x, attributes); // avg_pool_1
  std::optional<ArrayRef<int64_t>> ceil = attributes.getPadsCeil();
  if (failed(shape) || !ceil) {
    return shape;
  }
  ArrayRef<int64_t> end = attributes.getPadsEnd();
  bool fits = ceil->size() == end.size();
  for (size_t i = 0; fits && i < end.size(); ++i) {
    fits = (*ceil)[i] >= 0 && (*ceil)[i] <= end[i];
  }
  if (!fits) { // avg_pool_2
    return emitOptionalError(loc, "'", name, "' op pads_ceil [", *ceil,
                             "] is no part of pads_end [", end, "]");
  }
  return shape;
}

LogicalResult AvgPoolOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                          AvgPoolOp::Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  FailureOr<SmallVector<int64_t>> shape = avgPoolShape("dsc.avg_pool", loc, x, adaptor);
  if (failed(shape)) {
    return failure();
  }
  types.push_back(x.clone(*shape));
  return success();
}

LogicalResult AvgPoolGradOp::verify() {
  FailureOr<SmallVector<int64_t>> shape =
      avgPoolShape("dsc.avg_pool_grad", getLoc(), typeOf(getDx()), *this);
  if (failed(shape)) { // avg_pool_grad_1
    return failure();
  }
  if (typeOf(getDy()) != typeOf(getDx()).clone(*shape)) { // avg_pool_grad_2
    return emitOpError("dy is ") << getDy().getType() << ", avg_pool of the result gives "
                                 << typeOf(getDx()).clone(*shape);
  }
  return success();
}
