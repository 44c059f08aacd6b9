// Gradients of matrix products and attention. Transposes stand in the products' flags, never as ops
// of their own.

#include "passes/autodiff/GradRules.h"

#include <numeric>

using namespace mlir;
using namespace dsc;

static int64_t product(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
}

/// `x` as a matrix: all dimensions but the last are rows.
static Value asRows(Grad &g, Value x) {
  ArrayRef<int64_t> shape = tensorType(x).getShape();
  return g.reshape(x, {product(shape.drop_back()), shape.back()});
}

// c = a b with op-transposes ta, tb:  da' = dc b'^T, db' = a'^T dc, x' = x or its transpose. Where
// b is one matrix for the whole batch, db is one product over all rows of the batch.
void dsc::gradMatmul(MatmulOp op, Grad &g) {
  if (op.getActivation() != Epilogue::none || op.getAccumulator()) {
    return g.refuse("activation and accumulator are set by the fusion phase only");
  }
  Value a = op.getA(), b = op.getB(), dc = g.of();
  bool ta = op.getTransposeA(), tb = op.getTransposeB();
  if (op.getBias()) {
    g.give(2, dc);
  }
  if (g.wants(0)) {
    g.give(0, ta ? g.create<MatmulOp>(b, dc, tb, true) : g.create<MatmulOp>(dc, b, false, !tb));
  }
  if (!g.wants(1)) {
    return;
  }
  RankedTensorType aType = tensorType(a), bType = tensorType(b);
  bool oneMatrix = product(bType.getShape().drop_back(2)) == 1 && aType.getRank() > 2;
  // Rows of a and of dc line up only where a's batch is the whole batch and a is not transposed.
  bool collapses = oneMatrix && !ta &&
                   aType.getNumElements() / aType.getShape().back() ==
                       tensorType(dc).getNumElements() / tensorType(dc).getShape().back();
  if (collapses) {
    Value rowsA = asRows(g, a), rowsC = asRows(g, dc);
    Value db = tb ? g.create<MatmulOp>(rowsC, rowsA, true, false)
                  : g.create<MatmulOp>(rowsA, rowsC, true, false);
    g.give(1, g.reshape(db, bType.getShape()));
    return;
  }
  g.give(1, tb ? g.create<MatmulOp>(dc, a, true, ta) : g.create<MatmulOp>(a, dc, !ta, false));
}

// dq, dk, dv by attention_grad, which computes the scores again from lse
void dsc::gradAttention(AttentionOp op, Grad &g) {
  unsigned parts = op.getQkv().size();
  if (op.getMask() && g.wants(parts)) {
    return g.refuse("its mask depends on trained parameters; compile with --disable=raise");
  }
  if (g.of(1)) {
    return g.refuse("the loss depends on its log-sum-exp");
  }
  auto grad =
      g.create<AttentionGradOp>(op.getQkv(), op.getMask(), op.getOut(), op.getLse(), g.of(),
                                op.getHeads(), op.getKvHeads(), op.getScale(), op.getCausal());
  for (unsigned i = 0; i < parts; ++i) {
    g.give(i, grad.getResult(i));
  }
}
