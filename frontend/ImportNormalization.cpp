// Normalization and softmax; batch norm's running statistics.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

/// The operand and its `axis`, counted from the front.
static FailureOr<std::pair<Value, int64_t>> operandAndAxis(NodeImport &n, int64_t otherwise) {
  Value x = n.input(0);
  if (!x || !Emitter::isFloat(x)) {
    return n.error() << "needs an operand of floats";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", otherwise), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  return std::make_pair(x, *axis);
}

LogicalResult dsc::importSoftmax(NodeImport &n) {
  auto operand = operandAndAxis(n, -1);
  if (failed(operand)) {
    return failure();
  }
  return n.result(n.e.op<SoftmaxOp>({operand->first}, {n.e.i64("axis", operand->second)}));
}

LogicalResult dsc::importLogSoftmax(NodeImport &n) {
  auto operand = operandAndAxis(n, -1);
  if (failed(operand)) {
    return failure();
  }
  return n.result(n.e.op<LogSoftmaxOp>({operand->first}, {n.e.i64("axis", operand->second)}));
}

//===----------------------------------------------------------------------===//
// Layer norms
//===----------------------------------------------------------------------===//

/// A scale or bias as the norm wants it: without leading dimensions of 1, in x's type.
static Value normVector(NodeImport &n, Value vector, Value x, int64_t axis) {
  if (!vector) {
    return vector;
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(vector);
  auto normalized = static_cast<size_t>(Emitter::shapeOf(x).size() - axis);
  while (shape.size() > normalized && shape.front() == 1) {
    shape = shape.drop_front();
  }
  return n.e.convert(n.e.reshape(vector, shape), Emitter::elementOf(x));
}

/// Statistics are computed in f32 whatever x's type (ONNX: stash_type 1), or in f64.
LogicalResult dsc::importLayerNormalization(NodeImport &n) {
  auto operand = operandAndAxis(n, -1);
  if (failed(operand)) {
    return failure();
  }
  auto [x, axis] = *operand;
  SmallVector<Value> operands = {x};
  bool hasGamma = n.input(1) != nullptr, hasBeta = n.input(2) != nullptr;
  if (hasGamma) {
    operands.push_back(normVector(n, n.input(1), x, axis));
  }
  if (hasBeta) {
    operands.push_back(normVector(n, n.input(2), x, axis));
  }
  SmallVector<Value> results = n.e.ops<LayerNormOp>(
      operands, {n.e.i64("axis", axis), n.e.f64("epsilon", n.floatAttr("epsilon", 1e-5f)),
                 n.e.segments({1, hasGamma, hasBeta})});
  if (results.empty()) {
    return failure();
  }
  for (auto [i, value] : llvm::enumerate(results)) {
    if (failed(n.set(i, value))) {
      return failure();
    }
  }
  return success();
}

LogicalResult dsc::importRMSNormalization(NodeImport &n) {
  auto operand = operandAndAxis(n, -1);
  if (failed(operand)) {
    return failure();
  }
  auto [x, axis] = *operand;
  SmallVector<Value> operands = {x};
  if (n.input(1)) {
    operands.push_back(normVector(n, n.input(1), x, axis));
  }
  return n.result(n.e.op<RmsNormOp>(
      operands, {n.e.i64("axis", axis), n.e.f64("epsilon", n.floatAttr("epsilon", 1e-5f))}));
}

/// gamma or beta of [C] so that it broadcasts over [N, C, spatial..].
static Value perChannel(NodeImport &n, Value vector, int64_t rank) {
  if (!vector || Emitter::shapeOf(vector).size() != 1) {
    return vector;
  }
  SmallVector<int64_t> shape(rank - 1, 1);
  shape[0] = Emitter::shapeOf(vector)[0];
  return n.e.reshape(vector, shape);
}

/// Normalizes each of `groups` groups of channels of [N, C, spatial..], where spatial dimensions
/// may be none: a layer norm of [N, groups, the rest], then scale and bias a channel.
static LogicalResult importGroups(NodeImport &n, int64_t groups) {
  Value x = n.input(0), gamma = n.input(1), beta = n.input(2);
  if (!x || !gamma || !beta || Emitter::shapeOf(x).size() < 2 || !Emitter::isFloat(x)) {
    return n.error() << "needs floats of [N, C, spatial..], scale and bias";
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  int64_t channels = shape[1];
  if (groups < 1 || channels % groups != 0) {
    return n.error() << channels << " channels do not form " << groups << " groups";
  }
  int64_t rest = shape[0] == 0 ? 0 : Emitter::typeOf(x).getNumElements() / (shape[0] * groups);
  Value rows = n.e.reshape(x, {shape[0], groups, rest});
  SmallVector<Value> normalized = n.e.ops<LayerNormOp>(
      {rows}, {n.e.i64("axis", 2), n.e.f64("epsilon", n.floatAttr("epsilon", 1e-5f)),
               n.e.segments({1, 0, 0})});
  if (normalized.empty()) {
    return failure();
  }
  Value y = n.e.reshape(normalized.front(), shape);
  y = n.e.mul(y, perChannel(n, n.e.convert(gamma, Emitter::elementOf(x)), shape.size()));
  return n.result(
      n.e.add(y, perChannel(n, n.e.convert(beta, Emitter::elementOf(x)), shape.size())));
}

LogicalResult dsc::importGroupNormalization(NodeImport &n) {
  return importGroups(n, n.intAttr("num_groups", 0));
}

LogicalResult dsc::importInstanceNormalization(NodeImport &n) {
  return importGroups(n, n.input(0) && Emitter::shapeOf(n.input(0)).size() > 1
                             ? Emitter::shapeOf(n.input(0))[1]
                             : 0);
}

/// Over `axes`, without scale: (x - mean) / sqrt(variance), ONNX adds 1e-9 to the root.
LogicalResult dsc::importMeanVarianceNormalization(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  SmallVector<int64_t> given = {0, 2, 3};
  if (auto axes = n.intsAttr("axes")) {
    given = *axes;
  }
  FailureOr<SmallVector<int64_t>> axes = n.axes(given, Emitter::shapeOf(x).size());
  if (failed(axes)) {
    return failure();
  }
  Value centered = n.e.sub(x, n.e.mean(x, *axes));
  Value variance = n.e.mean(n.e.mul(centered, centered), *axes);
  return n.result(n.e.div(centered, n.e.addScalar(n.e.unary<SqrtOp>(variance), 1e-9)));
}

/// x / the p-norm along an axis; 0 where the norm is 0.
LogicalResult dsc::importLpNormalization(NodeImport &n) {
  auto operand = operandAndAxis(n, -1);
  if (failed(operand)) {
    return failure();
  }
  auto [x, axis] = *operand;
  int64_t p = n.intAttr("p", 2);
  if (p != 1 && p != 2) {
    return n.error() << "p is " << p << ", not 1 or 2";
  }
  Value norm = n.e.reduce(ReduceKind::sum, p == 1 ? n.e.unary<AbsOp>(x) : n.e.mul(x, x), {axis});
  Value isZero = n.e.compare(ComparePredicate::eq, norm, n.e.like(norm, 0));
  // The root of a safe number: its gradient at 0 would be infinite, though the quotient is not
  // taken there.
  Value safe = n.e.select(isZero, n.e.like(norm, 1), norm);
  Value quotient = n.e.div(x, p == 1 ? safe : n.e.unary<SqrtOp>(safe));
  return n.result(n.e.select(isZero, n.e.like(x, 0), quotient));
}

/// x / (bias + alpha / size * sum of squares over nearby channels)^beta
LogicalResult dsc::importLRN(NodeImport &n) {
  Value x = n.input(0);
  int64_t size = n.intAttr("size", 0);
  if (!x || Emitter::shapeOf(x).size() < 2 || size < 1) {
    return n.error() << "needs an operand of rank 2 or more, and a positive size";
  }
  int64_t rank = Emitter::shapeOf(x).size(), channels = Emitter::shapeOf(x)[1];
  if (constexpr int64_t most = 1024; size > std::min(2 * channels + 1, most)) {
    return n.refuse("a window of more than twice the channels, or of more than " + Twine(most));
  }
  SmallVector<int64_t> low(rank, 0), high(rank, 0);
  low[1] = (size - 1) / 2;
  high[1] = size - 1 - low[1];
  Value squares = n.e.pad(n.e.mul(x, x), low, high, 0);
  Value sum;
  for (int64_t i = 0; i < size; ++i) {
    Value part = n.e.sliceAxis(squares, 1, i, channels);
    sum = i == 0 ? part : n.e.add(sum, part);
  }
  double alpha = n.floatAttr("alpha", 1e-4f), beta = n.floatAttr("beta", 0.75f);
  Value base =
      n.e.addScalar(n.e.mulScalar(sum, alpha / static_cast<double>(size)), n.floatAttr("bias", 1));
  return n.result(n.e.div(x, n.e.binary<PowOp>(base, n.e.like(base, beta))));
}

//===----------------------------------------------------------------------===//
// Batch norm
//===----------------------------------------------------------------------===//

/// running' = running * momentum + batch * (1 - momentum), by set_global at the end of @forward.
static void updateStatistic(NodeImport &n, Value running, Value batch, double momentum) {
  auto global = running.getDefiningOp<GetGlobalOp>();
  if (!global) {
    return; // A statistic that is no tensor of the file: nothing to keep.
  }
  Value fresh = n.e.mulScalar(n.e.convert(batch, Emitter::elementOf(running)), 1 - momentum);
  if (Value value = n.e.add(n.e.mulScalar(running, momentum), fresh)) {
    n.state.updates.push_back({running, value});
  }
}

/// In @forward statistics of the batch (unless --batch-norm=frozen), and the running ones are
/// updated; in @inference the running ones. Whether the file says training_mode changes nothing but
/// who computed the running variance: PyTorch takes the sample variance, ONNX the population's.
LogicalResult dsc::importBatchNormalization(NodeImport &n) {
  Value x = n.input(0), gamma = n.input(1), beta = n.input(2), mean = n.input(3),
        variance = n.input(4);
  if (!x || !gamma || !beta || !mean || !variance || !Emitter::isFloat(x) ||
      Emitter::shapeOf(x).size() < 2) {
    return n.error() << "needs an operand of rank 2 or more, scale, bias, mean and variance";
  }
  int64_t rank = Emitter::shapeOf(x).size(), channels = Emitter::shapeOf(x)[1];
  for (Value vector : {gamma, beta, mean, variance}) {
    if (Emitter::shapeOf(vector) != ArrayRef<int64_t>{channels}) {
      return n.error() << "the operand has " << channels << " channels, a scale or statistic is "
                       << vector.getType();
    }
  }
  Type element = Emitter::elementOf(x);
  double epsilon = n.floatAttr("epsilon", 1e-5f), momentum = n.floatAttr("momentum", 0.9f);
  bool trainingForm = n.intAttr("training_mode", 0) != 0;
  // A training-mode node whose running statistics are outputs of the graph (ONNX's own tests)
  // behaves so in both modes.
  bool givesStatistics = trainingForm && n.wants(1) && !mean.getDefiningOp<GetGlobalOp>();
  bool train = (n.state.mode == Mode::Train && n.state.options.batchNorm != "frozen" &&
                (trainingForm || mean.getDefiningOp<GetGlobalOp>())) ||
               givesStatistics;
  if (!train) {
    Value scale =
        n.e.mul(n.e.convert(gamma, element),
                n.e.unary<RsqrtOp>(n.e.addScalar(n.e.convert(variance, element), epsilon)));
    Value shift = n.e.sub(n.e.convert(beta, element), n.e.mul(n.e.convert(mean, element), scale));
    Value y = n.e.add(n.e.mul(x, perChannel(n, scale, rank)), perChannel(n, shift, rank));
    if (failed(n.set(0, y))) {
      return failure();
    }
    return failed(n.set(1, mean)) || failed(n.set(2, variance)) ? failure() : success();
  }
  SmallVector<Value> results = n.e.ops<BatchNormOp>(
      {x, n.e.convert(gamma, element), n.e.convert(beta, element)}, {n.e.f64("epsilon", epsilon)});
  if (results.empty() || failed(n.set(0, results[0]))) {
    return failure();
  }
  Value batchMean = results[1], batchVariance = results[2];
  if (n.state.fromPyTorch || !trainingForm) {
    double count =
        channels == 0 ? 0 : static_cast<double>(Emitter::typeOf(x).getNumElements() / channels);
    batchVariance = n.e.mulScalar(batchVariance, count > 1 ? count / (count - 1) : 1);
  }
  if (givesStatistics) {
    auto blend = [&](Value running, Value batch) {
      return n.e.add(n.e.mulScalar(running, momentum),
                     n.e.mulScalar(n.e.convert(batch, Emitter::elementOf(running)), 1 - momentum));
    };
    return failed(n.set(1, blend(mean, batchMean))) ||
                   failed(n.set(2, blend(variance, batchVariance)))
               ? failure()
               : success();
  }
  updateStatistic(n, mean, batchMean, momentum);
  updateStatistic(n, variance, batchVariance, momentum);
  // Outputs 1 and 2 are the new running values; only they themselves read them.
  if (failed(n.set(1, mean)) || failed(n.set(2, variance))) {
    return failure();
  }
  return success();
}
