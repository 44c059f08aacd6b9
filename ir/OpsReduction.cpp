// Type rules of reductions.

#include "ir/Dialect.h"

using namespace mlir;
using namespace dsc;

LogicalResult ReduceOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                         ReduceOp::Adaptor adaptor, SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  SmallVector<int64_t> shape(type.getShape());
  int64_t previous = -1;
  for (int64_t axis : adaptor.getAxes()) {
    if (axis <= previous || axis >= type.getRank()) { // reduce_1
      return emitOptionalError(loc, "'dsc.reduce' op axes must increase within the rank: axis ",
                               axis, " after ", previous, ", rank is ", type.getRank());
    }
    ReduceKind kind = adaptor.getKind();
    if (shape[axis] == 0 && (kind == ReduceKind::max || kind == ReduceKind::min)) { // reduce_2
      return emitOptionalError(
          loc, "'dsc.reduce' op has no neutral element for the empty dimension ", axis);
    }
    shape[axis] = 1;
    previous = axis;
  }
  types.push_back(type.clone(shape));
  return success();
}

LogicalResult ArgReduceOp::inferReturnTypes(MLIRContext *context, std::optional<Location> loc,
                                            ArgReduceOp::Adaptor adaptor,
                                            SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= type.getRank()) { // arg_reduce_1
    return emitOptionalError(loc, "'dsc.arg_reduce' op axis is ", axis, ", rank is ",
                             type.getRank());
  }
  ReduceKind kind = adaptor.getKind();
  if (kind != ReduceKind::max && kind != ReduceKind::min) { // arg_reduce_2
    return emitOptionalError(loc, "'dsc.arg_reduce' op kind is ", stringifyReduceKind(kind),
                             ", only max and min have an index");
  }
  if (type.getDimSize(axis) == 0) { // arg_reduce_3
    return emitOptionalError(loc, "'dsc.arg_reduce' op finds no element in the empty dimension ",
                             axis);
  }
  SmallVector<int64_t> shape(type.getShape());
  shape[axis] = 1;
  types.push_back(RankedTensorType::get(shape, IntegerType::get(context, 64)));
  return success();
}

LogicalResult CumulativeOp::inferReturnTypes(MLIRContext *, std::optional<Location> loc,
                                             CumulativeOp::Adaptor adaptor,
                                             SmallVectorImpl<Type> &types) {
  auto type = cast<RankedTensorType>(adaptor.getX().getType());
  int64_t axis = adaptor.getAxis();
  if (axis < 0 || axis >= type.getRank()) { // cumulative_1
    return emitOptionalError(loc, "'dsc.cumulative' op axis is ", axis, ", rank is ",
                             type.getRank());
  }
  ReduceKind kind = adaptor.getKind();
  if (kind != ReduceKind::sum && kind != ReduceKind::prod) { // cumulative_2
    return emitOptionalError(loc, "'dsc.cumulative' op kind is ", stringifyReduceKind(kind),
                             ", expected sum or prod");
  }
  types.push_back(type);
  return success();
}
