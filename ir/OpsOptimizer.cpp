// Type rules and verifiers of optimizer and random ops.

#include "ir/Dialect.h"

#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

LogicalResult ChunkSquaresOp::inferReturnTypes(MLIRContext *context, std::optional<Location>,
                                               ChunkSquaresOp::Adaptor adaptor,
                                               SmallVectorImpl<Type> &types) {
  RankedTensorType x = typeOf(adaptor.getX());
  types.push_back(
      RankedTensorType::get({dsc_chunks(x.getNumElements())}, statisticsType(x.getElementType())));
  return success();
}

/// The rules of adam and sgd: 1. one type of state and results, 2. the copy has that shape in a
/// narrower type, 3. grad has its shape, 4. the operands behind `state` are scalars, 5. the type is
/// of f32 or f64.
static LogicalResult checkUpdate(Operation *op, Value param, Value grad, ValueRange state,
                                 Value copy) {
  for (Value value : state) {
    if (value.getType() != param.getType()) {
      return op->emitOpError("state is ")
             << value.getType() << ", parameter is " << param.getType();
    }
  }
  for (Value value : op->getResults()) {
    if (value != copy && value.getType() != param.getType()) {
      return op->emitOpError("result is ")
             << value.getType() << ", parameter is " << param.getType();
    }
  }
  if (Type element = typeOf(param).getElementType(); !element.isF32() && !element.isF64()) {
    return op->emitOpError("updates ") << param.getType() << ", expected f32 or f64";
  }
  if (copy && (typeOf(copy).getShape() != typeOf(param).getShape() ||
               elementBytes(typeOf(copy).getElementType()) >=
                   elementBytes(typeOf(param).getElementType()))) {
    return op->emitOpError("copy is ") << copy.getType() << ", parameter is " << param.getType();
  }
  if (typeOf(grad).getShape() != typeOf(param).getShape()) {
    return op->emitOpError("gradient is ")
           << grad.getType() << ", parameter is " << param.getType();
  }
  for (Value value : op->getOperands().drop_front(2 + state.size())) {
    if (typeOf(value).getRank() != 0) {
      return op->emitOpError("takes scalars, not ") << value.getType();
    }
  }
  return success();
}

LogicalResult AdamOp::verify() {
  return checkUpdate(*this, getParam(), getGrad(), {getM(), getV()}, getCopy());
}

LogicalResult SgdOp::verify() {
  return checkUpdate(*this, getParam(), getGrad(), {getBuffer()}, getCopy());
}

LogicalResult RandomOp::verify() {
  for (Value value : getOperands()) {
    if (typeOf(value).getRank() != 0 || !typeOf(value).getElementType().isInteger(64)) { // random_1
      return emitOpError("seed, step and sample_base are i64 scalars, not ") << value.getType();
    }
  }
  return success();
}
