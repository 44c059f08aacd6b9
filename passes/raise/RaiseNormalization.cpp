// Finds layer and RMS normalization written out in reductions and elementwise ops.
//
// The anchor is the square root. Below it mean(d * d) + epsilon is matched, above it d / root or d
// * (1 / root); where d is x - mean(x) it is a layer norm of x, else an RMS norm of d. Weights and
// biases join afterwards, wherever the exporter put them.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"

#include "llvm/Support/Format.h"

namespace dsc {
#define GEN_PASS_DEF_RAISENORMALIZATION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

namespace {
/// mean(x) over `axes`, whether its reduced dimensions were kept or not.
struct Mean {
  Value x;
  SmallVector<int64_t> axes;
};
} // namespace

/// A reduced sum, divided by (or multiplied with one over) the number of elements a result has.
static std::optional<Mean> matchMean(Value value) {
  // keepdims=0 followed by Unsqueeze, or a change of shape between the sum and the division.
  auto throughReshape = [](Value v) {
    auto reshape = v.getDefiningOp<ReshapeOp>();
    return reshape ? reshape.getX() : v;
  };
  std::optional<ScaledValue> scaled = matchScaled(throughReshape(value));
  if (!scaled) {
    return std::nullopt;
  }
  auto sum = throughReshape(scaled->x).getDefiningOp<ReduceOp>();
  if (!sum || sum.getKind() != ReduceKind::sum) {
    return std::nullopt;
  }
  // A reshape may only have dropped or restored the reduced dimensions.
  if (typeOf(value).getShape() != typeOf(sum).getShape()) {
    return std::nullopt;
  }
  int64_t count = 1;
  for (int64_t axis : sum.getAxes()) {
    count *= typeOf(sum.getX()).getDimSize(axis);
  }
  if (count == 0 || !sameNumber(scaled->scale * count, 1, typeOf(value).getElementType())) {
    return std::nullopt;
  }
  return Mean{sum.getX(), SmallVector<int64_t>(sum.getAxes())};
}

/// x where value is x * x or x to the power 2.
static Value matchSquare(Value value) {
  if (auto mul = value.getDefiningOp<MulOp>(); mul && mul.getLhs() == mul.getRhs()) {
    return mul.getLhs();
  }
  if (auto pow = value.getDefiningOp<PowOp>()) {
    std::optional<double> exponent = splatValue(pow.getRhs());
    if (exponent == 2.0 && pow.getLhs().getType() == pow.getType()) {
      return pow.getLhs();
    }
  }
  return {};
}

/// x and c where value is x + c with the shape of x.
static std::optional<std::pair<Value, double>> matchPlusConstant(Value value) {
  auto add = value.getDefiningOp<AddOp>();
  for (unsigned i : {1u, 0u}) {
    if (add && add->getOperand(1 - i).getType() == add.getType()) {
      if (std::optional<double> c = splatValue(add->getOperand(i))) {
        return std::make_pair(add->getOperand(1 - i), *c);
      }
    }
  }
  return std::nullopt;
}

/// Whether `axes` are the last dimensions of a tensor of this rank.
static bool areTrailing(ArrayRef<int64_t> axes, int64_t rank) {
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (axis != rank - static_cast<int64_t>(axes.size() - i)) {
      return false;
    }
  }
  return !axes.empty();
}

//===----------------------------------------------------------------------===//
// The core: normalization without weights
//===----------------------------------------------------------------------===//

namespace {
/// One normalization: y = (x - mean(x)) / root or x / root.
struct Normalization {
  Value x;
  int64_t axis;
  double epsilon;
  bool centered;
  SmallVector<Operation *> results; // the ops whose results are y
};
} // namespace

/// Ops that are d / root, given root's op or the op that inverts it.
static SmallVector<Operation *> findQuotients(Operation *root, Value d) {
  SmallVector<Operation *> quotients;
  auto products = [&](Value inverse) {
    for (Operation *user : inverse.getUsers()) {
      if (isa<MulOp>(user) && otherOperand(user, inverse) == d &&
          !llvm::is_contained(quotients, user)) {
        quotients.push_back(user);
      }
    }
  };
  if (isa<RsqrtOp>(root)) {
    products(root->getResult(0));
    return quotients;
  }
  for (Operation *user : root->getUsers()) {
    if (auto div = dyn_cast<DivOp>(user); div && div.getRhs() == root->getResult(0)) {
      if (div.getLhs() == d) {
        quotients.push_back(div);
      } else if (splatValue(div.getLhs()) == 1.0) {
        products(div.getResult());
      }
    } else if (isa<ReciprocalOp>(user)) {
      products(user->getResult(0));
    }
  }
  return quotients;
}

/// Matches the normalization around `root`; with a square root of a mean of squares that is none,
/// says why in `reason`.
static std::optional<Normalization> matchNormalization(Operation *root, std::string &reason) {
  std::optional<std::pair<Value, double>> variance = matchPlusConstant(root->getOperand(0));
  std::optional<Mean> meanOfSquares = variance ? matchMean(variance->first) : std::nullopt;
  Value d = meanOfSquares ? matchSquare(meanOfSquares->x) : Value();
  if (!d) {
    return std::nullopt;
  }
  Normalization norm;
  norm.epsilon = variance->second;
  norm.results = findQuotients(root, d);
  int64_t rank = typeOf(d).getRank();
  if (norm.results.empty()) {
    reason = "no op divides what is squared by the root";
    return std::nullopt;
  }
  if (!areTrailing(meanOfSquares->axes, rank)) {
    reason = "the mean is not over the last dimensions";
    return std::nullopt;
  }
  norm.axis = meanOfSquares->axes.front();
  norm.x = d;
  norm.centered = false;
  if (auto sub = d.getDefiningOp<SubOp>()) {
    std::optional<Mean> mean = matchMean(sub.getRhs());
    if (mean && mean->x == sub.getLhs() && mean->axes == meanOfSquares->axes) {
      norm.x = sub.getLhs();
      norm.centered = true;
    }
  }
  return norm;
}

