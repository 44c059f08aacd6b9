// Activations, in forms that are fit for training: no branch that is not taken may compute an
// infinity, because its gradient would be 0 * inf. At the kink, gradients are PyTorch's.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

/// x > 0
static Value positive(Emitter &e, Value x) {
  return x ? e.compare(ComparePredicate::gt, x, e.like(x, 0)) : x;
}

/// x where it is negative, else 0.
static Value negativePart(Emitter &e, Value x) {
  return x ? e.select(positive(e, x), e.like(x, 0), x) : x;
}

/// x > 0 ? x : alpha (e^(x / divisor) - 1)
static Value elu(Emitter &e, Value x, double alpha, double divisor = 1) {
  Value inner = negativePart(e, x);
  if (divisor != 1) {
    inner = e.mulScalar(inner, 1 / divisor);
  }
  Value negative = e.unary<Expm1Op>(inner);
  if (alpha != 1) {
    negative = e.mulScalar(negative, alpha);
  }
  return e.select(positive(e, x), x, negative);
}

LogicalResult dsc::importRelu(NodeImport &n) { return n.result(n.e.unary<ReluOp>(n.input(0))); }
LogicalResult dsc::importSigmoid(NodeImport &n) {
  return n.result(n.e.unary<SigmoidOp>(n.input(0)));
}
LogicalResult dsc::importTanh(NodeImport &n) { return n.result(n.e.unary<TanhOp>(n.input(0))); }
LogicalResult dsc::importSoftplus(NodeImport &n) {
  return n.result(n.e.unary<SoftplusOp>(n.input(0)));
}

LogicalResult dsc::importElu(NodeImport &n) {
  return n.result(elu(n.e, n.input(0), n.floatAttr("alpha", 1)));
}

LogicalResult dsc::importCelu(NodeImport &n) {
  double alpha = n.floatAttr("alpha", 1);
  if (alpha == 0) {
    return n.error() << "alpha is 0";
  }
  return n.result(elu(n.e, n.input(0), alpha, alpha));
}

LogicalResult dsc::importSelu(NodeImport &n) {
  double alpha = n.floatAttr("alpha", 1.67326319217681884765625);
  double gamma = n.floatAttr("gamma", 1.05070102214813232421875);
  return n.result(n.e.mulScalar(elu(n.e, n.input(0), alpha), gamma));
}

LogicalResult dsc::importLeakyRelu(NodeImport &n) {
  Value x = n.input(0);
  return n.result(n.e.select(positive(n.e, x), x, n.e.mulScalar(x, n.floatAttr("alpha", 0.01f))));
}

/// The slope broadcasts to x, not the other way.
LogicalResult dsc::importPRelu(NodeImport &n) {
  Value x = n.input(0), slope = n.input(1);
  if (x && slope && !broadcastsTo(Emitter::shapeOf(slope), Emitter::shapeOf(x))) {
    return n.error() << "the slope " << slope.getType() << " does not broadcast to the operand "
                     << x.getType();
  }
  return n.result(n.e.select(positive(n.e, x), x, n.e.mul(slope, x)));
}

LogicalResult dsc::importMish(NodeImport &n) {
  Value x = n.input(0);
  return n.result(n.e.mul(x, n.e.unary<TanhOp>(n.e.unary<SoftplusOp>(x))));
}

LogicalResult dsc::importGelu(NodeImport &n) {
  std::string form = n.stringAttr("approximate", "none");
  if (form != "none" && form != "tanh") {
    return n.error() << "approximate is '" << form << "', not none or tanh";
  }
  auto kind =
      GeluKindAttr::get(n.e.builder.getContext(), form == "tanh" ? GeluKind::tanh : GeluKind::erf);
  return n.result(n.e.op<GeluOp>({n.input(0)}, {n.e.attr("kind", kind)}));
}

/// x * clip(alpha x + beta, 0, 1); the bounds are tensors so that the gradient at them is that of
/// min and max.
static Value hardSigmoid(Emitter &e, Value x, double alpha, double beta) {
  Value line = e.addScalar(e.mulScalar(x, alpha), beta);
  return e.binary<MinOp>(e.binary<MaxOp>(line, e.like(line, 0)), e.like(line, 1));
}
LogicalResult dsc::importHardSigmoid(NodeImport &n) {
  return n.result(
      hardSigmoid(n.e, n.input(0), n.floatAttr("alpha", 0.2f), n.floatAttr("beta", 0.5f)));
}
LogicalResult dsc::importHardSwish(NodeImport &n) {
  return n.result(n.e.mul(n.input(0), hardSigmoid(n.e, n.input(0), 1.0 / 6, 0.5)));
}

/// x * sigmoid(alpha x)
LogicalResult dsc::importSwish(NodeImport &n) {
  double alpha = n.floatAttr("alpha", 1);
  Value inner = alpha == 1 ? n.input(0) : n.e.mulScalar(n.input(0), alpha);
  return n.result(n.e.mul(n.input(0), n.e.unary<SigmoidOp>(inner)));
}

/// x > alpha ? x : 0
LogicalResult dsc::importThresholdedRelu(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return failure();
  }
  Value above = n.e.compare(ComparePredicate::gt, x, n.e.like(x, n.floatAttr("alpha", 1)));
  return n.result(n.e.select(above, x, n.e.like(x, 0)));
}
