// Constants, loops and half types of kernel bodies.

#include "codegen/VectorBuilder.h"

using namespace mlir;
using namespace dsc;

Type dsc::storageType(Type element) {
  if (auto integer = dyn_cast<IntegerType>(element)) {
    return IntegerType::get(element.getContext(), std::max(8u, integer.getWidth()));
  }
  return element;
}

Type dsc::computeType(Type element) {
  if (element.isF16() || element.isBF16()) {
    return Float32Type::get(element.getContext());
  }
  if (auto integer = dyn_cast<IntegerType>(element)) {
    return IntegerType::get(element.getContext(), integer.getWidth());
  }
  return element;
}

bool dsc::isUnsignedElement(Type element) {
  return element.isUnsignedInteger() || element.isInteger(1);
}

VectorBuilder::VectorBuilder(Location loc, FunctionOpInterface function, int64_t lanes)
    : ImplicitLocOpBuilder(loc, function.getContext()), function_(function), lanes_(lanes) {
  setInsertionPointToStart(&function.getFunctionBody().front());
}

VectorType VectorBuilder::vectorOf(Type element) const {
  return VectorType::get({lanes_}, element);
}

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value VectorBuilder::constantAttr(TypedAttr attr) {
  Value &value = constants_[attr];
  if (!value) {
    value = createAtEntry<arith::ConstantOp>(attr);
  }
  return value;
}

Value VectorBuilder::index(int64_t value) { return constantAttr(getIndexAttr(value)); }

