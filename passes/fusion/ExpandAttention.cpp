// Attention that the target's libraries do not take becomes batched products around a softmax over
// the keys. Heads of q that share a head of k and v are a dimension of their own, so that nothing
// is repeated in memory.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

#include <cmath>

namespace dsc {
#define GEN_PASS_DEF_EXPANDATTENTION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// Attention's operands as [batch, kv_heads, group, length, width]; group = heads / kv_heads.
struct Heads {
  ValueBuilder b;
  int64_t batch, heads, kvHeads, group, queries, keys, width;
  bool packed;
  Type element, statistics;
  Value q, k, v;

  template <typename OpT>
  Heads(OpBuilder &builder, OpT op)
      : b(builder, op.getLoc()), heads(op.getHeads()), kvHeads(op.getKvHeads()),
        group(heads / kvHeads), packed(op.getQkv().size() == 1) {
    RankedTensorType first = tensorType(op.getQkv()[0]);
    batch = first.getDimSize(0);
    queries = first.getDimSize(1);
    keys = packed ? queries : tensorType(op.getQkv()[1]).getDimSize(1);
    width = first.getDimSize(2) / (packed ? heads + 2 * kvHeads : heads);
    element = first.getElementType();
    statistics = statisticsType(element);
    if (packed) {
      Value all = op.getQkv()[0];
      q = byHead(columns(all, 0, heads), queries, group);
      k = byHead(columns(all, heads, kvHeads), keys, 1);
      v = byHead(columns(all, heads + kvHeads, kvHeads), keys, 1);
    } else {
      q = byHead(op.getQkv()[0], queries, group);
      k = byHead(op.getQkv()[1], keys, 1);
      v = byHead(op.getQkv()[2], keys, 1);
    }
  }

  /// `count` heads of a packed tensor, from `first` on.
  Value columns(Value all, int64_t first, int64_t count) {
    SmallVector<int64_t> starts{0, 0, first * width}, sizes{batch, queries, count * width};
    return b.create<SliceOp>(all, starts, sizes, SmallVector<int64_t>(3, 1));
  }

  /// [batch, length, kv_heads * inner * width] -> [batch, kv_heads, inner, length, width]
  Value byHead(Value x, int64_t length, int64_t inner) {
    return b.transpose(b.reshape(x, {batch, length, kvHeads, inner, width}), {0, 2, 3, 1, 4});
  }

  /// The way back.
  Value byPosition(Value x, int64_t length, int64_t inner) {
    return b.reshape(b.transpose(x, {0, 3, 1, 2, 4}), {batch, length, kvHeads * inner * width});
  }

  /// One element a row of scores: [batch, heads, queries] -> [batch, kv_heads, group, queries, 1]
  Value byRow(Value x) { return b.reshape(x, {batch, kvHeads, group, queries, 1}); }

  /// scale q k^T + mask in the type of statistics, -inf where a key is hidden.
  template <typename OpT> Value scores(OpT op) {
    Value x = b.cast(b.create<MatmulOp>(q, k, false, true), statistics);
    x = b.mul(x, op.getScale().convertToDouble());
    Value hidden = b.scalar(-INFINITY, x);
    if (op.getCausal()) {
      Type i32 = b.builder.getI32Type();
      Value row = b.create<IotaOp>(RankedTensorType::get({1, 1, 1, queries, 1}, i32), 3);
      Value column = b.create<IotaOp>(RankedTensorType::get({1, 1, 1, 1, keys}, i32), 4);
      x = b.select(b.compare(ComparePredicate::le, column, row), x, hidden);
    }
    if (Value mask = op.getMask()) {
      ArrayRef<int64_t> shape = tensorType(mask).getShape();
      bool perHead = shape[1] != 1;
      mask = b.reshape(mask,
                       {shape[0], perHead ? kvHeads : 1, perHead ? group : 1, shape[2], shape[3]});
      x = isa<FloatType>(tensorType(mask).getElementType()) ? b.add(x, b.cast(mask, statistics))
                                                            : b.select(mask, x, hidden);
    }
    return x;
  }

  Value exponential(Value x) { return b.create<ExpOp>(x, /*approximate=*/element != statistics); }

