// The optimizers. The formulas are those of ir/OpsOptimizer.td; each product and sum rounds on its
// own. What depends on a parameter's group may be a row's number, so invariants leave it out.

#include "codegen/EmitOptimizer.h"

#include "codegen/EmitElementwise.h"

using namespace mlir;
using namespace dsc;
using arith::CmpFPredicate;

/// Scalars have their own element type (f32) even where the parameter is f64.
static Value likeParam(VectorBuilder &b, Value scalar, Type element) {
  return emitCast(b, getElementTypeOrSelf(scalar.getType()), element, scalar);
}

/// 1 - beta^t in f64 (as PyTorch has it), from splat vectors.
static Value biasCorrection(VectorBuilder &b, Value beta, Value t) {
  auto lane = [&](Value vector) {
    Value scalar = b.extractLane(vector, 0);
    return emitCast(b, scalar.getType(), b.getF64Type(), scalar);
  };
  Value power = b.libm("pow", {lane(beta), lane(t)});
  return b.sub(b.constant(b.getF64Type(), 1.0), power);
}

SmallVector<Value> dsc::emitOptimizerInvariants(VectorBuilder &b, Operation *op,
                                                ValueRange operands) {
  // Operands that are not scalars are absent here.
  Type element = computeType(getElementTypeOrSelf(op->getOperand(0).getType()));
  auto splatLike = [&](Value f64) { return b.splat(emitCast(b, b.getF64Type(), element, f64)); };
  Value one = b.constant(b.vectorOf(element), 1.0);
  auto oneMinus = [&](Value x) { return b.sub(one, likeParam(b, x, element)); };
  if (isa<AdamOp>(op)) {
    AdamOp::Adaptor v(operands, op->getAttrDictionary());
    Value bias1 = biasCorrection(b, v.getBeta1(), v.getT());
    Value bias2 = b.create<math::SqrtOp>(biasCorrection(b, v.getBeta2(), v.getT()));
    return {splatLike(bias1), splatLike(bias2), oneMinus(v.getBeta1()), oneMinus(v.getBeta2())};
  }
  if (isa<SgdOp>(op)) {
    SgdOp::Adaptor v(operands, op->getAttrDictionary());
    return {oneMinus(v.getDampening()), b.cmpf(CmpFPredicate::OEQ, v.getT(), 1.0)};
  }
  if (isa<LionOp>(op)) {
    LionOp::Adaptor v(operands, op->getAttrDictionary());
    return {oneMinus(v.getBeta1()), oneMinus(v.getBeta2())};
  }
  if (isa<LambOp>(op)) {
    LambOp::Adaptor v(operands, op->getAttrDictionary());
    return {oneMinus(v.getBeta1()), oneMinus(v.getBeta2())};
  }
  if (isa<AdagradOp>(op)) {
    AdagradOp::Adaptor v(operands, op->getAttrDictionary());
    Value steps = b.add(likeParam(b, v.getT(), element), -1.0);
    return {b.add(b.mul(steps, likeParam(b, v.getLrDecay(), element)), 1.0)};
  }
  return {};
}

namespace {
/// What all updates do with their operands.
template <typename OpT> struct Operands {
  VectorBuilder &b;
  typename OpT::Adaptor v;
  Type element; // of the parameter
  Value param;

  Operands(VectorBuilder &b, OpT op, ValueRange operands)
      : b(b), v(operands, op->getAttrDictionary()),
        element(getElementTypeOrSelf(v.getParam().getType())), param(v.getParam()) {}

  Value scalar(Value x) { return likeParam(b, x, element); }
  Value gradient() { return b.mul(scalar(v.getGrad()), scalar(v.getScale())); }
  /// The gradient with the decay added to it.
  Value decayedGradient() { return b.add(gradient(), b.mul(param, scalar(v.getWeightDecay()))); }
  /// The parameter after a decay of its own.
  Value decayed() {
    Value shrink = b.mul(scalar(v.getLr()), scalar(v.getWeightDecay()));
    return b.mul(param, b.sub(b.constant(shrink.getType(), 1.0), shrink));
  }
  Value ifOk(Value updated, Value old) { return b.select(v.getOk(), updated, old); }
};
} // namespace

/// beta2 v + (1 - beta2) g^2
static Value secondMoment(VectorBuilder &b, Value moment, Value beta2, Value rest, Value g) {
  return b.add(b.mul(moment, beta2), b.mul(b.mul(g, g), rest));
}

static SmallVector<Value> emitAdam(VectorBuilder &b, AdamOp op, ValueRange operands,
                                   ValueRange invariants) {
  Operands<AdamOp> o(b, op, operands);
  Value bias1 = invariants[0], sqrtBias2 = invariants[1];
  Value g = op.getDecoupled() ? o.gradient() : o.decayedGradient();
  Value m = b.add(o.v.getM(), b.mul(b.sub(g, o.v.getM()), invariants[2]));
  Value second = secondMoment(b, o.v.getV(), o.scalar(o.v.getBeta2()), invariants[3], g);
  Value denominator =
      b.add(b.div(b.create<math::SqrtOp>(second), sqrtBias2), o.scalar(o.v.getEpsilon()));
  Value base = op.getDecoupled() ? o.decayed() : o.param;
  Value step = b.div(o.scalar(o.v.getLr()), bias1);
  Value updated = b.sub(base, b.mul(step, b.div(m, denominator)));
  return {o.ifOk(updated, o.param), o.ifOk(m, o.v.getM()), o.ifOk(second, o.v.getV())};
}

