// Lets attention read q, k and v where the projections wrote them.
//
// Each operand is followed back through reshapes, transposes, slices, repetitions and constant
// factors; where a value on the way holds the operand's rows as they are (with other columns beside
// them, perhaps), that value is read instead. Three operands in one projection become one packed
// operand; keys repeated for several heads become fewer kv_heads; factors on q and k (both
// exporters split the scale over them) become part of the scale; masks that are constants of a
// known kind become flags.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/AttentionMask.h"
#include "passes/raise/AttentionRows.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"

#include "mlir/Transforms/RegionUtils.h"

namespace dsc {
#define GEN_PASS_DEF_PACKATTENTION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static ArrayRef<int64_t> shapeOf(Value value) { return typeOf(value).getShape(); }

/// The best value to read one operand from: the farthest that holds nothing else, or else the
/// nearest that holds it beside other columns, if that saves moving data.
static RowSource chooseSource(ArrayRef<RowSource> sources, int64_t heads, int64_t width) {
  RowSource best = sources.front();
  for (const RowSource &source : sources) {
    if (source.heads == heads && source.offset == 0 && source.row == heads * width) {
      best = source;
    }
  }
  if (best.copies || best.heads != heads) {
    return best;
  }
  for (const RowSource &source : sources) {
    if (source.heads == heads && source.copies) {
      return source;
    }
  }
  return best;
}

namespace {
/// One attention with the values that its operands can be read from.
struct Operands {
  AttentionOp op;
  SmallVector<RowSource> q, k, v;
  int64_t width;

  explicit Operands(AttentionOp op) : op(op), width(shapeOf(op.getQkv()[0])[2] / op.getHeads()) {
    q = findRowSources(op.getQkv()[0], op.getHeads(), true);
    k = findRowSources(op.getQkv()[1], op.getKvHeads(), true);
    v = findRowSources(op.getQkv()[2], op.getKvHeads(), false);
  }

  /// q, k and v side by side in the rows of one value.
  std::optional<std::array<RowSource, 3>> findPacked() {
    for (const RowSource &a : q) {
      for (const RowSource &b : k) {
        for (const RowSource &c : v) {
          int64_t heads = op.getHeads();
          if (a.value == b.value && b.value == c.value && a.heads == heads && b.heads == c.heads &&
              a.offset == 0 && b.offset == heads * width && c.offset == (heads + b.heads) * width &&
              a.row == (heads + 2 * b.heads) * width) {
            return std::array<RowSource, 3>{a, b, c};
          }
        }
      }
    }
    return std::nullopt;
  }

  /// The least number of distinct heads that k and v both have a source of.
  int64_t leastKvHeads() {
    int64_t least = op.getKvHeads();
    for (const RowSource &b : k) {
      bool both = llvm::any_of(v, [&](const RowSource &c) { return c.heads == b.heads; });
      least = both ? std::min(least, b.heads) : least;
    }
    return least;
  }
};
} // namespace

static Value reshapeTo(OpBuilder &builder, Location loc, Value value, ArrayRef<int64_t> shape) {
  return shapeOf(value) == shape
             ? value
             : createValue<ReshapeOp>(builder, loc, typeOf(value).clone(shape), value);
}

/// The columns of `source` that an operand with these dimensions reads.
static Value readRows(OpBuilder &builder, Location loc, const RowSource &source, int64_t batch,
                      int64_t length, int64_t columns) {
  Value rows = reshapeTo(builder, loc, source.value, {batch, length, source.row});
  if (source.row == columns) {
    return rows;
  }
  return createValue<SliceOp>(builder, loc, rows,
                              builder.getDenseI64ArrayAttr({0, 0, source.offset}),
                              builder.getDenseI64ArrayAttr({batch, length, columns}),
                              builder.getDenseI64ArrayAttr({1, 1, 1}));
}

/// The mask after what its constants say; sets `causal`.
static Value settleMask(AttentionOp op, bool &causal) {
  Value mask = op.getMask();
  if (!mask) {
    return mask;
  }
  int64_t queries = shapeOf(op.getLse())[2];
  int64_t keys = op.getQkv().size() == 1 ? queries : shapeOf(op.getQkv()[1])[1];
  MaskKind kind = classifyMask(mask, queries, keys);
  causal |= kind == MaskKind::Causal;
  return kind == MaskKind::Causal || kind == MaskKind::Nothing ? Value() : mask;
}

static void packOperands(AttentionOp op, PatternLog &log) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  bool causal = op.getCausal();
  Value mask = settleMask(op, causal);
  SmallVector<Value> qkv(op.getQkv());
  double scale = op.getScale().convertToDouble();
  int64_t kvHeads = op.getKvHeads();
  if (qkv.size() == 3) {
    Operands operands(op);
    int64_t batch = shapeOf(qkv[0])[0], queries = shapeOf(qkv[0])[1], keys = shapeOf(qkv[1])[1];
    if (std::optional<std::array<RowSource, 3>> packed = operands.findPacked()) {
      kvHeads = (*packed)[1].heads;
      scale *= (*packed)[0].scale * (*packed)[1].scale;
      qkv = {reshapeTo(builder, loc, (*packed)[0].value, {batch, queries, (*packed)[0].row})};
      log.found("packed_qkv", op, "one projection of " + Twine((*packed)[0].row) + " columns");
    } else {
      kvHeads = operands.leastKvHeads();
      RowSource q = chooseSource(operands.q, op.getHeads(), operands.width);
      // Where only repeated keys are at hand, the operand itself comes first in its sources.
      auto ofHeads = [&](ArrayRef<RowSource> sources) {
        return chooseSource(
            llvm::to_vector(llvm::make_filter_range(
                sources, [&](const RowSource &source) { return source.heads == kvHeads; })),
            kvHeads, operands.width);
      };
      RowSource k = ofHeads(operands.k), v = ofHeads(operands.v);
      scale *= q.scale * k.scale;
      qkv = {readRows(builder, loc, q, batch, queries, op.getHeads() * operands.width),
             readRows(builder, loc, k, batch, keys, kvHeads * operands.width),
             readRows(builder, loc, v, batch, keys, kvHeads * operands.width)};
    }
    if (kvHeads != static_cast<int64_t>(op.getKvHeads())) {
      log.found("grouped_query", op,
                Twine(op.getHeads()) + " heads share " + Twine(kvHeads) + " of k and v");
    }
  }
  auto packed = builder.create<AttentionOp>(
      loc, ValueRange(qkv), mask, op.getHeadsAttr(), builder.getI64IntegerAttr(kvHeads),
      builder.getF64FloatAttr(scale), builder.getBoolAttr(causal));
  op.replaceAllUsesWith(packed.getResults());
  op.erase();
}

namespace {
struct PackAttention : dsc::impl::PackAttentionBase<PackAttention> {
  using PackAttentionBase::PackAttentionBase;
  void runOnOperation() override {
    RewriteLimit left(limit);
    PatternLog log;
    SmallVector<AttentionOp> ops;
    getOperation().walk([&](AttentionOp op) { ops.push_back(op); });
    for (AttentionOp op : ops) {
      if (left.take()) {
        packOperands(op, log);
      }
    }
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
    log.attach(getOperation());
  }
};
} // namespace