Value VectorBuilder::constant(Type type, double value) {
  Type element = getElementTypeOrSelf(type);
  if (!isa<FloatType>(element)) {
    return constantInt(type, static_cast<int64_t>(value));
  }
  TypedAttr attr = getFloatAttr(element, value);
  if (auto vector = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return constantAttr(attr);
}

Value VectorBuilder::constantInt(Type type, int64_t value) {
  Type element = getElementTypeOrSelf(type);
  // i1 constants are written through APInt: 1 does not fit a signed bit.
  TypedAttr attr = element.isIndex()
                       ? getIndexAttr(value)
                       : IntegerAttr::get(element, APInt(element.getIntOrFloatBitWidth(),
                                                         static_cast<uint64_t>(value), true));
  if (auto vector = dyn_cast<VectorType>(type)) {
    attr = DenseElementsAttr::get(vector, attr);
  }
  return constantAttr(attr);
}

Value VectorBuilder::lanes(VectorType type) {
  unsigned width = type.getElementTypeBitWidth();
  SmallVector<APInt> values;
  for (int64_t lane = 0; lane < type.getNumElements(); ++lane) {
    values.push_back(APInt(width, static_cast<uint64_t>(lane)));
  }
  return constantAttr(cast<TypedAttr>(Attribute(DenseElementsAttr::get(type, values))));
}

Value VectorBuilder::maskOf(int64_t count) {
  SmallVector<bool> lanes(lanes_, false);
  std::fill_n(lanes.begin(), count, true);
  return constantAttr(
      cast<TypedAttr>(Attribute(DenseElementsAttr::get(vectorOf(getI1Type()), lanes))));
}

Value VectorBuilder::maskBelow(Value count) {
  Value limit = splat(create<arith::IndexCastOp>(getI64Type(), count));
  return cmpi(arith::CmpIPredicate::slt, lanes(vectorOf(getI64Type())), limit);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

static bool isFloat(Value value) { return isa<FloatType>(getElementTypeOrSelf(value.getType())); }

Value VectorBuilder::add(Value a, Value b) {
  return isFloat(a) ? create<arith::AddFOp>(a, b).getResult()
                    : create<arith::AddIOp>(a, b).getResult();
}
Value VectorBuilder::sub(Value a, Value b) {
  return isFloat(a) ? create<arith::SubFOp>(a, b).getResult()
                    : create<arith::SubIOp>(a, b).getResult();
}
Value VectorBuilder::mul(Value a, Value b) {
  return isFloat(a) ? create<arith::MulFOp>(a, b).getResult()
                    : create<arith::MulIOp>(a, b).getResult();
}
Value VectorBuilder::div(Value a, Value b) {
  Value own = native(Native::divide, {a, b});
  return own ? own : create<arith::DivFOp>(a, b).getResult();
}
Value VectorBuilder::reciprocal(Value a) {
  Value own = native(Native::reciprocal, a);
  return own ? own : div(constant(a.getType(), 1.0), a);
}
Value VectorBuilder::fma(Value a, Value b, Value c) { return create<math::FmaOp>(a, b, c); }
Value VectorBuilder::neg(Value a) {
  return isFloat(a) ? create<arith::NegFOp>(a).getResult() : sub(constantInt(a.getType(), 0), a);
}
Value VectorBuilder::abs(Value a) {
  return isFloat(a) ? create<math::AbsFOp>(a).getResult() : create<math::AbsIOp>(a).getResult();
}
Value VectorBuilder::select(Value condition, Value a, Value b) {
  return create<arith::SelectOp>(condition, a, b);
}
Value VectorBuilder::cmpf(arith::CmpFPredicate predicate, Value a, Value b) {
  return create<arith::CmpFOp>(predicate, a, b);
}
Value VectorBuilder::cmpi(arith::CmpIPredicate predicate, Value a, Value b) {
  return create<arith::CmpIOp>(predicate, a, b);
}

Value VectorBuilder::polynomial(Value x, ArrayRef<double> coefficients) {
  Value sum = constant(x.getType(), coefficients.back());
  for (double coefficient : llvm::reverse(coefficients.drop_back())) {
    sum = fma(sum, x, constant(x.getType(), coefficient));
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// Index arithmetic and control flow
//===----------------------------------------------------------------------===//

static std::optional<int64_t> knownIndex(Value value) { return getConstantIntValue(value); }

Value VectorBuilder::addIndex(Value a, Value b) {
  std::optional<int64_t> x = knownIndex(a), y = knownIndex(b);
  if (x && y) {
    return index(*x + *y);
  }
  if (x == 0) {
    return b;
  }
  return y == 0 ? a : create<arith::AddIOp>(a, b).getResult();
}

Value VectorBuilder::mulIndex(Value a, int64_t b) {
  if (std::optional<int64_t> x = knownIndex(a)) {
    return index(*x * b);
  }
  if (b == 0) {
    return index(0);
  }
  return b == 1 ? a : create<arith::MulIOp>(a, index(b)).getResult();
}

Value VectorBuilder::divIndex(Value a, int64_t b) {
  return b == 1 ? a : create<arith::DivUIOp>(a, index(b)).getResult();
}

Value VectorBuilder::remIndex(Value a, int64_t b) {
  return b == 1 ? index(0) : create<arith::RemUIOp>(a, index(b)).getResult();
}

Value VectorBuilder::minIndex(Value a, Value b) { return create<arith::MinSIOp>(a, b); }

SmallVector<Value> VectorBuilder::delinearize(Value flat, ArrayRef<int64_t> dims) {
  SmallVector<Value> coordinates(dims.size());
  for (size_t i = dims.size(); i-- > 0;) {
    coordinates[i] = i == 0 ? flat : remIndex(flat, dims[i]);
    if (i > 0) {
      flat = divIndex(flat, dims[i]);
    }
  }
  return coordinates;
}

SmallVector<Value>
VectorBuilder::loop(Value lower, Value upper, int64_t step, ValueRange carried,
                    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  return loop(lower, upper, index(step), carried, body);
}

SmallVector<Value>
VectorBuilder::loop(Value lower, Value upper, Value step, ValueRange carried,
                    llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  auto loop = create<scf::ForOp>(lower, upper, step, carried);
  InsertionGuard guard(*this);
  Block *block = loop.getBody();
  if (!block->empty()) {
    block->getTerminator()->erase();
  }
  setInsertionPointToEnd(block);
  SmallVector<Value> next = body(loop.getInductionVar(), loop.getRegionIterArgs());
  create<scf::YieldOp>(next);
  return SmallVector<Value>(loop.getResults());
}

void VectorBuilder::loop(Value lower, Value upper, int64_t step,
                         llvm::function_ref<void(Value)> body) {
  loop(lower, upper, index(step), body);
}

void VectorBuilder::loop(Value lower, Value upper, Value step,
                         llvm::function_ref<void(Value)> body) {
  loop(lower, upper, step, ValueRange(), [&](Value i, ValueRange) {
    body(i);
    return SmallVector<Value>();
  });
}

void VectorBuilder::ifThen(Value condition, llvm::function_ref<void()> body) {
  auto op = create<scf::IfOp>(condition, /*withElseRegion=*/false);
  InsertionGuard guard(*this);
  setInsertionPoint(op.thenBlock()->getTerminator());
  body();
}

//===----------------------------------------------------------------------===//
// Vectors
//===----------------------------------------------------------------------===//

Value VectorBuilder::splat(Value value) {
  return create<vector::SplatOp>(vectorOf(value.getType()), value);
}

Value VectorBuilder::extractLane(Value vector, int64_t lane) {
  return create<vector::ExtractOp>(vector, ArrayRef<int64_t>{lane});
}

Type VectorBuilder::withElement(Type type, Type element) {
  auto vector = dyn_cast<VectorType>(type);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

Value VectorBuilder::fromStorage(Type element, Value value) {
  Type type = value.getType();
  if (element.isInteger(1)) {
    return cmpi(arith::CmpIPredicate::ne, value, constantInt(type, 0));
  }
  if (element.isF16() || element.isBF16()) {
    return create<arith::ExtFOp>(withElement(type, getF32Type()), value);
  }
  return value;
}

Value VectorBuilder::toStorage(Type element, Value value) {
  Type type = value.getType();
  if (element.isInteger(1)) {
    return create<arith::ExtUIOp>(withElement(type, getI8Type()), value);
  }
  if (element.isF16() || element.isBF16()) {
    return create<arith::TruncFOp>(withElement(type, element), value);
  }
  return value;
}

Value VectorBuilder::bitcast(Type from, Type to, Value value) {
  Value stored = toStorage(from, value);
  Type type = withElement(stored.getType(), storedType(to));
  return fromStorage(to,
                     stored.getType() == type ? stored : create<arith::BitcastOp>(type, stored));
}

Value VectorBuilder::roundTo(Type element, Value value) {
  if (!element.isF16() && !element.isBF16()) {
    return value;
  }
  return fromStorage(element, toStorage(element, value));
}
