// Constants, globals, and the ops that importers make most.

#include "frontend/Emitter.h"

#include "ir/Evaluate.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace dsc;

Emitter::Emitter(Block *block, FoldMemo *memo)
    : loc(UnknownLoc::get(block->getParentOp()->getContext())), builder(loc.getContext()),
      block(block), memo(memo) {
  builder.setInsertionPointToEnd(block);
}

void Emitter::insertPrologue(Operation *op) {
  if (lastPrologue) {
    block->getOperations().insertAfter(lastPrologue->getIterator(), op);
  } else {
    block->push_front(op);
  }
  lastPrologue = op;
}

//===----------------------------------------------------------------------===//
// Constants and globals
//===----------------------------------------------------------------------===//

Value Emitter::constant(DenseElementsAttr value) {
  Value &known = constants[value];
  if (!known) {
    OperationState state(UnknownLoc::get(loc.getContext()), ConstantOp::getOperationName());
    ConstantOp::build(builder, state, value.getType(), value);
    Operation *op = Operation::create(state);
    insertPrologue(op);
    known = op->getResult(0);
  }
  return known;
}

Value Emitter::splat(Type element, ArrayRef<int64_t> shape, double value) {
  auto type = RankedTensorType::get(shape, element);
  if (auto floatType = dyn_cast<FloatType>(element)) {
    return constant(DenseElementsAttr::get(type, FloatAttr::get(floatType, value).getValue()));
  }
  auto width = element.getIntOrFloatBitWidth();
  return constant(DenseElementsAttr::get(
      type, APInt(64, static_cast<uint64_t>(static_cast<int64_t>(value))).trunc(width)));
}

Value Emitter::floatTensor(Type element, ArrayRef<double> values, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, element);
  if (element.isF64()) {
    return constant(DenseElementsAttr::get(type, values));
  }
  if (element.isF32()) {
    return constant(DenseElementsAttr::get(
        type, ArrayRef<float>(SmallVector<float>(values.begin(), values.end()))));
  }
  SmallVector<APFloat> rounded;
  rounded.reserve(values.size());
  for (double value : values) {
    bool lost;
    rounded.emplace_back(value);
    rounded.back().convert(cast<FloatType>(element).getFloatSemantics(),
                           APFloat::rmNearestTiesToEven, &lost);
  }
  return constant(DenseElementsAttr::get(type, rounded));
}

Value Emitter::intTensor(ArrayRef<int64_t> values, ArrayRef<int64_t> shape) {
  return constant(
      DenseElementsAttr::get(RankedTensorType::get(shape, builder.getI64Type()), values));
}

DenseElementsAttr Emitter::constantOf(Value value) {
  DenseElementsAttr elements;
  if (value) {
    matchPattern(value, m_Constant(&elements));
  }
  return elements;
}

DenseElementsAttr Emitter::knownElements(Value value) {
  std::optional<KnownValue> known = value ? knownValue(value) : std::nullopt;
  if (!known || (!known->elements.isSplat() && known->type.getNumElements() > kMaxFoldedElements)) {
    return constantOf(value);
  }
  return writeOut(known->elements, known->shape());
}

std::optional<SmallVector<int64_t>> Emitter::intsOf(Value value) {
  DenseElementsAttr elements = knownElements(value);
  if (!elements || !isa<IntegerType>(elements.getElementType())) {
    return std::nullopt;
  }
  bool isSigned =
      !elements.getElementType().isUnsignedInteger() && !elements.getElementType().isInteger(1);
  SmallVector<int64_t> result;
  result.reserve(elements.getNumElements());
  for (const APInt &element : elements.getValues<APInt>()) {
    result.push_back(isSigned ? element.getSExtValue()
                              : static_cast<int64_t>(element.getZExtValue()));
  }
  return result;
}

std::optional<SmallVector<double>> Emitter::numbersOf(Value value) {
  DenseElementsAttr elements = knownElements(value);
  if (!elements) {
    return std::nullopt;
  }
  SmallVector<double> result;
  if (isa<FloatType>(elements.getElementType())) {
    for (APFloat element : elements.getValues<APFloat>()) {
      bool lost;
      element.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
      result.push_back(element.convertToDouble());
    }
    return result;
  }
  std::optional<SmallVector<int64_t>> integers = intsOf(value);
  if (!integers) {
    return std::nullopt; // neither floats nor integers
  }
  for (int64_t element : *integers) {
    result.push_back(static_cast<double>(element));
  }
  return result;
}

Value Emitter::getGlobal(StringRef name, RankedTensorType type) {
  Value &known = globals[name];
  if (!known) {
    OperationState state(NameLoc::get(builder.getStringAttr(name)),
                         GetGlobalOp::getOperationName());
    GetGlobalOp::build(builder, state, type, FlatSymbolRefAttr::get(builder.getContext(), name));
    Operation *op = Operation::create(state);
    insertPrologue(op);
    known = op->getResult(0);
  }
  return known;
}

