// Random: dropout and random tensors. Numbers are a pure function of seed, node, step and sample,
// so nothing has a state.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

/// x * mask / (1 - ratio) in @forward, x in @inference or where the option says off.
LogicalResult dsc::importDropout(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  double ratio = n.floatAttr("ratio", 0.5);
  if (n.hasInput(1)) {
    FailureOr<SmallVector<double>> given = n.constantNumbers(1, "the ratio");
    if (failed(given) || given->size() != 1) {
      return failed(given) ? failure() : LogicalResult(n.error() << "the ratio must be one number");
    }
    ratio = given->front();
  }
  if (!(ratio >= 0 && ratio < 1)) {
    return n.error() << "the ratio is " << ratio << ", outside [0, 1)";
  }
  bool live = n.state.mode == Mode::Train && n.state.options.dropout && ratio > 0;
  Type boolean = n.e.builder.getI1Type();
  if (!live) {
    return failed(n.set(0, x)) || failed(n.set(1, n.e.splat(boolean, Emitter::shapeOf(x), 1)))
               ? failure()
               : success();
  }
  // Drawn in f32 whatever x's type: half precision could not tell ratios apart.
  Value uniform = n.random(Distribution::uniform,
                           RankedTensorType::get(Emitter::shapeOf(x), n.e.builder.getF32Type()));
  Value keep = n.e.compare(ComparePredicate::ge, uniform, n.e.like(uniform, ratio));
  Value y = n.e.select(keep, n.e.mulScalar(x, 1 / (1 - ratio)), n.e.like(x, 0));
  return failed(n.set(0, y)) || failed(n.set(1, keep)) ? failure() : success();
}

/// The result's type: `dtype`, else that of the operand, else f32.
static FailureOr<RankedTensorType> randomType(NodeImport &n, ArrayRef<int64_t> shape,
                                              Type otherwise) {
  Type element = otherwise;
  if (n.has("dtype")) {
    auto type = static_cast<onnx_model::DataType>(n.intAttr("dtype", 1));
    element = elementType(n.e.builder.getContext(), type);
  }
  if (!isa_and_nonnull<FloatType>(element)) {
    return n.refuse("random numbers of a type that is not a float");
  }
  return RankedTensorType::get(shape, element);
}

static LogicalResult importRandom(NodeImport &n, Distribution distribution,
                                  FailureOr<RankedTensorType> type) {
  if (failed(type)) {
    return failure();
  }
  bool uniform = distribution == Distribution::uniform;
  Value x =
      n.random(distribution, RankedTensorType::get(type->getShape(), n.e.builder.getF32Type()));
  double scale = uniform ? n.floatAttr("high", 1) - n.floatAttr("low", 0) : n.floatAttr("scale", 1);
  double offset = uniform ? n.floatAttr("low", 0) : n.floatAttr("mean", 0);
  x = scale == 1 ? x : n.e.mulScalar(x, scale);
  x = offset == 0 ? x : n.e.addScalar(x, offset);
  return n.result(n.e.convert(x, type->getElementType()));
}

static FailureOr<RankedTensorType> typeFromShape(NodeImport &n) {
  auto shape = n.intsAttr("shape");
  if (!shape ||
      llvm::any_of(*shape, [](int64_t dim) { return dim < 0 || dim > (int64_t(1) << 31); })) {
    return n.error() << "needs a shape";
  }
  return randomType(n, *shape, n.e.builder.getF32Type());
}

static FailureOr<RankedTensorType> typeFromOperand(NodeImport &n) {
  if (!n.input(0)) {
    return n.error() << "the operand is missing";
  }
  return randomType(n, Emitter::shapeOf(n.input(0)), Emitter::elementOf(n.input(0)));
}

LogicalResult dsc::importRandomUniform(NodeImport &n) {
  return importRandom(n, Distribution::uniform, typeFromShape(n));
}
LogicalResult dsc::importRandomNormal(NodeImport &n) {
  return importRandom(n, Distribution::normal, typeFromShape(n));
}
LogicalResult dsc::importRandomUniformLike(NodeImport &n) {
  return importRandom(n, Distribution::uniform, typeFromOperand(n));
}
LogicalResult dsc::importRandomNormalLike(NodeImport &n) {
  return importRandom(n, Distribution::normal, typeFromOperand(n));
}

/// 1 with the probability that the operand gives.
LogicalResult dsc::importBernoulli(NodeImport &n) {
  Value p = n.input(0);
  if (!p || !Emitter::isFloat(p)) {
    return n.error() << "needs an operand of floats";
  }
  Type element = Emitter::elementOf(p);
  if (n.has("dtype")) {
    element = elementType(n.e.builder.getContext(),
                          static_cast<onnx_model::DataType>(n.intAttr("dtype", 1)));
    if (!element) {
      return n.refuse("a result of a type that dsc does not have");
    }
  }
  Value uniform = n.random(Distribution::uniform,
                           RankedTensorType::get(Emitter::shapeOf(p), n.e.builder.getF32Type()));
  Value hit = n.e.compare(ComparePredicate::lt, uniform, n.e.convert(p, n.e.builder.getF32Type()));
  return n.result(n.e.convert(hit, element));
}
