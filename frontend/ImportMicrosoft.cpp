// Operators of the domain com.microsoft that ONNX Runtime's optimizer writes into saved models:
// each is a few core ops.

#include "frontend/OpTable.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

static Value gelu(NodeImport &n, Value x, GeluKind kind) {
  return n.e.op<GeluOp>({x}, {n.e.attr("kind", GeluKindAttr::get(n.e.builder.getContext(), kind))});
}

static Value withBias(NodeImport &n, Value x, Value bias) { return bias ? n.e.add(x, bias) : x; }

LogicalResult dsc::importMicrosoftGelu(NodeImport &n) {
  return n.result(gelu(n, n.input(0), GeluKind::erf));
}
LogicalResult dsc::importMicrosoftBiasGelu(NodeImport &n) {
  return n.result(gelu(n, withBias(n, n.input(0), n.input(1)), GeluKind::erf));
}
LogicalResult dsc::importMicrosoftFastGelu(NodeImport &n) {
  return n.result(gelu(n, withBias(n, n.input(0), n.input(1)), GeluKind::tanh));
}

/// x * sigmoid(alpha x)
LogicalResult dsc::importMicrosoftQuickGelu(NodeImport &n) {
  double alpha = n.floatAttr("alpha", 1.702f);
  Value inner = alpha == 1 ? n.input(0) : n.e.mulScalar(n.input(0), alpha);
  return n.result(n.e.mul(n.input(0), n.e.unary<SigmoidOp>(inner)));
}

/// The activation that a fused operator ends with.
static FailureOr<Value> activate(NodeImport &n, Value x) {
  std::string name = n.stringAttr("activation", "");
  const onnx_model::NodeAttribute *given = n.node.attribute("activation_params");
  SmallVector<double> numbers;
  if (given) {
    numbers.assign(given->floats.begin(), given->floats.end());
  }
  auto number = [&](size_t i, StringRef key, double otherwise) {
    return i < numbers.size() ? numbers[i] : n.floatAttr(key, otherwise);
  };
  if (!x || name.empty()) {
    return x;
  }
  if (name == "Relu") {
    return n.e.unary<ReluOp>(x);
  }
  if (name == "Tanh") {
    return n.e.unary<TanhOp>(x);
  }
  if (name == "Sigmoid") {
    return n.e.unary<SigmoidOp>(x);
  }
  if (name == "LeakyRelu") {
    Value negative = n.e.mulScalar(x, number(0, "alpha", 0.01f));
    return n.e.select(n.e.compare(ComparePredicate::gt, x, n.e.like(x, 0)), x, negative);
  }
  if (name == "Clip" && numbers.size() == 2) {
    return n.e.binary<MinOp>(n.e.binary<MaxOp>(x, n.e.like(x, numbers[0])),
                             n.e.like(x, numbers[1]));
  }
  return n.refuse("the fused activation '" + name + "'");
}

static LogicalResult activated(NodeImport &n, Value x) {
  FailureOr<Value> y = activate(n, x);
  return failed(y) ? failure() : n.result(*y);
}

LogicalResult dsc::importMicrosoftFusedMatMul(NodeImport &n) {
  Value a = n.input(0), b = n.input(1);
  if (!a || !b || Emitter::shapeOf(a).size() < 2 || Emitter::shapeOf(b).size() < 2 ||
      n.intAttr("transBatchA", 0) || n.intAttr("transBatchB", 0)) {
    return n.refuse("operands of rank below 2, or transposed batches");
  }
  Value y = n.e.matmul(a, b, n.intAttr("transA", 0) != 0, n.intAttr("transB", 0) != 0);
  double alpha = n.floatAttr("alpha", 1);
  return n.result(alpha == 1 ? y : n.e.mulScalar(y, alpha));
}

LogicalResult dsc::importMicrosoftFusedGemm(NodeImport &n) {
  Value y =
      n.e.matmul(n.input(0), n.input(1), n.intAttr("transA", 0) != 0, n.intAttr("transB", 0) != 0);
  double alpha = n.floatAttr("alpha", 1), beta = n.floatAttr("beta", 1);
  y = alpha == 1 ? y : n.e.mulScalar(y, alpha);
  if (Value c = n.input(2)) {
    y = n.e.add(y, beta == 1 ? c : n.e.mulScalar(c, beta));
  }
  return activated(n, y);
}

/// Conv, plus a tensor of its result's shape, then the activation.
LogicalResult dsc::importMicrosoftFusedConv(NodeImport &n) {
  if (failed(importConv(n)) || n.outputs.front().empty()) {
    return failure();
  }
  Value y = n.outputs.front().front();
  return activated(n, n.hasInput(3) ? n.e.add(y, n.input(3)) : y);
}

/// Layer norm or RMS norm of input + skip (+ bias); output 3 is that sum.
static LogicalResult skipNorm(NodeImport &n, Value bias, bool centered) {
  Value x = n.e.add(n.input(0), n.input(1));
  x = withBias(n, x, bias);
  if (!x || !Emitter::isFloat(x)) {
    return failure();
  }
  int64_t axis = static_cast<int64_t>(Emitter::shapeOf(x).size()) - 1;
  Value gamma = n.input(2), beta = centered ? n.input(3) : Value();
  NamedAttribute epsilon = n.e.f64("epsilon", n.floatAttr("epsilon", 1e-12f)),
                 place = n.e.i64("axis", axis);
  SmallVector<Value> operands = {x};
  for (Value vector : {gamma, beta}) {
    if (vector) {
      operands.push_back(vector);
    }
  }
  Value y = centered
                ? n.e.op<LayerNormOp>(
                      operands, {place, epsilon, n.e.segments({1, gamma ? 1 : 0, beta ? 1 : 0})})
                : n.e.op<RmsNormOp>(operands, {place, epsilon});
  return failed(n.set(0, y)) || failed(n.set(3, x)) ? failure() : success();
}

LogicalResult dsc::importMicrosoftSkipLayerNormalization(NodeImport &n) {
  return skipNorm(n, n.input(4), true);
}
LogicalResult dsc::importMicrosoftSkipSimplifiedLayerNormalization(NodeImport &n) {
  return skipNorm(n, n.input(3), false);
}
LogicalResult dsc::importMicrosoftSimplifiedLayerNormalization(NodeImport &n) {
  return importRMSNormalization(n);
}
