// Elementwise ops as vector operations.

#include "codegen/EmitElementwise.h"

#include "codegen/EmitMath.h"
#include "codegen/EmitOptimizer.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

static Type elementOf(Value value) { return getElementTypeOrSelf(value.getType()); }

bool dsc::isElementwise(Operation *op) {
  return op->hasTrait<Elementwise>() || op->hasTrait<Update>() || isa<BroadcastOp>(op);
}

bool dsc::isExpensive(Operation *op) {
  return isa<ExpOp, Expm1Op, LogOp, Log1pOp, SinOp, CosOp, TanOp, AsinOp, AcosOp, AtanOp, SinhOp,
             CoshOp, AsinhOp, AcoshOp, AtanhOp, TanhOp, ErfOp, SigmoidOp, SoftplusOp, GeluOp,
             GeluGradOp, PowOp, DivOp, ModOp>(op);
}

//===----------------------------------------------------------------------===//
// Combinations and casts
//===----------------------------------------------------------------------===//

Value dsc::emitCombine(VectorBuilder &b, ReduceKind kind, Type element, Value x, Value y) {
  bool isFloat = isa<FloatType>(element), isBool = element.isInteger(1);
  switch (kind) {
  case ReduceKind::sum:
    return isBool ? b.create<arith::OrIOp>(x, y).getResult() : b.add(x, y);
  case ReduceKind::prod:
    return isBool ? b.create<arith::AndIOp>(x, y).getResult() : b.mul(x, y);
  case ReduceKind::max:
    return isFloat                      ? b.create<arith::MaximumFOp>(x, y).getResult()
           : isUnsignedElement(element) ? b.create<arith::MaxUIOp>(x, y).getResult()
                                        : b.create<arith::MaxSIOp>(x, y).getResult();
  case ReduceKind::min:
    return isFloat                      ? b.create<arith::MinimumFOp>(x, y).getResult()
           : isUnsignedElement(element) ? b.create<arith::MinUIOp>(x, y).getResult()
                                        : b.create<arith::MinSIOp>(x, y).getResult();
  }
  llvm_unreachable("all kinds handled");
}

Value dsc::neutralElement(VectorBuilder &b, ReduceKind kind, Type element, Type type) {
  if (kind == ReduceKind::sum || kind == ReduceKind::prod) {
    return b.constant(type, kind == ReduceKind::prod ? 1 : 0);
  }
  bool lowest = kind == ReduceKind::max;
  if (isa<FloatType>(element)) {
    double infinity = std::numeric_limits<double>::infinity();
    return b.constant(type, lowest ? -infinity : infinity);
  }
  unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  bool isUnsigned = isUnsignedElement(element);
  APInt value = lowest ? (isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width))
                       : (isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
  return b.constantInt(type, value.getSExtValue());
}

Value dsc::emitCast(VectorBuilder &b, Type from, Type to, Value value) {
  Type source = computeType(from), target = computeType(to);
  auto vector = dyn_cast<VectorType>(value.getType());
  Type type = vector ? Type(VectorType::get(vector.getShape(), target)) : target;
  if (to.isInteger(1)) {
    if (from.isInteger(1)) {
      return value;
    }
    return isa<FloatType>(source)
               ? b.cmpf(CmpFPredicate::UNE, value, 0.0)
               : b.cmpi(CmpIPredicate::ne, value, b.constantInt(value.getType(), 0));
  }
  if (isa<FloatType>(source) && isa<FloatType>(target)) {
    int64_t have = source.getIntOrFloatBitWidth(), want = target.getIntOrFloatBitWidth();
    if (have < want) {
      value = b.create<arith::ExtFOp>(type, value);
    } else if (have > want) {
      value = b.create<arith::TruncFOp>(type, value);
    }
    return b.roundTo(to, value);
  }
  if (isa<FloatType>(source)) {
    return to.isUnsignedInteger() ? b.create<arith::FPToUIOp>(type, value).getResult()
                                  : b.create<arith::FPToSIOp>(type, value).getResult();
  }
  if (isa<FloatType>(target)) {
    value = isUnsignedElement(from) ? b.create<arith::UIToFPOp>(type, value).getResult()
                                    : b.create<arith::SIToFPOp>(type, value).getResult();
    return b.roundTo(to, value);
  }
  int64_t have = source.getIntOrFloatBitWidth(), want = target.getIntOrFloatBitWidth();
  if (have > want) {
    return b.create<arith::TruncIOp>(type, value);
  }
  if (have == want) {
    return value;
  }
  return isUnsignedElement(from) ? b.create<arith::ExtUIOp>(type, value).getResult()
                                 : b.create<arith::ExtSIOp>(type, value).getResult();
}

