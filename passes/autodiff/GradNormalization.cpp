// Gradients of softmax, norms and cross-entropy. Those with respect to x are ops of their own,
// which the fusion phase expands into one pass over the row; those of gamma and beta are plain
// sums, which it joins to that pass.

#include "passes/autodiff/GradRules.h"

using namespace mlir;
using namespace dsc;

// dx = y (dy - sum(dy y))
void dsc::gradSoftmax(SoftmaxOp op, Grad &g) {
  Value product = g.mul(g.of(), op.getY());
  Value total = g.reduce(ReduceKind::sum, product, {static_cast<int64_t>(op.getAxis())});
  g.give(0, g.sub(product, g.mul(op.getY(), total)));
}

// dx = dy - e^y sum(dy)
void dsc::gradLogSoftmax(LogSoftmaxOp op, Grad &g) {
  Value total = g.reduce(ReduceKind::sum, g.of(), {static_cast<int64_t>(op.getAxis())});
  g.give(0, g.sub(g.of(), g.mul(g.create<ExpOp>(op.getY()), total)));
}

/// dy * gamma in x's type, the operand of the norms' gradient ops.
static Value scaledGradient(Grad &g, Value gamma) { return gamma ? g.mul(g.of(), gamma) : g.of(); }

/// Number of elements of a row of `x` from `axis` on.
static double rowElements(Value x, int64_t axis) {
  double count = 1;
  for (int64_t size : tensorType(x).getShape().drop_front(axis)) {
    count *= static_cast<double>(size);
  }
  return count;
}

// dx by layer_norm_grad, dgamma = sum(dy xhat), dbeta = sum(dy); dx += dmean / n - drstd rstd^3 (x
// - mean) / n
void dsc::gradLayerNorm(LayerNormOp op, Grad &g) {
  Value x = op.getX(), gamma = op.getGamma(), mean = op.getMean(), rstd = op.getRstd();
  int64_t axis = op.getAxis();
  Type statistics = tensorType(mean).getElementType();
  auto centered = [&] { return g.sub(g.cast(x, statistics), mean); };
  if (g.of() && g.wants(0)) {
    g.give(0, g.create<LayerNormGradOp>(x, mean, rstd, scaledGradient(g, gamma), axis));
  }
  if (g.of() && gamma && g.wants(1)) {
    g.give(1, g.mul(g.cast(g.of(), statistics), g.mul(centered(), rstd)));
  }
  if (g.of() && op.getBeta()) {
    g.give(gamma ? 2 : 1, g.of());
  }
  if (g.of(1)) {
    g.give(0, g.div(g.of(1), rowElements(x, axis)));
  }
  if (g.of(2)) {
    Value slope = g.mul(g.mul(g.mul(rstd, rstd), rstd), -1 / rowElements(x, axis));
    g.give(0, g.mul(g.mul(g.of(2), slope), centered()));
  }
}

// dx by rms_norm_grad, dgamma = sum(dy x rstd); dx += -drstd rstd^3 x / n
void dsc::gradRmsNorm(RmsNormOp op, Grad &g) {
  Value x = op.getX(), rstd = op.getRstd();
  int64_t axis = op.getAxis();
  Type statistics = tensorType(rstd).getElementType();
  if (g.of() && g.wants(0)) {
    g.give(0, g.create<RmsNormGradOp>(x, rstd, scaledGradient(g, op.getGamma()), axis));
  }
  if (g.of() && op.getGamma() && g.wants(1)) {
    g.give(1, g.mul(g.cast(g.of(), statistics), g.mul(g.cast(x, statistics), rstd)));
  }
  if (g.of(1)) {
    Value slope = g.mul(g.mul(g.mul(rstd, rstd), rstd), -1 / rowElements(x, axis));
    g.give(0, g.mul(g.mul(g.of(1), slope), g.cast(x, statistics)));
  }
}

// dx, dgamma and dbeta by batch_norm_grad
void dsc::gradBatchNorm(BatchNormOp op, Grad &g) {
  if (g.of(1) || g.of(2) || g.of(3)) {
    return g.refuse(
        "the loss depends on the batch's statistics other than through the normalized values");
  }
  auto grad = g.create<BatchNormGradOp>(op.getX(), op.getGamma(), op.getMean(), op.getRstd(),
                                        g.of(), op.getLayout());
  g.give(0, grad.getDx());
  g.give(1, grad.getDgamma());
  g.give(2, grad.getDbeta());
}

// dlogits by cross_entropy_grad; dlogits += dlse e^(logits - lse)
void dsc::gradCrossEntropy(CrossEntropyOp op, Grad &g) {
  Value logits = op.getLogits();
  if (g.of()) {
    g.give(0, g.create<CrossEntropyGradOp>(logits, op.getLabels(), op.getLse(), g.of(),
                                           op.getIgnoreIndexAttr(), op.getLabelSmoothingAttr(),
                                           op.getClassesAttr()));
  }
  if (g.of(1)) {
    SmallVector<int64_t> column(tensorType(op.getLse()).getShape());
    column.push_back(1);
    Value wide = g.cast(logits, tensorType(op.getLse()).getElementType());
    Value softmax = g.create<ExpOp>(g.sub(wide, g.reshape(op.getLse(), column)));
    Value dlogits = g.mul(softmax, g.reshape(g.of(1), column));
    if (op.getClasses()) { // padding has no part in lse
      int64_t rank = tensorType(logits).getRank();
      SmallVector<int64_t> row(rank, 1);
      row.back() = tensorType(logits).getShape().back();
      Value index = g.create<IotaOp>(RankedTensorType::get(row, g.builder.getI32Type()), rank - 1);
      Value isClass = g.compare(ComparePredicate::lt, index, static_cast<double>(*op.getClasses()));
      dlogits = g.select(isClass, dlogits, g.scalar(0, dlogits));
    }
    g.give(0, dlogits);
  }
}
