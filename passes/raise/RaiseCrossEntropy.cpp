// Finds the negative log likelihood written as an element of log_softmax: models with their loss
// inside that pick the labels themselves. (SoftmaxCrossEntropyLoss is one op from import on.)

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"

#include "mlir/Transforms/RegionUtils.h"

#include <limits>

namespace dsc {
#define GEN_PASS_DEF_RAISECROSSENTROPY
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// What keeps gather_elements(log_softmax(x), labels) from being a cross-entropy; empty where it is
/// one.
static std::string whyNot(GatherElementsOp gather, LogSoftmaxOp logSoftmax) {
  int64_t last = typeOf(gather.getData()).getRank() - 1;
  if (static_cast<int64_t>(logSoftmax.getAxis()) != last ||
      static_cast<int64_t>(gather.getAxis()) != last) {
    return "classes are not the last dimension";
  }
  ArrayRef<int64_t> data = typeOf(gather.getData()).getShape(),
                    indices = typeOf(gather.getIndices()).getShape();
  if (indices.drop_back() != data.drop_back() || indices.back() != 1) {
    return "not one label a row";
  }
  if (!logSoftmax->hasOneUse()) {
    return "the log-probabilities are used more than once";
  }
  return "";
}

/// gather_elements(log_softmax(x), labels) == -cross_entropy(x, labels)
static void raise(GatherElementsOp gather, LogSoftmaxOp logSoftmax) {
  OpBuilder builder(gather);
  Location loc = gather.getLoc();
  auto labelsType = typeOf(gather.getIndices());
  Value labels = createValue<ReshapeOp>(
      builder, loc, labelsType.clone(labelsType.getShape().drop_back()), gather.getIndices());
  auto noIgnored = builder.getI64IntegerAttr(std::numeric_limits<int64_t>::min());
  Value loss = createValue<CrossEntropyOp>(builder, loc, logSoftmax.getX(), labels, noIgnored,
                                           builder.getF64FloatAttr(0), IntegerAttr());
  RankedTensorType type = typeOf(gather.getResult());
  if (typeOf(loss).getElementType() !=
      type.getElementType()) { // losses are f32 where logits are f16
    loss = createValue<CastOp>(builder, loc, typeOf(loss).clone(type.getElementType()), loss);
  }
  Value column = createValue<ReshapeOp>(builder, loc, type, loss);
  gather.getResult().replaceAllUsesWith(
      createValue<NegOp>(builder, loc, column)); // meets the model's own negation
}

namespace {
struct RaiseCrossEntropy : dsc::impl::RaiseCrossEntropyBase<RaiseCrossEntropy> {
  using RaiseCrossEntropyBase::RaiseCrossEntropyBase;
  void runOnOperation() override {
    RewriteLimit left(limit);
    PatternLog log;
    log.foundAsOps<CrossEntropyOp>("cross_entropy", getOperation());
    SmallVector<GatherElementsOp> anchors;
    getOperation().walk([&](GatherElementsOp op) { anchors.push_back(op); });
    for (GatherElementsOp gather : anchors) {
      auto logSoftmax = gather.getData().getDefiningOp<LogSoftmaxOp>();
      if (!logSoftmax) {
        continue;
      }
      std::string reason = whyNot(gather, logSoftmax);
      if (!reason.empty()) {
        log.missed("cross_entropy", gather, reason);
        continue;
      }
      if (!left.take()) {
        break;
      }
      log.found("cross_entropy", gather,
                Twine(typeOf(gather.getData()).getShape().back()) + " classes");
      raise(gather, logSoftmax);
    }
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
    log.attach(getOperation());
  }
};
} // namespace