//===----------------------------------------------------------------------===//
// Ops that take more than one operation
//===----------------------------------------------------------------------===//

static Value emitCompare(VectorBuilder &b, ComparePredicate predicate, Type element, Value x,
                         Value y) {
  if (isa<FloatType>(element)) {
    static constexpr CmpFPredicate table[] = {CmpFPredicate::OEQ, CmpFPredicate::UNE,
                                              CmpFPredicate::OLT, CmpFPredicate::OLE,
                                              CmpFPredicate::OGT, CmpFPredicate::OGE};
    return b.cmpf(table[static_cast<int>(predicate)], x, y);
  }
  static constexpr CmpIPredicate whenSigned[] = {CmpIPredicate::eq,  CmpIPredicate::ne,
                                                 CmpIPredicate::slt, CmpIPredicate::sle,
                                                 CmpIPredicate::sgt, CmpIPredicate::sge};
  static constexpr CmpIPredicate whenUnsigned[] = {CmpIPredicate::eq,  CmpIPredicate::ne,
                                                   CmpIPredicate::ult, CmpIPredicate::ule,
                                                   CmpIPredicate::ugt, CmpIPredicate::uge};
  return b.cmpi(
      (isUnsignedElement(element) ? whenUnsigned : whenSigned)[static_cast<int>(predicate)], x, y);
}

/// A divisor with which integer division cannot trap: 0, and -1 under the smallest number,
/// become 1.
static Value safeDivisor(VectorBuilder &b, Type element, Value x, Value y) {
  Type type = y.getType();
  Value one = b.constantInt(type, 1);
  y = b.select(b.cmpi(CmpIPredicate::eq, y, b.constantInt(type, 0)), one, y);
  if (isUnsignedElement(element)) {
    return y;
  }
  unsigned width = getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  Value lowest = b.constantInt(type, APInt::getSignedMinValue(width).getSExtValue());
  Value overflows = b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::eq, x, lowest),
                                            b.cmpi(CmpIPredicate::eq, y, b.constantInt(type, -1)));
  return b.select(overflows, one, y);
}

static Value emitDiv(VectorBuilder &b, Type element, Value x, Value y) {
  if (isa<FloatType>(element)) {
    return b.div(x, y);
  }
  Value divisor = safeDivisor(b, element, x, y);
  return isUnsignedElement(element) ? b.create<arith::DivUIOp>(x, divisor).getResult()
                                    : b.create<arith::DivSIOp>(x, divisor).getResult();
}

static Value emitMod(VectorBuilder &b, Type element, bool fmod, Value x, Value y) {
  Type type = x.getType();
  Value zero = b.constant(type, 0), remainder, differs, nonZero;
  if (isa<FloatType>(element)) {
    remainder = b.native(Native::remainder, {x, y});
    remainder = remainder ? remainder : b.create<arith::RemFOp>(x, y).getResult();
    if (fmod) {
      return remainder;
    }
    nonZero = b.cmpf(CmpFPredicate::UNE, remainder, zero);
    differs = b.create<arith::XOrIOp>(b.cmpf(CmpFPredicate::OLT, remainder, zero),
                                      b.cmpf(CmpFPredicate::OLT, y, zero));
  } else {
    Value divisor = safeDivisor(b, element, x, y);
    if (isUnsignedElement(element)) {
      return b.create<arith::RemUIOp>(x, divisor);
    }
    remainder = b.create<arith::RemSIOp>(x, divisor);
    if (fmod) {
      return remainder;
    }
    nonZero = b.cmpi(CmpIPredicate::ne, remainder, zero);
    differs = b.create<arith::XOrIOp>(b.cmpi(CmpIPredicate::slt, remainder, zero),
                                      b.cmpi(CmpIPredicate::slt, y, zero));
  }
  return b.select(b.create<arith::AndIOp>(nonZero, differs), b.add(remainder, y), remainder);
}

