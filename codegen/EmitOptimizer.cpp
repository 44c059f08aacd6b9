// Adam, AdamW and SGD. The formulas are those of ir/OpsOptimizer.td; each product and sum rounds on
// its own.

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
  auto splatLike = [&](Value f64, Type element) {
    return b.splat(emitCast(b, b.getF64Type(), element, f64));
  };
  // Operands that are not scalars are absent here.
  Type element = computeType(getElementTypeOrSelf(op->getOperand(0).getType()));
  auto scalar = [&](Value x) { return likeParam(b, x, element); };
  if (isa<AdamOp>(op)) {
    AdamOp::Adaptor v(operands, op->getAttrDictionary());
    Value one = b.constant(b.vectorOf(element), 1.0);
    Value bias1 = biasCorrection(b, v.getBeta1(), v.getT());
    Value bias2 = b.create<math::SqrtOp>(biasCorrection(b, v.getBeta2(), v.getT()));
    Value lr = scalar(v.getLr());
    Value step = b.div(lr, splatLike(bias1, element));
    Value decay = b.sub(one, b.mul(lr, scalar(v.getWeightDecay())));
    return {step, splatLike(bias2, element), decay, b.sub(one, scalar(v.getBeta1())),
            b.sub(one, scalar(v.getBeta2()))};
  }
  SgdOp::Adaptor v(operands, op->getAttrDictionary());
  Value damp = scalar(v.getDampening());
  Value first = b.cmpf(CmpFPredicate::OEQ, v.getT(), 1.0);
  return {b.sub(b.constant(damp.getType(), 1.0), damp), first};
}

static SmallVector<Value> emitAdam(VectorBuilder &b, AdamOp op, ValueRange operands,
                                   ValueRange invariants) {
  AdamOp::Adaptor v(operands, op->getAttrDictionary());
  auto scalar = [&](Value x) {
    return likeParam(b, x, getElementTypeOrSelf(v.getParam().getType()));
  };
  Value step = invariants[0], sqrtBias2 = invariants[1], decay = invariants[2];
  Value param = v.getParam();
  Value g = b.mul(scalar(v.getGrad()), scalar(v.getScale()));
  if (!op.getDecoupled()) {
    g = b.add(g, b.mul(param, scalar(v.getWeightDecay())));
  }
  Value m = b.add(v.getM(), b.mul(b.sub(g, v.getM()), invariants[3]));
  Value second = b.add(b.mul(v.getV(), scalar(v.getBeta2())), b.mul(b.mul(g, g), invariants[4]));
  Value denominator =
      b.add(b.div(b.create<math::SqrtOp>(second), sqrtBias2), scalar(v.getEpsilon()));
  Value base = op.getDecoupled() ? b.mul(param, decay) : param;
  Value updated = b.sub(base, b.mul(step, b.div(m, denominator)));
  Value ok = v.getOk();
  SmallVector<Value> results{b.select(ok, updated, param), b.select(ok, m, v.getM()),
                             b.select(ok, second, v.getV())};
  if (op.getCopy()) { // rounded by the caller, as every result of a half type
    results.push_back(results[0]);
  }
  return results;
}

static SmallVector<Value> emitSgd(VectorBuilder &b, SgdOp op, ValueRange operands,
                                  ValueRange invariants) {
  SgdOp::Adaptor v(operands, op->getAttrDictionary());
  auto scalar = [&](Value x) {
    return likeParam(b, x, getElementTypeOrSelf(v.getParam().getType()));
  };
  Value param = v.getParam(), momentum = scalar(v.getMomentum());
  Value g = b.mul(scalar(v.getGrad()), scalar(v.getScale()));
  g = b.add(g, b.mul(param, scalar(v.getWeightDecay())));
  Value moved = b.add(b.mul(v.getBuffer(), momentum), b.mul(g, invariants[0]));
  Value buffer = b.select(invariants[1], g, moved);
  Value direction = op.getNesterov() ? b.add(g, b.mul(buffer, momentum)) : buffer;
  Value updated = b.sub(param, b.mul(direction, scalar(v.getLr())));
  Value ok = v.getOk();
  SmallVector<Value> results{b.select(ok, updated, param), b.select(ok, buffer, v.getBuffer())};
  if (op.getCopy()) {
    results.push_back(results[0]);
  }
  return results;
}

SmallVector<Value> dsc::emitOptimizer(VectorBuilder &b, Operation *op, ValueRange operands,
                                      ValueRange invariants) {
  if (auto adam = dyn_cast<AdamOp>(op)) {
    return emitAdam(b, adam, operands, invariants);
  }
  return emitSgd(b, cast<SgdOp>(op), operands, invariants);
}
