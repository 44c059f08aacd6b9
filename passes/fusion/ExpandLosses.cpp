// Softmax cross-entropy and its gradient become ops over the rows of the logits. The label's logit
// is picked by comparing the label with each column's index, so that no gather parts the forward
// from the backward: both are one kernel.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

namespace dsc {
#define GEN_PASS_DEF_EXPANDLOSSES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// What the loss and its gradient have in common. A row is one position, its columns are the
/// classes.
struct Rows {
  ValueBuilder b;
  Value logits;        // in the type of statistics
  Value labels, valid; // one a row
  SmallVector<int64_t> column;
  int64_t axis;
  double classes, smoothing;

  template <typename OpT>
  Rows(OpBuilder &builder, OpT op)
      : b(builder, op.getLoc()), smoothing(op.getLabelSmoothing().convertToDouble()) {
    RankedTensorType type = tensorType(op.getLogits());
    axis = type.getRank() - 1;
    classes = static_cast<double>(type.getDimSize(axis));
    logits = b.cast(op.getLogits(), statisticsType(type.getElementType()));
    column.assign(type.getShape().begin(), type.getShape().end());
    column.back() = 1;
    labels = b.reshape(op.getLabels(), column);
    auto ignored =
        DenseElementsAttr::get(RankedTensorType::get({}, tensorType(labels).getElementType()),
                               builder.getIntegerAttr(tensorType(labels).getElementType(),
                                                      static_cast<int64_t>(op.getIgnoreIndex())));
    valid = b.create<CompareOp>(labels, b.create<ConstantOp>(ignored), ComparePredicate::ne);
  }

  /// Whether a column is the row's label. 32 bits count the classes, and labels that are none match
  /// no column.
  Value isLabel() {
    Type i32 = b.builder.getI32Type();
    SmallVector<int64_t> shape(column.size(), 1);
    shape.back() = static_cast<int64_t>(classes);
    Value index = b.create<IotaOp>(RankedTensorType::get(shape, i32), axis);
    return b.create<CompareOp>(index, b.cast(labels, i32), ComparePredicate::eq);
  }

  Value total(Value x) { return b.reduce(ReduceKind::sum, x, {axis}); }
};
} // namespace

// lse = max + log sum e^(x - max); loss = (1 - s) (lse - x[label]) + s (lse - mean(x)), 0 where
// ignored
static void expand(CrossEntropyOp op) {
  OpBuilder builder(op);
  Rows rows(builder, op);
  ValueBuilder &b = rows.b;
  Value x = rows.logits, largest = b.reduce(ReduceKind::max, x, {rows.axis});
  Value lse = b.add(b.create<LogOp>(rows.total(b.create<ExpOp>(b.sub(x, largest)))), largest);
  Value target = rows.total(b.select(rows.isLabel(), x, b.scalar(0, x)));
  Value loss = b.sub(lse, target);
  if (rows.smoothing != 0) {
    Value uniform = b.sub(lse, b.div(rows.total(x), rows.classes));
    loss = b.add(b.mul(loss, 1 - rows.smoothing), b.mul(uniform, rows.smoothing));
  }
  loss = b.select(rows.valid, loss, b.scalar(0, loss));
  ArrayRef<int64_t> shape = tensorType(op.getLoss()).getShape();
  op.getLoss().replaceAllUsesWith(b.reshape(loss, shape));
  op.getLse().replaceAllUsesWith(b.reshape(lse, shape));
  op.erase();
}

// dlogits = dloss (e^(x - lse) - target), 0 where ignored; target = (1 - s) [label] + s / classes
static void expand(CrossEntropyGradOp op) {
  OpBuilder builder(op);
  Rows rows(builder, op);
  ValueBuilder &b = rows.b;
  Value softmax = b.create<ExpOp>(b.sub(rows.logits, b.reshape(op.getLse(), rows.column)));
  double others = rows.smoothing / rows.classes;
  Value target = b.select(rows.isLabel(), b.scalar(1 - rows.smoothing + others, softmax),
                          b.scalar(others, softmax));
  Value gradient = b.mul(b.reshape(op.getDloss(), rows.column), b.sub(softmax, target));
  gradient = b.select(rows.valid, gradient, b.scalar(0, gradient));
  op.getDlogits().replaceAllUsesWith(b.cast(gradient, tensorType(op.getLogits()).getElementType()));
  op.erase();
}

namespace {
struct ExpandLosses : public dsc::impl::ExpandLossesBase<ExpandLosses> {
  void runOnOperation() override {
    getOperation().walk([](CrossEntropyOp op) { expand(op); });
    getOperation().walk([](CrossEntropyGradOp op) { expand(op); });
  }
};
} // namespace