static SmallVector<Value> emitSgd(VectorBuilder &b, SgdOp op, ValueRange operands,
                                  ValueRange invariants) {
  Operands<SgdOp> o(b, op, operands);
  Value momentum = o.scalar(o.v.getMomentum()), g = o.decayedGradient();
  Value moved = b.add(b.mul(o.v.getBuffer(), momentum), b.mul(g, invariants[0]));
  Value buffer = b.select(invariants[1], g, moved);
  Value direction = op.getNesterov() ? b.add(g, b.mul(buffer, momentum)) : buffer;
  Value updated = b.sub(o.param, b.mul(direction, o.scalar(o.v.getLr())));
  return {o.ifOk(updated, o.param), o.ifOk(buffer, o.v.getBuffer())};
}

static SmallVector<Value> emitLion(VectorBuilder &b, LionOp op, ValueRange operands,
                                   ValueRange invariants) {
  Operands<LionOp> o(b, op, operands);
  Value g = o.gradient(), m = o.v.getM();
  auto interpolate = [&](Value beta, Value rest) {
    return b.add(b.mul(m, o.scalar(beta)), b.mul(g, rest));
  };
  Value towards = interpolate(o.v.getBeta1(), invariants[0]), lr = o.scalar(o.v.getLr());
  Value zero = b.constant(towards.getType(), 0.0);
  Value step = b.select(b.cmpf(CmpFPredicate::OGT, towards, 0.0), lr,
                        b.select(b.cmpf(CmpFPredicate::OLT, towards, 0.0), b.neg(lr), zero));
  Value updated = b.sub(o.decayed(), step);
  return {o.ifOk(updated, o.param), o.ifOk(interpolate(o.v.getBeta2(), invariants[1]), m)};
}

static SmallVector<Value> emitAdagrad(VectorBuilder &b, AdagradOp op, ValueRange operands,
                                      ValueRange invariants) {
  Operands<AdagradOp> o(b, op, operands);
  Value g = o.decayedGradient(), sum = b.add(o.v.getSum(), b.mul(g, g));
  Value rate = b.div(o.scalar(o.v.getLr()), invariants[0]);
  Value denominator = b.add(b.create<math::SqrtOp>(sum), o.scalar(o.v.getEpsilon()));
  Value updated = b.sub(o.param, b.mul(rate, b.div(g, denominator)));
  return {o.ifOk(updated, o.param), o.ifOk(sum, o.v.getSum())};
}

static SmallVector<Value> emitLamb(VectorBuilder &b, LambOp op, ValueRange operands,
                                   ValueRange invariants) {
  Operands<LambOp> o(b, op, operands);
  Value g = o.gradient();
  Value m = b.add(o.v.getM(), b.mul(b.sub(g, o.v.getM()), invariants[0]));
  Value second = secondMoment(b, o.v.getV(), o.scalar(o.v.getBeta2()), invariants[1], g);
  Value denominator = b.add(b.create<math::SqrtOp>(second), o.scalar(o.v.getEpsilon()));
  Value direction = b.add(b.div(m, denominator), b.mul(o.param, o.scalar(o.v.getWeightDecay())));
  return {direction, o.ifOk(m, o.v.getM()), o.ifOk(second, o.v.getV())};
}

static SmallVector<Value> emitLambStep(VectorBuilder &b, LambStepOp op, ValueRange operands) {
  Operands<LambStepOp> o(b, op, operands);
  Value updated = b.sub(o.param, b.mul(o.v.getDirection(), o.scalar(o.v.getSize())));
  return {o.ifOk(updated, o.param)};
}

SmallVector<Value> dsc::emitOptimizer(VectorBuilder &b, Operation *op, ValueRange operands,
                                      ValueRange invariants) {
  SmallVector<Value> results =
      llvm::TypeSwitch<Operation *, SmallVector<Value>>(op)
          .Case([&](AdamOp adam) { return emitAdam(b, adam, operands, invariants); })
          .Case([&](SgdOp sgd) { return emitSgd(b, sgd, operands, invariants); })
          .Case([&](LionOp lion) { return emitLion(b, lion, operands, invariants); })
          .Case([&](AdagradOp adagrad) { return emitAdagrad(b, adagrad, operands, invariants); })
          .Case([&](LambOp lamb) { return emitLamb(b, lamb, operands, invariants); })
          .Case([&](LambStepOp step) { return emitLambStep(b, step, operands); });
  if (op->getNumResults() > results.size()) { // the copy: rounded by the caller
    results.push_back(results[0]);
  }
  return results;
}
