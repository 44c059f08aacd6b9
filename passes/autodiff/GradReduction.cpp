// Gradients of reductions and running sums.

#include "passes/autodiff/GradRules.h"

using namespace mlir;
using namespace dsc;

/// For each element, the product of all others along `axes`: right where some are 0, unlike product
/// / element.
static Value productOfOthers(Grad &g, Value x, ArrayRef<int64_t> axes) {
  // One axis at a time is enough for running products, so the reduced dimensions go last and become
  // one.
  RankedTensorType type = tensorType(x);
  SmallVector<int64_t> permutation, inverse(type.getRank());
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!llvm::is_contained(axes, i)) {
      permutation.push_back(i);
    }
  }
  int64_t rows = 1, columns = 1;
  for (int64_t dim : permutation) {
    rows *= type.getDimSize(dim);
  }
  for (int64_t axis : axes) {
    permutation.push_back(axis);
    columns *= type.getDimSize(axis);
  }
  for (auto [i, dim] : llvm::enumerate(permutation)) {
    inverse[dim] = i;
  }
  Value moved = g.transpose(x, permutation);
  Value matrix = g.reshape(moved, {rows, columns});
  Value before =
      g.create<CumulativeOp>(matrix, ReduceKind::prod, 1, /*exclusive=*/true, /*reverse=*/false);
  Value after =
      g.create<CumulativeOp>(matrix, ReduceKind::prod, 1, /*exclusive=*/true, /*reverse=*/true);
  Value others = g.reshape(g.mul(before, after), tensorType(moved).getShape());
  return g.transpose(others, inverse);
}

// sum: dx = dy; prod: dx = dy * product of the other elements; max, min: dx = dy / n at the n
// elements equal to y
void dsc::gradReduce(ReduceOp op, Grad &g) {
  Value x = op.getX(), dy = g.of();
  switch (op.getKind()) {
  case ReduceKind::sum:
    return g.give(0, dy);
  case ReduceKind::prod:
    return g.give(0, g.mul(dy, productOfOthers(g, x, op.getAxes())));
  case ReduceKind::max:
  case ReduceKind::min: {
    Value best = g.compare(ComparePredicate::eq, x, op.getY());
    Value ties =
        g.reduce(ReduceKind::sum, g.cast(best, tensorType(dy).getElementType()), op.getAxes());
    return g.give(0, g.select(best, g.div(dy, ties), g.scalar(0, dy)));
  }
  }
}

// sum: dx = running sum of dy the other way; prod: dx = (running sum of dy y the other way) / x
void dsc::gradCumulative(CumulativeOp op, Grad &g) {
  bool product = op.getKind() == ReduceKind::prod;
  Value terms = product ? g.mul(g.of(), op.getY()) : g.of();
  Value total = g.create<CumulativeOp>(terms, ReduceKind::sum, op.getAxis(), op.getExclusive(),
                                       !op.getReverse());
  g.give(0, product ? g.div(total, op.getX()) : total);
}
