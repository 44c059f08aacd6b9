// Gradients of matrix products and attention. Transposes stand in the products' flags, never as ops
// of their own.

#include "passes/autodiff/GradRules.h"

#include <limits>
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

/// Operand `part` of attention (q, k or v), packed or not, as [batch, heads, length, width].
static Value headsOf(AttentionOp op, Grad &g, unsigned part) {
  const int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
  const bool isPacked = op.getQkv().size() == 1;
  Value x = op.getQkv()[isPacked ? 0 : part];
  ArrayRef<int64_t> shape = tensorType(x).getShape();
  const int64_t own = part == 0 ? heads : kvHeads;
  const int64_t width = isPacked ? shape[2] / (heads + 2 * kvHeads) : shape[2] / own;
  if (isPacked) {
    const int64_t start = (part == 0 ? 0 : part == 1 ? heads : heads + kvHeads) * width;
    x = g.create<SliceOp>(x, SmallVector<int64_t>{0, 0, start},
                          SmallVector<int64_t>{shape[0], shape[1], own * width},
                          SmallVector<int64_t>{1, 1, 1});
  }
  x = g.transpose(g.reshape(x, {shape[0], shape[1], own, width}), {0, 2, 1, 3});
  if (own == heads) {
    return x;
  }
  x = g.reshape(x, {shape[0], own, 1, shape[1], width});
  x = g.broadcast(x, {shape[0], own, heads / own, shape[1], width});
  return g.reshape(x, {shape[0], heads, shape[1], width});
}

// A float mask is added to the scores s: dmask = ds = p (do v^T - rowsum(do o)), p = exp(s - lse).
// Seldom trained, so plain ops will do; they hold the scores in memory.
static Value maskGradient(AttentionOp op, Grad &g) {
  Value q = headsOf(op, g, 0), k = headsOf(op, g, 1), v = headsOf(op, g, 2);
  ArrayRef<int64_t> shape = tensorType(q).getShape();
  SmallVector<int64_t> out = {shape[0], shape[2], shape[1], shape[3]};
  Value scores = g.mul(g.create<MatmulOp>(q, k, false, true), op.getScale().convertToDouble());
  Value mask = op.getMask(), lse = op.getLse();
  scores = g.add(scores, mask);
  RankedTensorType type = tensorType(scores);
  Type wide = tensorType(lse).getElementType();
  Value shifted = g.sub(g.cast(scores, wide), g.reshape(lse, {shape[0], shape[1], shape[2], 1}));
  // Hidden keys have no share, also in rows without any other, whose lse is no number to subtract.
  Value isSeen = g.compare(ComparePredicate::gt, scores, -std::numeric_limits<double>::infinity());
  if (op.getCausal()) {
    auto index = [&](int64_t axis, ArrayRef<int64_t> dims) {
      return g.create<IotaOp>(RankedTensorType::get(dims, g.builder.getI64Type()), axis);
    };
    Value row = index(2, {1, 1, type.getShape()[2], 1});
    Value column = index(3, {1, 1, 1, type.getShape()[3]});
    isSeen = g.create<AndOp>(isSeen, g.compare(ComparePredicate::le, column, row));
  }
  Value shares = g.cast(g.create<ExpOp>(shifted), type.getElementType());
  Value dout = g.transpose(g.reshape(g.of(), out), {0, 2, 1, 3});
  Value o = g.transpose(g.reshape(op.getOut(), out), {0, 2, 1, 3});
  Value delta =
      g.reshape(g.reduce(ReduceKind::sum, g.mul(dout, o), {3}), {shape[0], shape[1], shape[2], 1});
  Value ds = g.mul(shares, g.sub(g.create<MatmulOp>(dout, v, false, true), delta));
  return g.select(isSeen, ds, g.scalar(0, ds));
}

// dq, dk, dv by attention_grad, which computes the scores again from lse
void dsc::gradAttention(AttentionOp op, Grad &g) {
  unsigned parts = op.getQkv().size();
  if (g.of(1)) {
    return g.refuse("the loss depends on its log-sum-exp");
  }
  if (op.getMask() && g.wants(parts)) {
    g.give(parts, maskGradient(op, g));
  }
  auto grad =
      g.create<AttentionGradOp>(op.getQkv(), op.getMask(), op.getOut(), op.getLse(), g.of(),
                                op.getHeads(), op.getKvHeads(), op.getScale(), op.getCausal());
  for (unsigned i = 0; i < parts; ++i) {
    g.give(i, grad.getResult(i));
  }
}