static Value emitIntegerPow(VectorBuilder &b, Type element, Value x, Value y) {
  // Through f64, exact while the result has at most 53 bits.
  Type wide = b.getF64Type();
  Value power = b.libm("pow", {emitCast(b, element, wide, x), emitCast(b, element, wide, y)});
  return emitCast(b, wide, element, power);
}

static Value emitShift(VectorBuilder &b, Type element, bool left, Value x, Value y) {
  // Shifts by the width or more give 0 (all signs, for signed right shifts) as repeated shifting
  // would.
  unsigned width = getElementTypeOrSelf(x.getType()).getIntOrFloatBitWidth();
  Value last = b.constantInt(y.getType(), width - 1);
  Value inside = b.cmpi(CmpIPredicate::ule, y, last), amount = b.select(inside, y, last);
  if (!left && !isUnsignedElement(element)) {
    return b.create<arith::ShRSIOp>(x, amount);
  }
  Value shifted = left ? b.create<arith::ShLIOp>(x, amount).getResult()
                       : b.create<arith::ShRUIOp>(x, amount).getResult();
  return b.select(inside, shifted, b.constantInt(x.getType(), 0));
}

static Value emitSign(VectorBuilder &b, Type element, Value x) {
  Type type = x.getType();
  Value zero = b.constant(type, 0), one = b.constant(type, 1);
  if (isa<FloatType>(element)) {
    Value negative = b.select(b.cmpf(CmpFPredicate::OLT, x, zero), b.constant(type, -1), x);
    return b.select(b.cmpf(CmpFPredicate::OGT, x, zero), one, negative);
  }
  if (isUnsignedElement(element)) {
    return b.select(b.cmpi(CmpIPredicate::eq, x, zero), zero, one);
  }
  Value negative = b.select(b.cmpi(CmpIPredicate::slt, x, zero), b.constantInt(type, -1), zero);
  return b.select(b.cmpi(CmpIPredicate::sgt, x, zero), one, negative);
}

