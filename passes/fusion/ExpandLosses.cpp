// Softmax cross-entropy and its gradient become ops over the rows of the logits. The label's logit
// is picked by comparing the label with each column's index, so that no gather parts the forward
// from the backward: both are one kernel.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

#include <limits>

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
  Value logits;        // in the type of statistics; -inf in padding
  Value labels, valid; // one a row
  Value isClass;       // whether a column is no padding; null where there is none
  SmallVector<int64_t> column;
  int64_t axis, width;
  double classes, smoothing;
  bool isHalf;

  template <typename OpT>
  Rows(OpBuilder &builder, OpT op)
      : b(builder, op.getLoc()), smoothing(op.getLabelSmoothing().convertToDouble()) {
    RankedTensorType type = tensorType(op.getLogits());
    axis = type.getRank() - 1;
    width = type.getDimSize(axis);
    int64_t count = op.getClasses().value_or(width);
    classes = static_cast<double>(count);
    logits = b.cast(op.getLogits(), statisticsType(type.getElementType()));
    isHalf = logits.getType() != type;
    if (count < width) {
      isClass = b.compare(ComparePredicate::lt, columnIndex(), classes);
      logits =
          b.select(isClass, logits, b.scalar(-std::numeric_limits<double>::infinity(), logits));
    }
    column.assign(type.getShape().begin(), type.getShape().end());
    column.back() = 1;
    labels = b.reshape(op.getLabels(), column);
    auto ignored =
        DenseElementsAttr::get(RankedTensorType::get({}, tensorType(labels).getElementType()),
                               builder.getIntegerAttr(tensorType(labels).getElementType(),
                                                      static_cast<int64_t>(op.getIgnoreIndex())));
    valid = b.create<CompareOp>(labels, b.create<ConstantOp>(ignored), ComparePredicate::ne);
  }

  /// Each column's number, for all rows. 32 bits count the classes.
  Value columnIndex() {
    SmallVector<int64_t> shape(axis + 1, 1);
    shape.back() = width;
    return b.create<IotaOp>(RankedTensorType::get(shape, b.builder.getI32Type()), axis);
  }

  /// Whether a column is the row's label; labels that are no class match none.
  Value isLabel() {
    return b.create<CompareOp>(columnIndex(), b.cast(labels, b.builder.getI32Type()),
                               ComparePredicate::eq);
  }

  /// x where a column is a class, 0 in padding.
  Value onClasses(Value x) { return isClass ? b.select(isClass, x, b.scalar(0, x)) : x; }

  Value exponential(Value x) { return b.create<ExpOp>(x, /*approximate=*/isHalf); }

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
  Value lse = b.add(b.create<LogOp>(rows.total(rows.exponential(b.sub(x, largest)))), largest);
  Value target = rows.total(b.select(rows.isLabel(), x, b.scalar(0, x)));
  Value loss = b.sub(lse, target);
  if (rows.smoothing != 0) {
    Value uniform = b.sub(lse, b.div(rows.total(rows.onClasses(x)), rows.classes));
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
  Value softmax = rows.exponential(b.sub(rows.logits, b.reshape(op.getLse(), rows.column)));
  double others = rows.smoothing / rows.classes;
  Value target = b.select(rows.isLabel(), b.scalar(1 - rows.smoothing + others, softmax),
                          b.scalar(others, softmax));
  Value gradient = b.mul(b.reshape(op.getDloss(), rows.column), b.sub(softmax, target));
  gradient = rows.onClasses(b.select(rows.valid, gradient, b.scalar(0, gradient)));
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
