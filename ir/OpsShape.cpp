// Type rules, verifiers and folds of shape ops.

#include "ir/Dialect.h"
#include "ir/Evaluate.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

//===----------------------------------------------------------------------===//
// Views and data movement
//===----------------------------------------------------------------------===//

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getY().getType()) {
    return getX();
  }
  // reshape(reshape(x)) == reshape(x)
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().set(inner.getX());
    return getResult();
  }
  if (auto elements = dyn_cast_if_present<DenseElementsAttr>(adaptor.getX())) {
    return elements.reshape(typeOf(getY()));
  }
  return {};
}

LogicalResult ReshapeOp::verify() {
  if (typeOf(getX()).getElementType() != typeOf(getY()).getElementType()) { // reshape_1
    return emitOpError("element types differ: operand ")
           << getX().getType() << ", result " << getY().getType();
  }
  if (typeOf(getX()).getNumElements() != typeOf(getY()).getNumElements()) { // reshape_2
    return emitOpError("element counts differ: operand has ")
           << typeOf(getX()).getNumElements() << ", result has " << typeOf(getY()).getNumElements();
  }
  return success();
}

LogicalResult TransposeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            TransposeOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  ArrayRef<int64_t> permutation = adaptor.getPermutation();
  if (static_cast<int64_t>(permutation.size()) != type.getRank()) { // transpose_1
    return emitOptionalError(loc, "'dsc.transpose' op permutation has ", permutation.size(),
                             " entries, operand has rank ", type.getRank());
  }
  SmallVector<bool> seen(permutation.size());
  SmallVector<int64_t> shape;
  for (int64_t dim : permutation) {
    if (dim < 0 || dim >= type.getRank() || seen[dim]) { // transpose_2
      return emitOptionalError(loc, "'dsc.transpose' op permutation names dimension ", dim,
                               " twice or out of range; rank is ", type.getRank());
    }
    seen[dim] = true;
    shape.push_back(type.getDimSize(dim));
  }
  types.push_back(type.clone(shape));
  return success();
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getX().getType() == getY().getType()) {
    return getX();
  }
  // broadcast(broadcast(x)) == broadcast(x)
  if (auto inner = getX().getDefiningOp<BroadcastOp>()) {
    getXMutable().set(inner.getX());
    return getResult();
  }
  if (auto splat = dyn_cast_if_present<SplatElementsAttr>(adaptor.getX());
      splat && typeOf(getY()).getNumElements() > 0) {
    return splat.resizeSplat(typeOf(getY()));
  }
  // What is repeated costs nothing until it is written out.
  if (typeOf(getY()).getNumElements() > kMaxWrittenOut) {
    return {};
  }
  return foldByEvaluation(getOperation(), adaptor.getOperands());
}

LogicalResult BroadcastOp::verify() {
  if (typeOf(getX()).getElementType() != typeOf(getY()).getElementType()) { // broadcast_1
    return emitOpError("element types differ: operand ")
           << getX().getType() << ", result " << getY().getType();
  }
  if (!broadcastsTo(typeOf(getX()).getShape(), typeOf(getY()).getShape())) { // broadcast_2
    return emitOpError("shape ") << getX().getType() << " does not broadcast to "
                                 << getY().getType();
  }
  return success();
}

LogicalResult SliceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                        SliceOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  ArrayRef<int64_t> starts = adaptor.getStarts(), sizes = adaptor.getSizes(),
                    steps = adaptor.getSteps();
  size_t rank = type.getRank();
  if (starts.size() != rank || sizes.size() != rank || steps.size() != rank) { // slice_1
    return emitOptionalError(loc, "'dsc.slice' op starts, sizes and steps have ", starts.size(),
                             ", ", sizes.size(), " and ", steps.size(),
                             " entries, operand has rank ", rank);
  }
  for (size_t i = 0; i < rank; ++i) {
    if (steps[i] == 0) { // slice_2
      return emitOptionalError(loc, "'dsc.slice' op step of dimension ", i, " is 0");
    }
    int64_t last = 0;
    bool overflows = sizes[i] > 0 && (llvm::MulOverflow(sizes[i] - 1, steps[i], last) ||
                                      llvm::AddOverflow(starts[i], last, last));
    bool inside = !overflows && starts[i] >= 0 && starts[i] < type.getDimSize(i) && last >= 0 &&
                  last < type.getDimSize(i);
    if (sizes[i] < 0 || (sizes[i] > 0 && !inside)) { // slice_3
      return emitOptionalError(loc, "'dsc.slice' op reads ", sizes[i], " elements from ", starts[i],
                               " by ", steps[i], " in dimension ", i, ", operand has ",
                               type.getDimSize(i));
    }
  }
  types.push_back(type.clone(sizes));
  return success();
}

