// Elementwise: arithmetic, comparisons, logic, conversions. Activations are in
// ImportActivation.cpp.

#include "frontend/OpTable.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

//===----------------------------------------------------------------------===//
// One core op each
//===----------------------------------------------------------------------===//

/// An operator whose core op takes floats only.
template <typename OpTy> static LogicalResult importFloatUnary(NodeImport &n) {
  if (n.input(0) && !Emitter::isFloat(n.input(0))) {
    return n.refuse("operands of integers are not supported");
  }
  return n.result(n.e.unary<OpTy>(n.input(0)));
}

LogicalResult dsc::importAbs(NodeImport &n) { return n.result(n.e.unary<AbsOp>(n.input(0))); }
LogicalResult dsc::importNeg(NodeImport &n) { return n.result(n.e.unary<NegOp>(n.input(0))); }
LogicalResult dsc::importSign(NodeImport &n) { return n.result(n.e.unary<SignOp>(n.input(0))); }
LogicalResult dsc::importExp(NodeImport &n) { return importFloatUnary<ExpOp>(n); }
LogicalResult dsc::importLog(NodeImport &n) { return importFloatUnary<LogOp>(n); }
LogicalResult dsc::importSqrt(NodeImport &n) { return importFloatUnary<SqrtOp>(n); }
LogicalResult dsc::importReciprocal(NodeImport &n) { return importFloatUnary<ReciprocalOp>(n); }
LogicalResult dsc::importSin(NodeImport &n) { return importFloatUnary<SinOp>(n); }
LogicalResult dsc::importCos(NodeImport &n) { return importFloatUnary<CosOp>(n); }
LogicalResult dsc::importTan(NodeImport &n) { return importFloatUnary<TanOp>(n); }
LogicalResult dsc::importAsin(NodeImport &n) { return importFloatUnary<AsinOp>(n); }
LogicalResult dsc::importAcos(NodeImport &n) { return importFloatUnary<AcosOp>(n); }
LogicalResult dsc::importAtan(NodeImport &n) { return importFloatUnary<AtanOp>(n); }
LogicalResult dsc::importSinh(NodeImport &n) { return importFloatUnary<SinhOp>(n); }
LogicalResult dsc::importCosh(NodeImport &n) { return importFloatUnary<CoshOp>(n); }
LogicalResult dsc::importAsinh(NodeImport &n) { return importFloatUnary<AsinhOp>(n); }
LogicalResult dsc::importAcosh(NodeImport &n) { return importFloatUnary<AcoshOp>(n); }
LogicalResult dsc::importAtanh(NodeImport &n) { return importFloatUnary<AtanhOp>(n); }
LogicalResult dsc::importErf(NodeImport &n) { return importFloatUnary<ErfOp>(n); }
LogicalResult dsc::importFloor(NodeImport &n) { return importFloatUnary<FloorOp>(n); }
LogicalResult dsc::importCeil(NodeImport &n) { return importFloatUnary<CeilOp>(n); }
LogicalResult dsc::importRound(NodeImport &n) { return importFloatUnary<RoundOp>(n); }
LogicalResult dsc::importNot(NodeImport &n) { return n.result(n.e.unary<NotOp>(n.input(0))); }
LogicalResult dsc::importBitwiseNot(NodeImport &n) {
  return n.result(n.e.unary<NotOp>(n.input(0)));
}
LogicalResult dsc::importIsNaN(NodeImport &n) { return n.result(n.e.op<IsNanOp>({n.input(0)})); }

LogicalResult dsc::importIsInf(NodeImport &n) {
  return n.result(
      n.e.op<IsInfOp>({n.input(0)}, {n.e.flag("positive", n.intAttr("detect_positive", 1) != 0),
                                     n.e.flag("negative", n.intAttr("detect_negative", 1) != 0)}));
}