static Value emitIsInf(VectorBuilder &b, IsInfOp op, Value x) {
  double infinity = std::numeric_limits<double>::infinity();
  Value result = b.constantInt(b.vectorOf(b.getI1Type()), 0);
  if (!isa<FloatType>(elementOf(op.getX()))) {
    return result;
  }
  if (op.getPositive()) {
    result = b.create<arith::OrIOp>(result, b.cmpf(CmpFPredicate::OEQ, x, infinity));
  }
  if (op.getNegative()) {
    result = b.create<arith::OrIOp>(result, b.cmpf(CmpFPredicate::OEQ, x, -infinity));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// The table
//===----------------------------------------------------------------------===//

SmallVector<Value> dsc::emitInvariants(VectorBuilder &b, Operation *op, ValueRange operands) {
  if (op->hasTrait<Update>()) {
    return emitOptimizerInvariants(b, op, operands);
  }
  return {};
}

static Value emitOne(VectorBuilder &b, Operation *op, ValueRange v) {
  Type element = elementOf(op->getOperand(0));
  bool isFloat = isa<FloatType>(element);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](NegOp) { return b.neg(v[0]); })
      .Case([&](AbsOp) { return isUnsignedElement(element) ? v[0] : b.abs(v[0]); })
      .Case([&](SignOp) { return emitSign(b, element, v[0]); })
      .Case([&](ExpOp) { return emitExp(b, v[0]); })
      .Case([&](Expm1Op) { return emitExpm1(b, v[0]); })
      .Case([&](LogOp) { return emitLog(b, v[0]); })
      .Case([&](Log1pOp) { return emitLog1p(b, v[0]); })
      .Case([&](SqrtOp) { return b.create<math::SqrtOp>(v[0]); })
      .Case([&](RsqrtOp) { return emitRsqrt(b, v[0]); })
      .Case([&](ReciprocalOp) { return b.div(b.constant(v[0].getType(), 1.0), v[0]); })
      .Case([&](SinOp) { return emitSin(b, v[0]); })
      .Case([&](CosOp) { return emitCos(b, v[0]); })
      .Case([&](TanOp) { return emitTan(b, v[0]); })
      .Case([&](AsinOp) { return b.libm("asin", v[0]); })
      .Case([&](AcosOp) { return b.libm("acos", v[0]); })
      .Case([&](AtanOp) { return b.libm("atan", v[0]); })
      .Case([&](SinhOp) { return b.libm("sinh", v[0]); })
      .Case([&](CoshOp) { return b.libm("cosh", v[0]); })
      .Case([&](AsinhOp) { return b.libm("asinh", v[0]); })
      .Case([&](AcoshOp) { return b.libm("acosh", v[0]); })
      .Case([&](AtanhOp) { return b.libm("atanh", v[0]); })
      .Case([&](TanhOp) { return emitTanh(b, v[0]); })
      .Case([&](ErfOp) { return emitErf(b, v[0]); })
      .Case([&](SigmoidOp) { return emitSigmoid(b, v[0]); })
      .Case([&](SoftplusOp) { return emitSoftplus(b, v[0]); })
      .Case([&](ReluOp) {
        Value zero = b.constant(v[0].getType(), 0);
        if (isUnsignedElement(element)) {
          return v[0];
        }
        return isFloat ? b.select(b.cmpf(CmpFPredicate::OLT, v[0], zero), zero, v[0])
                       : b.create<arith::MaxSIOp>(v[0], zero).getResult();
      })
      .Case([&](FloorOp) { return b.create<math::FloorOp>(v[0]); })
      .Case([&](CeilOp) { return b.create<math::CeilOp>(v[0]); })
      .Case([&](RoundOp) { return b.create<math::RoundEvenOp>(v[0]); })
      .Case([&](NotOp) { return b.create<arith::XOrIOp>(v[0], b.constantInt(v[0].getType(), -1)); })
      .Case([&](GeluOp gelu) {
        return gelu.getKind() == GeluKind::erf ? emitGeluErf(b, v[0]) : emitGeluTanh(b, v[0]);
      })
      .Case([&](GeluGradOp grad) {
        return grad.getKind() == GeluKind::erf ? emitGeluErfGrad(b, v[0], v[1])
                                               : emitGeluTanhGrad(b, v[0], v[1]);
      })
      .Case([&](IsNanOp) {
        return isFloat ? b.cmpf(CmpFPredicate::UNO, v[0], v[0])
                       : b.constantInt(b.vectorOf(b.getI1Type()), 0);
      })
      .Case([&](IsInfOp test) { return emitIsInf(b, test, v[0]); })
      .Case([&](CastOp cast) { return emitCast(b, element, elementOf(cast.getY()), v[0]); })
      .Case([&](BitcastOp cast) { return b.bitcast(element, elementOf(cast.getY()), v[0]); })
      .Case([&](AddOp) { return emitCombine(b, ReduceKind::sum, element, v[0], v[1]); })
      .Case([&](SubOp) { return b.sub(v[0], v[1]); })
      .Case([&](MulOp) { return emitCombine(b, ReduceKind::prod, element, v[0], v[1]); })
      .Case([&](DivOp) { return emitDiv(b, element, v[0], v[1]); })
      .Case([&](MaxOp) { return emitCombine(b, ReduceKind::max, element, v[0], v[1]); })
      .Case([&](MinOp) { return emitCombine(b, ReduceKind::min, element, v[0], v[1]); })
      .Case([&](PowOp) {
        return isFloat ? emitPow(b, v[0], v[1]) : emitIntegerPow(b, element, v[0], v[1]);
      })
      .Case([&](AndOp) { return b.create<arith::AndIOp>(v[0], v[1]); })
      .Case([&](OrOp) { return b.create<arith::OrIOp>(v[0], v[1]); })
      .Case([&](XorOp) { return b.create<arith::XOrIOp>(v[0], v[1]); })
      .Case([&](ShiftLeftOp) { return emitShift(b, element, true, v[0], v[1]); })
      .Case([&](ShiftRightOp) { return emitShift(b, element, false, v[0], v[1]); })
      .Case([&](ModOp mod) { return emitMod(b, element, mod.getFmod(), v[0], v[1]); })
      .Case([&](CompareOp compare) {
        return emitCompare(b, compare.getPredicate(), element, v[0], v[1]);
      })
      .Case([&](SelectOp) { return b.select(v[0], v[1], v[2]); })
      .Case([&](BroadcastOp) { return v[0]; })
      .Default([](Operation *) { return Value(); });
}