static void raiseNormalizations(ModuleOp module, PatternLog &log, RewriteLimit &left) {
  SmallVector<Operation *> roots;
  module.walk([&](Operation *op) {
    if (isa<SqrtOp, RsqrtOp>(op)) {
      roots.push_back(op);
    }
  });
  for (Operation *root : roots) {
    std::string reason;
    std::optional<Normalization> norm = matchNormalization(root, reason);
    if (!norm) {
      if (!reason.empty()) {
        log.missed("normalization", root, reason);
      }
      continue;
    }
    if (!left.take()) {
      return;
    }
    Operation *first = norm->results.front();
    for (Operation *result : norm->results) {
      if (result->isBeforeInBlock(first)) {
        first = result;
      }
    }
    OpBuilder builder(first);
    auto axis = builder.getI64IntegerAttr(norm->axis);
    auto epsilon = builder.getF64FloatAttr(norm->epsilon);
    Location loc = first->getLoc();
    Value y = norm->centered
                  ? createValue<LayerNormOp>(builder, loc, norm->x, Value(), Value(), axis, epsilon)
                  : createValue<RmsNormOp>(builder, loc, norm->x, Value(), axis, epsilon);
    for (Operation *result : norm->results) {
      result->getResult(0).replaceAllUsesWith(y);
    }
    std::string detail;
    llvm::raw_string_ostream(detail)
        << "axis " << norm->axis << ", epsilon " << llvm::format("%g", norm->epsilon);
    log.found(norm->centered ? "layer_norm" : "rms_norm", first, detail);
  }
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Whether `weight` has one element for each position of the normalized dimensions of x.
static bool isWeightOf(Value weight, Value x, int64_t axis) {
  ArrayRef<int64_t> normalized = typeOf(x).getShape().drop_front(axis),
                    shape = typeOf(weight).getShape();
  while (!shape.empty() && shape.size() > normalized.size() && shape.front() == 1) {
    shape = shape.drop_front();
  }
  return shape == normalized && typeOf(weight).getRank() <= typeOf(x).getRank();
}

/// The normalization whose only use is the operand `i` of `op`.
template <typename NormOp> static NormOp normalizationAt(Operation *op, unsigned i) {
  auto norm = op->getOperand(i).getDefiningOp<NormOp>();
  bool usable = norm && norm.getY() == op->getOperand(i) && norm.getY().hasOneUse() &&
                isWeightOf(op->getOperand(1 - i), norm.getX(), norm.getAxis());
  return usable ? norm : NormOp();
}

namespace {
/// layer_norm(x) * w == layer_norm(x) gamma w
struct FoldLayerNormWeight : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      auto norm = normalizationAt<LayerNormOp>(op, i);
      if (norm && !norm.getGamma() && !norm.getBeta()) {
        rewriter.replaceOp(op, createValue<LayerNormOp>(rewriter, norm.getLoc(), norm.getX(),
                                                        op->getOperand(1 - i), Value(),
                                                        norm.getAxisAttr(), norm.getEpsilonAttr()));
        return success();
      }
    }
    return failure();
  }
};

/// layer_norm(x) + b == layer_norm(x) beta b
struct FoldLayerNormBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      auto norm = normalizationAt<LayerNormOp>(op, i);
      if (norm && !norm.getBeta()) {
        rewriter.replaceOp(op, createValue<LayerNormOp>(rewriter, norm.getLoc(), norm.getX(),
                                                        norm.getGamma(), op->getOperand(1 - i),
                                                        norm.getAxisAttr(), norm.getEpsilonAttr()));
        return success();
      }
    }
    return failure();
  }
};

/// rms_norm(x) * w == rms_norm(x) gamma w
struct FoldRmsNormWeight : OpRewritePattern<MulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MulOp op, PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      auto norm = normalizationAt<RmsNormOp>(op, i);
      if (norm && !norm.getGamma()) {
        rewriter.replaceOp(op, createValue<RmsNormOp>(rewriter, norm.getLoc(), norm.getX(),
                                                      op->getOperand(1 - i), norm.getAxisAttr(),
                                                      norm.getEpsilonAttr()));
        return success();
      }
    }
    return failure();
  }
};

struct RaiseNormalization : dsc::impl::RaiseNormalizationBase<RaiseNormalization> {
  using RaiseNormalizationBase::RaiseNormalizationBase;
  void runOnOperation() override {
    RewriteLimit left(limit);
    PatternLog log;
    log.foundAsOps<LayerNormOp>("layer_norm", getOperation());
    log.foundAsOps<RmsNormOp>("rms_norm", getOperation());
    raiseNormalizations(getOperation(), log, left);
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldLayerNormWeight, FoldLayerNormBias, FoldRmsNormWeight>(&getContext());
    // Weights of norms that the file has as ops fold too; with a limit, norms come first.
    if (failed(applyPatternsWithin(getOperation(), std::move(patterns), left.remaining()))) {
      return signalPassFailure();
    }
    log.attach(getOperation());
  }
};
} // namespace
