// Type rules and verifiers of optimizer and random ops.

#include "ir/Dialect.h"
#include "ir/Updates.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"

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

SmallVector<Value> dsc::numbersOf(Operation *update) {
  return llvm::TypeSwitch<Operation *, SmallVector<Value>>(update)
      .Case<AdamOp, SgdOp, LionOp, AdagradOp>(
          [](auto op) { return SmallVector<Value>{op.getLr(), op.getWeightDecay()}; })
      .Case([](LambOp op) { return SmallVector<Value>{op.getWeightDecay()}; })
      .Case([](LambStepOp op) { return SmallVector<Value>{op.getSize()}; });
}

/// Whether `number` is a scalar, or has one element a row of `param`: it repeats along the last
/// dimension.
static bool isScalarOrOneARow(Value number, Value param) {
  ArrayRef<int64_t> shape = typeOf(number).getShape(), whole = typeOf(param).getShape();
  return shape.empty() || (shape.size() == whole.size() && broadcastsTo(shape, whole) &&
                           shape.back() == 1 && whole.back() != 0);
}

/// The rules of updates: one type of state and results, the copy has that shape in a narrower type,
/// grad has its shape, the operands behind `state` are scalars but for numbersOf, the type is of
/// f32 or f64.
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
  SmallVector<Value> numbers = numbersOf(op);
  for (Value value : op->getOperands().drop_front(2 + state.size())) {
    bool isNumber = llvm::is_contained(numbers, value);
    if (isNumber ? !isScalarOrOneARow(value, param) : typeOf(value).getRank() != 0) {
      return op->emitOpError("takes scalars, not ")
             << value.getType() << "; only what depends on the parameter's group may have one "
             << "element a row";
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

LogicalResult LionOp::verify() {
  return checkUpdate(*this, getParam(), getGrad(), {getM()}, getCopy());
}

LogicalResult AdagradOp::verify() {
  return checkUpdate(*this, getParam(), getGrad(), {getSum()}, getCopy());
}

LogicalResult LambOp::verify() {
  return checkUpdate(*this, getParam(), getGrad(), {getM(), getV()}, {});
}

LogicalResult LambStepOp::verify() {
  return checkUpdate(*this, getParam(), getDirection(), {}, getCopy());
}

LogicalResult RandomOp::verify() {
  for (Value value : getOperands()) {
    if (typeOf(value).getRank() != 0 || !typeOf(value).getElementType().isInteger(64)) { // random_1
      return emitOpError("seed, step and sample_base are i64 scalars, not ") << value.getType();
    }
  }
  return success();
}