LogicalResult dsc::importAdd(NodeImport &n) { return n.result(n.e.add(n.input(0), n.input(1))); }
LogicalResult dsc::importSub(NodeImport &n) { return n.result(n.e.sub(n.input(0), n.input(1))); }
LogicalResult dsc::importMul(NodeImport &n) { return n.result(n.e.mul(n.input(0), n.input(1))); }
LogicalResult dsc::importDiv(NodeImport &n) { return n.result(n.e.div(n.input(0), n.input(1))); }

template <typename OpTy> static LogicalResult importBinary(NodeImport &n) {
  return n.result(n.e.binary<OpTy>(n.input(0), n.input(1)));
}
LogicalResult dsc::importAnd(NodeImport &n) { return importBinary<AndOp>(n); }
LogicalResult dsc::importOr(NodeImport &n) { return importBinary<OrOp>(n); }
LogicalResult dsc::importXor(NodeImport &n) { return importBinary<XorOp>(n); }
LogicalResult dsc::importBitwiseAnd(NodeImport &n) { return importBinary<AndOp>(n); }
LogicalResult dsc::importBitwiseOr(NodeImport &n) { return importBinary<OrOp>(n); }
LogicalResult dsc::importBitwiseXor(NodeImport &n) { return importBinary<XorOp>(n); }

LogicalResult dsc::importBitShift(NodeImport &n) {
  std::string direction = n.stringAttr("direction", "");
  if (direction == "LEFT") {
    return importBinary<ShiftLeftOp>(n);
  }
  if (direction == "RIGHT") {
    return importBinary<ShiftRightOp>(n);
  }
  return n.error() << "direction is '" << direction << "', not LEFT or RIGHT";
}

LogicalResult dsc::importMod(NodeImport &n) {
  return n.result(
      n.e.op<ModOp>({n.input(0), n.input(1)}, {n.e.flag("fmod", n.intAttr("fmod", 0) != 0)}));
}

//===----------------------------------------------------------------------===//
// Comparisons and choices
//===----------------------------------------------------------------------===//

static LogicalResult importCompare(NodeImport &n, ComparePredicate predicate) {
  return n.result(n.e.compare(predicate, n.input(0), n.input(1)));
}
LogicalResult dsc::importEqual(NodeImport &n) { return importCompare(n, ComparePredicate::eq); }
LogicalResult dsc::importLess(NodeImport &n) { return importCompare(n, ComparePredicate::lt); }
LogicalResult dsc::importLessOrEqual(NodeImport &n) {
  return importCompare(n, ComparePredicate::le);
}
LogicalResult dsc::importGreater(NodeImport &n) { return importCompare(n, ComparePredicate::gt); }
LogicalResult dsc::importGreaterOrEqual(NodeImport &n) {
  return importCompare(n, ComparePredicate::ge);
}

LogicalResult dsc::importWhere(NodeImport &n) {
  Value condition = n.input(0), x = n.input(1), y = n.input(2);
  // A condition that is the same everywhere chooses a whole operand; common in masks that shapes
  // decide.
  DenseElementsAttr known = Emitter::constantOf(condition);
  Value whole = n.e.select(condition, x, y);
  if (whole && known && known.isSplat()) {
    Value chosen = known.getSplatValue<bool>() ? x : y;
    if (chosen.getType() == whole.getType()) {
      return n.result(chosen);
    }
  }
  return n.result(whole);
}

/// Folds the operands of a variadic operator from left to right.
template <typename OpTy> static LogicalResult importVariadic(NodeImport &n) {
  Value result = n.input(0);
  for (unsigned i = 1; i < n.numInputs(); ++i) {
    result = n.e.binary<OpTy>(result, n.input(i));
  }
  return n.result(result);
}
LogicalResult dsc::importMax(NodeImport &n) { return importVariadic<MaxOp>(n); }
LogicalResult dsc::importMin(NodeImport &n) { return importVariadic<MinOp>(n); }
LogicalResult dsc::importSum(NodeImport &n) { return importVariadic<AddOp>(n); }