  /// `x`, or 0 where it is -inf: what rows are shifted by; a row with every key hidden by nothing.
  Value finite(Value x) {
    return b.select(b.compare(ComparePredicate::eq, x, -INFINITY), b.scalar(0, x), x);
  }

  /// Sums what the heads of one group contribute to a head of k or v.
  Value overGroup(Value x) { return group == 1 ? x : b.reduce(ReduceKind::sum, x, {2}); }
};
} // namespace

// lse = max + log sum e^(x - max), out = (e^(x - max) / sum) v
static void expand(AttentionOp op) {
  OpBuilder builder(op);
  Heads heads(builder, op);
  ValueBuilder &b = heads.b;
  Value x = heads.scores(op);
  Value largest = heads.finite(b.reduce(ReduceKind::max, x, {4}));
  Value power = heads.exponential(b.sub(x, largest)), sum = b.reduce(ReduceKind::sum, power, {4});
  Value isEmpty = b.compare(ComparePredicate::eq, sum, 0);
  Value p = b.div(power, b.select(isEmpty, b.scalar(1, sum), sum));
  Value out = b.create<MatmulOp>(b.cast(p, heads.element), heads.v);
  Value lse = b.add(b.create<LogOp>(sum), largest);
  op.getOut().replaceAllUsesWith(heads.byPosition(out, heads.queries, heads.group));
  op.getLse().replaceAllUsesWith(b.reshape(lse, {heads.batch, heads.heads, heads.queries}));
  op.erase();
}

// p = e^(x - lse) / sum e^(x - lse); dv = p^T do; ds = scale p (do v^T - sum(do out)); dq = ds k;
// dk = ds^T q. The sum is 1 but for rounding, and but for rows whose every key is hidden by a large
// finite number: beside that, the logarithm of how many keys they are is lost in lse.
static void expand(AttentionGradOp op) {
  OpBuilder builder(op);
  Heads heads(builder, op);
  ValueBuilder &b = heads.b;
  Value dout = heads.byHead(op.getDout(), heads.queries, heads.group);
  Value out = heads.byHead(op.getOut(), heads.queries, heads.group);
  Value delta = b.reduce(ReduceKind::sum,
                         b.mul(b.cast(dout, heads.statistics), b.cast(out, heads.statistics)), {4});
  Value lse = heads.finite(heads.byRow(op.getLse()));
  Value power = heads.exponential(b.sub(heads.scores(op), lse));
  Value sum = b.reduce(ReduceKind::sum, power, {4});
  Value isEmpty = b.compare(ComparePredicate::eq, sum, 0);
  Value p = b.div(power, b.select(isEmpty, b.scalar(1, sum), sum));
  Value dp = b.cast(b.create<MatmulOp>(dout, heads.v, false, true), heads.statistics);
  Value ds = b.mul(b.mul(p, b.sub(dp, delta)), op.getScale().convertToDouble());
  ds = b.cast(ds, heads.element);
  Value dq = b.create<MatmulOp>(ds, heads.k);
  Value dk = heads.overGroup(b.create<MatmulOp>(ds, heads.q, true, false));
  Value dv = heads.overGroup(b.create<MatmulOp>(b.cast(p, heads.element), dout, true, false));
  SmallVector<Value> parts{heads.byPosition(dq, heads.queries, heads.group),
                           heads.byPosition(dk, heads.keys, 1),
                           heads.byPosition(dv, heads.keys, 1)};
  if (heads.packed) {
    op.getDqkv()[0].replaceAllUsesWith(b.create<ConcatOp>(parts, 2));
  } else {
    for (auto [result, part] : llvm::zip_equal(op.getDqkv(), parts)) {
      result.replaceAllUsesWith(part);
    }
  }
  op.erase();
}

namespace {
struct ExpandAttention : public dsc::impl::ExpandAttentionBase<ExpandAttention> {
  void runOnOperation() override {
    std::unique_ptr<Target> target = targetOf(getOperation());
    getOperation().walk([&](Operation *op) {
      if (!isa<AttentionOp, AttentionGradOp>(op) || target->takesAttention(op)) {
        return;
      }
      if (auto attention = dyn_cast<AttentionOp>(op)) {
        expand(attention);
      } else {
        expand(cast<AttentionGradOp>(op));
      }
    });
  }
};
} // namespace