LogicalResult PadOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                      PadOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  ArrayRef<int64_t> low = adaptor.getLow(), high = adaptor.getHigh(),
                    interior = adaptor.getInterior();
  size_t rank = type.getRank();
  if (low.size() != rank || high.size() != rank || interior.size() != rank) { // pad_1
    return emitOptionalError(loc, "'dsc.pad' op low, high and interior have ", low.size(), ", ",
                             high.size(), " and ", interior.size(), " entries, operand has rank ",
                             rank);
  }
  SmallVector<int64_t> shape;
  for (size_t i = 0; i < rank; ++i) {
    if (low[i] < 0 || high[i] < 0 || interior[i] < 0) { // pad_2
      return emitOptionalError(loc, "'dsc.pad' op dimension ", i, " has a negative pad: ", low[i],
                               ", ", high[i], ", ", interior[i]);
    }
    int64_t size = type.getDimSize(i), inner = 0;
    if (llvm::MulOverflow(std::max<int64_t>(size - 1, 0), interior[i], inner) ||
        llvm::AddOverflow(size, inner, size) || llvm::AddOverflow(size, low[i], size) ||
        llvm::AddOverflow(size, high[i], size)) { // pad_3
      return emitOptionalError(loc, "'dsc.pad' op dimension ", i, " is too large");
    }
    shape.push_back(size);
  }
  types.push_back(type.clone(shape));
  return success();
}

LogicalResult ConcatOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ConcatOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  if (adaptor.getOperands().empty()) { // concat_1
    return emitOptionalError(loc, "'dsc.concat' op has no operand");
  }
  auto first = cast<RankedTensorType>(adaptor.getOperands().front().getType());
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= first.getRank()) { // concat_2
    return emitOptionalError(loc, "'dsc.concat' op axis is ", axis, ", rank is ", first.getRank());
  }
  SmallVector<int64_t> shape(first.getShape());
  for (Value operand : adaptor.getOperands().drop_front()) {
    auto type = cast<RankedTensorType>(operand.getType());
    bool fits =
        type.getElementType() == first.getElementType() && type.getRank() == first.getRank();
    for (int64_t i = 0; fits && i < type.getRank(); ++i) {
      fits = i == axis || type.getDimSize(i) == first.getDimSize(i);
    }
    if (!fits) { // concat_3
      return emitOptionalError(loc, "'dsc.concat' op operands do not join along axis ", axis, ": ",
                               first, " and ", type);
    }
    shape[axis] += type.getDimSize(axis);
  }
  types.push_back(first.clone(shape));
  return success();
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

/// data's shape with dimension `axis` replaced by the shape of indices.
static SmallVector<int64_t> gatherShape(ArrayRef<int64_t> data, ArrayRef<int64_t> indices,
                                        int64_t axis) {
  SmallVector<int64_t> shape(data.take_front(axis));
  shape.append(indices.begin(), indices.end());
  shape.append(data.begin() + axis + 1, data.end());
  return shape;
}

LogicalResult GatherOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         GatherOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= data.getRank()) { // gather_1
    return emitOptionalError(loc, "'dsc.gather' op axis is ", axis, ", rank is ", data.getRank());
  }
  types.push_back(data.clone(gatherShape(data.getShape(), indices.getShape(), axis)));
  return success();
}

LogicalResult GatherGradOp::verify() {
  auto table = typeOf(getDdata());
  int64_t axis = getAxis();
  if (axis < 0 || axis >= table.getRank()) { // gather_grad_1
    return emitOpError("axis is ") << axis << ", rank is " << table.getRank();
  }
  auto expected = table.clone(gatherShape(table.getShape(), typeOf(getIndices()).getShape(), axis));
  if (expected != getDy().getType()) { // gather_grad_2
    return emitOpError("dy is ") << getDy().getType() << ", a gather from " << table << " gives "
                                 << expected;
  }
  return success();
}

