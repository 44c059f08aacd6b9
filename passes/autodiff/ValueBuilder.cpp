// Ops with inferred types, and the inverse of broadcasting.

#include "passes/autodiff/ValueBuilder.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace dsc;

bool dsc::isSplat(Value value, double number) {
  DenseElementsAttr elements;
  if (!matchPattern(value, m_Constant(&elements)) || !elements.isSplat()) {
    return false;
  }
  if (isa<FloatType>(elements.getElementType())) {
    return elements.getSplatValue<APFloat>().convertToDouble() == number;
  }
  return elements.getSplatValue<APInt>().getSExtValue() == number;
}

Value ValueBuilder::splat(RankedTensorType type, double number) {
  Type element = type.getElementType();
  Attribute value;
  if (isa<FloatType>(element)) {
    value = builder.getFloatAttr(element, number);
  } else {
    value = builder.getIntegerAttr(element, static_cast<int64_t>(number));
  }
  return create<ConstantOp>(DenseElementsAttr::get(type, value));
}

Value ValueBuilder::scalar(double number, Value like) {
  return splat(RankedTensorType::get({}, tensorType(like).getElementType()), number);
}

Value ValueBuilder::add(Value x, Value y) { return create<AddOp>(x, y); }

Value ValueBuilder::sub(Value x, Value y) { return create<SubOp>(x, y); }

Value ValueBuilder::mul(Value x, Value y) {
  // Seeds and scales are often 1.
  if (isSplat(y, 1) && broadcastsTo(tensorType(y).getShape(), tensorType(x).getShape())) {
    return x;
  }
  if (isSplat(x, 1) && broadcastsTo(tensorType(x).getShape(), tensorType(y).getShape())) {
    return y;
  }
  return create<MulOp>(x, y);
}

Value ValueBuilder::div(Value x, Value y) {
  if (isSplat(y, 1) && broadcastsTo(tensorType(y).getShape(), tensorType(x).getShape())) {
    return x;
  }
  return create<DivOp>(x, y);
}

Value ValueBuilder::compare(ComparePredicate predicate, Value x, Value y) {
  return create<CompareOp>(x, y, predicate);
}

Value ValueBuilder::cast(Value x, Type element) {
  RankedTensorType type = tensorType(x);
  return type.getElementType() == element ? x : create<CastOp>(type.clone(element), x).getResult();
}

Value ValueBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  RankedTensorType type = tensorType(x);
  return type.getShape() == shape ? x : create<ReshapeOp>(type.clone(shape), x).getResult();
}

Value ValueBuilder::transpose(Value x, ArrayRef<int64_t> permutation) {
  bool identity = true;
  for (auto [i, dim] : llvm::enumerate(permutation)) {
    identity = identity && dim == static_cast<int64_t>(i);
  }
  return identity ? x : create<TransposeOp>(x, permutation).getResult();
}

Value ValueBuilder::broadcast(Value x, ArrayRef<int64_t> shape) {
  RankedTensorType type = tensorType(x);
  return type.getShape() == shape ? x : create<BroadcastOp>(type.clone(shape), x).getResult();
}

Value ValueBuilder::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> axes) {
  return axes.empty() ? x : create<ReduceOp>(x, kind, axes).getResult();
}

Value ValueBuilder::sum(Value x) {
  return reshape(
      reduce(ReduceKind::sum, x, llvm::to_vector(llvm::seq<int64_t>(0, tensorType(x).getRank()))),
      {});
}

Value ValueBuilder::sumToShape(Value x, RankedTensorType type) {
  ArrayRef<int64_t> from = tensorType(x).getShape(), to = type.getShape();
  int64_t extra = static_cast<int64_t>(from.size()) - static_cast<int64_t>(to.size());
  SmallVector<int64_t> axes;
  for (int64_t i = 0; i < static_cast<int64_t>(from.size()); ++i) {
    if (i < extra || (to[i - extra] == 1 && from[i] != 1)) {
      axes.push_back(i);
    }
  }
  x = reduce(ReduceKind::sum, x, axes);
  if (extra > 0) {
    x = reshape(x, tensorType(x).getShape().drop_front(extra));
  }
  return broadcast(cast(x, type.getElementType()), to);
}