FailureOr<SmallVector<Value>> dsc::emitElementwise(VectorBuilder &b, Operation *op,
                                                   ValueRange operands, ValueRange invariants) {
  SmallVector<Value> results;
  auto exp = dyn_cast<ExpOp>(op);
  b.setApproximate((exp && exp.getApproximate()) ||
                   llvm::all_of(op->getResults(), [](Value result) {
                     return elementOf(result).isF16() || elementOf(result).isBF16();
                   }));
  if (op->hasTrait<Update>()) {
    results = emitOptimizer(b, op, operands, invariants);
  } else if (Value result = emitOne(b, op, operands)) {
    results.push_back(result);
  } else {
    return op->emitOpError("has no code as an elementwise op of a kernel");
  }
  b.setApproximate(false);
  for (auto [result, value] : llvm::zip_equal(op->getResults(), results)) {
    value = b.roundTo(elementOf(result), value);
  }
  return results;
}

//===----------------------------------------------------------------------===//
// Parts of ops that are loops
//===----------------------------------------------------------------------===//

Value dsc::emitIndex(VectorBuilder &b, Type element, Value stored, int64_t size) {
  Value index = isUnsignedElement(element)
                    ? b.create<arith::IndexCastUIOp>(b.getIndexType(), stored).getResult()
                    : b.create<arith::IndexCastOp>(b.getIndexType(), stored).getResult();
  Value fromEnd = b.create<arith::AddIOp>(index, b.index(size));
  index = b.select(b.cmpi(CmpIPredicate::slt, index, b.index(0)), fromEnd, index);
  index = b.create<arith::MaxSIOp>(index, b.index(0));
  return b.create<arith::MinSIOp>(index, b.index(std::max<int64_t>(size - 1, 0)));
}

Value dsc::emitScatter(VectorBuilder &b, ScatterKind kind, Type element, Value old, Value update) {
  switch (kind) {
  case ScatterKind::none:
    return update;
  case ScatterKind::add:
    return emitCombine(b, ReduceKind::sum, element, old, update);
  case ScatterKind::mul:
    return emitCombine(b, ReduceKind::prod, element, old, update);
  case ScatterKind::max:
    return emitCombine(b, ReduceKind::max, element, old, update);
  case ScatterKind::min:
    return emitCombine(b, ReduceKind::min, element, old, update);
  }
  llvm_unreachable("all kinds handled");
}

Value dsc::emitIsBetter(VectorBuilder &b, Type element, bool isMax, bool last, Value value,
                        Value held) {
  if (isa<FloatType>(element)) {
    CmpFPredicate predicate = isMax ? (last ? CmpFPredicate::OGE : CmpFPredicate::OGT)
                                    : (last ? CmpFPredicate::OLE : CmpFPredicate::OLT);
    Value isNan = b.cmpf(CmpFPredicate::UNO, value, value);
    Value heldNumber = b.cmpf(CmpFPredicate::ORD, held, held);
    return b.create<arith::OrIOp>(b.cmpf(predicate, value, held),
                                  b.create<arith::AndIOp>(isNan, heldNumber));
  }
  bool isUnsigned = isUnsignedElement(element);
  CmpIPredicate predicate = isMax ? (last ? (isUnsigned ? CmpIPredicate::uge : CmpIPredicate::sge)
                                          : (isUnsigned ? CmpIPredicate::ugt : CmpIPredicate::sgt))
                                  : (last ? (isUnsigned ? CmpIPredicate::ule : CmpIPredicate::sle)
                                          : (isUnsigned ? CmpIPredicate::ult : CmpIPredicate::slt));
  return b.cmpi(predicate, value, held);
}