//===----------------------------------------------------------------------===//
// Elementwise and shape
//===----------------------------------------------------------------------===//

Value Emitter::convert(Value x, Type element) {
  if (!x || elementOf(x) == element) {
    return x;
  }
  return op<CastOp>({x}, {}, {typeOf(x).clone(element)});
}

Value Emitter::compare(ComparePredicate predicate, Value lhs, Value rhs) {
  return op<CompareOp>(
      {lhs, rhs}, {attr("predicate", ComparePredicateAttr::get(builder.getContext(), predicate))});
}

Value Emitter::reshape(Value x, ArrayRef<int64_t> shape) {
  if (!x || shapeOf(x) == shape) {
    return x;
  }
  return op<ReshapeOp>({x}, {}, {typeOf(x).clone(shape)});
}

Value Emitter::broadcast(Value x, ArrayRef<int64_t> shape) {
  if (!x || shapeOf(x) == shape) {
    return x;
  }
  return op<BroadcastOp>({x}, {}, {typeOf(x).clone(shape)});
}

Value Emitter::transpose(Value x, ArrayRef<int64_t> permutation) {
  if (!x || llvm::equal(permutation, llvm::seq<int64_t>(0, permutation.size()))) {
    return x;
  }
  return op<TransposeOp>({x}, {ints("permutation", permutation)});
}

Value Emitter::slice(Value x, ArrayRef<int64_t> starts, ArrayRef<int64_t> sizes,
                     ArrayRef<int64_t> steps) {
  SmallVector<int64_t> ones(starts.size(), 1);
  if (steps.empty()) {
    steps = ones;
  }
  if (!x || (sizes == shapeOf(x) && llvm::all_of(steps, [](int64_t step) { return step == 1; }))) {
    return x;
  }
  return op<SliceOp>({x}, {ints("starts", starts), ints("sizes", sizes), ints("steps", steps)});
}

Value Emitter::sliceAxis(Value x, int64_t axis, int64_t start, int64_t size, int64_t step) {
  if (!x) {
    return x;
  }
  SmallVector<int64_t> starts(shapeOf(x).size(), 0), sizes(shapeOf(x)), steps(shapeOf(x).size(), 1);
  starts[axis] = start;
  sizes[axis] = size;
  steps[axis] = step;
  return slice(x, starts, sizes, steps);
}

Value Emitter::pad(Value x, ArrayRef<int64_t> low, ArrayRef<int64_t> high, double value,
                   ArrayRef<int64_t> interior) {
  SmallVector<int64_t> none(low.size(), 0);
  if (interior.empty()) {
    interior = none;
  }
  auto isZero = [](int64_t count) { return count == 0; };
  if (!x ||
      (llvm::all_of(low, isZero) && llvm::all_of(high, isZero) && llvm::all_of(interior, isZero))) {
    return x;
  }
  return op<PadOp>(
      {x}, {ints("low", low), ints("high", high), ints("interior", interior), f64("value", value)});
}

Value Emitter::concat(ValueRange operands, int64_t axis) {
  if (operands.size() == 1) {
    return operands.front();
  }
  return op<ConcatOp>(operands, {i64("axis", axis)});
}

Value Emitter::gather(Value data, Value indices, int64_t axis) {
  return op<GatherOp>({data, indices}, {i64("axis", axis)});
}

//===----------------------------------------------------------------------===//
// Reductions and contractions
//===----------------------------------------------------------------------===//

Value Emitter::reduce(ReduceKind kind, Value x, ArrayRef<int64_t> axes, bool keepDims) {
  if (!x) {
    return x;
  }
  SmallVector<int64_t> sorted(axes);
  llvm::sort(sorted);
  Value result = x;
  if (!sorted.empty()) {
    result = op<ReduceOp>(
        {x}, {attr("kind", ReduceKindAttr::get(builder.getContext(), kind)), ints("axes", sorted)});
  }
  if (!result || keepDims) {
    return result;
  }
  SmallVector<int64_t> shape;
  for (auto [i, dim] : llvm::enumerate(shapeOf(x))) {
    if (!llvm::is_contained(sorted, static_cast<int64_t>(i))) {
      shape.push_back(dim);
    }
  }
  return reshape(result, shape);
}

Value Emitter::mean(Value x, ArrayRef<int64_t> axes, bool keepDims) {
  if (!x) {
    return x;
  }
  int64_t count = 1;
  for (int64_t axis : axes) {
    count *= shapeOf(x)[axis];
  }
  Value sum = reduce(ReduceKind::sum, x, axes, keepDims);
  return isFloat(x) ? mulScalar(sum, 1.0 / static_cast<double>(count))
                    : div(sum, like(x, static_cast<double>(count)));
}

Value Emitter::matmul(Value a, Value b, bool transposeA, bool transposeB) {
  return op<MatmulOp>({a, b}, {flag("transpose_a", transposeA), flag("transpose_b", transposeB),
                               segments({1, 1, 0, 0})});
}