/// gather_elements_2, scatter_elements_4: what an index does not choose lies within data.
static LogicalResult checkIndexShape(StringRef name, std::optional<Location> loc,
                                     RankedTensorType data, RankedTensorType indices,
                                     int64_t axis) {
  for (int64_t i = 0; i < data.getRank(); ++i) {
    if (i != axis && indices.getDimSize(i) > data.getDimSize(i)) {
      return emitOptionalError(loc, "'", name, "' op dimension ", i, " of indices is ",
                               indices.getDimSize(i), ", of data ", data.getDimSize(i));
    }
  }
  return success();
}

LogicalResult GatherElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                 GatherElementsOp::Adaptor adaptor,
                                                 SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  int64_t axis = adaptor.getAxis();
  if (data.getRank() != indices.getRank() || axis < 0 ||
      axis >= data.getRank()) { // gather_elements_1
    return emitOptionalError(loc, "'dsc.gather_elements' op data is ", data, ", indices are ",
                             indices, ", axis is ", axis);
  }
  if (failed(checkIndexShape("dsc.gather_elements", loc, data, indices, axis))) {
    return failure();
  }
  types.push_back(data.clone(indices.getShape()));
  return success();
}

LogicalResult ScatterElementsOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                                  ScatterElementsOp::Adaptor adaptor,
                                                  SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  auto updates = cast<RankedTensorType>(adaptor.getUpdates().getType());
  int64_t axis = adaptor.getAxis();
  if (indices.getShape() != updates.getShape()) { // scatter_elements_1
    return emitOptionalError(loc, "'dsc.scatter_elements' op indices are ", indices,
                             ", updates are ", updates);
  }
  if (data.getRank() != indices.getRank() || axis < 0 ||
      axis >= data.getRank()) { // scatter_elements_2
    return emitOptionalError(loc, "'dsc.scatter_elements' op data is ", data, ", indices are ",
                             indices, ", axis is ", axis);
  }
  if (data.getElementType() != updates.getElementType()) { // scatter_elements_3
    return emitOptionalError(loc, "'dsc.scatter_elements' op element types differ: data ", data,
                             ", updates ", updates);
  }
  if (failed(checkIndexShape("dsc.scatter_elements", loc, data, indices, axis))) {
    return failure();
  }
  types.push_back(data);
  return success();
}

LogicalResult GatherNdOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                           GatherNdOp::Adaptor adaptor,
                                           SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  int64_t batch = adaptor.getBatchDims();
  if (indices.getRank() < 1 || batch < 0 || batch >= indices.getRank() || batch > data.getRank() ||
      indices.getShape().back() > data.getRank() - batch) { // gather_nd_1
    return emitOptionalError(loc, "'dsc.gather_nd' op index tuples of ", indices,
                             " do not fit data ", data, " with batch_dims ", batch);
  }
  if (data.getShape().take_front(batch) != indices.getShape().take_front(batch)) { // gather_nd_2
    return emitOptionalError(loc, "'dsc.gather_nd' op batch dimensions differ: ", data, " and ",
                             indices);
  }
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  ArrayRef<int64_t> rest = data.getShape().drop_front(batch + indices.getShape().back());
  shape.append(rest.begin(), rest.end());
  types.push_back(data.clone(shape));
  return success();
}

LogicalResult ScatterNdOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                            ScatterNdOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto data = cast<RankedTensorType>(adaptor.getData().getType());
  auto indices = cast<RankedTensorType>(adaptor.getIndices().getType());
  auto updates = cast<RankedTensorType>(adaptor.getUpdates().getType());
  if (indices.getRank() < 1 || indices.getShape().back() > data.getRank()) { // scatter_nd_1
    return emitOptionalError(loc, "'dsc.scatter_nd' op index tuples of ", indices,
                             " do not fit data ", data);
  }
  SmallVector<int64_t> shape(indices.getShape().drop_back());
  ArrayRef<int64_t> rest = data.getShape().drop_front(indices.getShape().back());
  shape.append(rest.begin(), rest.end());
  if (updates.getShape() != ArrayRef<int64_t>(shape)) { // scatter_nd_2
    return emitOptionalError(loc, "'dsc.scatter_nd' op updates are ", updates, ", indices ask for ",
                             data.clone(shape));
  }
  if (data.getElementType() != updates.getElementType()) { // scatter_nd_3
    return emitOptionalError(loc, "'dsc.scatter_nd' op element types differ: data ", data,
                             ", updates ", updates);
  }
  types.push_back(data);
  return success();
}