LogicalResult dsc::importMean(NodeImport &n) {
  Value sum = n.input(0);
  for (unsigned i = 1; i < n.numInputs(); ++i) {
    sum = n.e.add(sum, n.input(i));
  }
  return n.result(n.e.div(sum, n.e.like(sum, n.numInputs())));
}

LogicalResult dsc::importClip(NodeImport &n) {
  Value result = n.input(0);
  if (Value low = n.input(1)) {
    result = n.e.binary<MaxOp>(result, n.e.reshape(low, {}));
  }
  if (Value high = n.input(2)) {
    result = n.e.binary<MinOp>(result, n.e.reshape(high, {}));
  }
  return n.result(result);
}

//===----------------------------------------------------------------------===//
// Powers and conversions
//===----------------------------------------------------------------------===//

/// x to the power y in x's type. Small whole powers are products: exact, and their gradients need
/// no logarithm.
LogicalResult dsc::importPow(NodeImport &n) {
  Value x = n.input(0), y = n.input(1);
  if (!x || !y) {
    return n.error() << "an operand is missing";
  }
  Type element = Emitter::elementOf(x);
  std::optional<SmallVector<double>> exponent;
  if (Emitter::typeOf(y).getNumElements() == 1 &&
      Emitter::shapeOf(y).size() <= Emitter::shapeOf(x).size()) {
    exponent = Emitter::numbersOf(y);
  }
  if (exponent && exponent->front() == 1) {
    return n.result(x);
  }
  if (exponent && (exponent->front() == 2 || exponent->front() == 3)) {
    Value square = n.e.mul(x, x);
    return n.result(exponent->front() == 2 ? square : n.e.mul(square, x));
  }
  if (Emitter::elementOf(y) == element) {
    return n.result(n.e.binary<PowOp>(x, y));
  }
  if (isa<FloatType>(element)) {
    return n.result(n.e.binary<PowOp>(x, n.e.convert(y, element)));
  }
  // An integer to the power of another type: computed in floats, truncated at the end, as ONNX
  // defines.
  Type wide = n.e.builder.getF64Type();
  return n.result(
      n.e.convert(n.e.binary<PowOp>(n.e.convert(x, wide), n.e.convert(y, wide)), element));
}

LogicalResult dsc::importCast(NodeImport &n) {
  auto to = static_cast<onnx_model::DataType>(n.intAttr("to", 0));
  Type element = elementType(n.e.builder.getContext(), to);
  if (!element) {
    return n.refuse("a conversion to " + onnx_model::nameOf(to));
  }
  return n.result(n.e.convert(n.input(0), element));
}

/// Booleans are bytes of 0 and 1: to and from 8 bits their bits are their value.
LogicalResult dsc::importBitCast(NodeImport &n) {
  auto to = static_cast<onnx_model::DataType>(n.intAttr("to", 0));
  Type from = Emitter::elementOf(n.input(0)), element = elementType(n.e.builder.getContext(), to);
  if (!element) {
    return n.refuse("a conversion to " + onnx_model::nameOf(to));
  }
  auto bytes = [](Type type) { return llvm::divideCeil(type.getIntOrFloatBitWidth(), 8); };
  if (bytes(from) != bytes(element)) {
    return n.error() << "reads elements of " << bytes(from) << " bytes as "
                     << onnx_model::nameOf(to) << ", which has " << bytes(element);
  }
  if (from.isInteger(1) || element.isInteger(1)) {
    return n.result(n.e.convert(n.input(0), element));
  }
  return n.result(
      n.e.op<BitcastOp>({n.input(0)}, {}, {Emitter::typeOf(n.input(0)).clone(element)}));
}

/// Depends on the second operand's type only, so it folds where that is a run-time value.
LogicalResult dsc::importCastLike(NodeImport &n) {
  if (!n.input(1)) {
    return n.error() << "the operand that gives the type is missing";
  }
  return n.result(n.e.convert(n.input(0), Emitter::elementOf(n.input(1))));
}
