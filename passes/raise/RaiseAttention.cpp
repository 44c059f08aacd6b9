// Finds softmax(scale q k^T + mask) v.
//
// The anchor is the softmax. Above it the probabilities may only go into a matrix product, perhaps
// through a guard that makes NaN rows (every key hidden) zero, which the attention op does by
// itself. Below it scales, masks and reshapes are peeled off until the product of q and k. What is
// made has its operands in plain form (transposed and reshaped to [batch, length, heads * width]);
// dsc-pack-attention then looks where they really come from.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/AttentionMask.h"
#include "passes/raise/Constants.h"
#include "passes/raise/PatternLog.h"
#include "passes/raise/StridedView.h"

#include "mlir/Transforms/RegionUtils.h"

#include <cmath>
#include <numeric>

namespace dsc {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }
static ArrayRef<int64_t> shapeOf(Value value) { return typeOf(value).getShape(); }
static ArrayRef<int64_t> batchOf(Value value) { return shapeOf(value).drop_back(2); }

namespace {
/// One mask between the product and the softmax.
struct MaskTerm {
  Value mask;                 // added to the scores (floats), or visible (booleans)
  bool inverted = false;      // booleans that hide instead
  double fill = 0;            // booleans: the score of what is hidden
  SmallVector<int64_t> batch; // batch dimensions of the scores where the mask joins them
  MaskKind kind = MaskKind::Runtime;
};

/// One attention as found in the graph.
struct AttentionMatch {
  SoftmaxOp softmax;
  MatmulOp scores;
  MatmulOp output;
  double scale = 1;
  SmallVector<MaskTerm> masks;
  int64_t batch = 1, heads = 1, queries = 1, keys = 1, width = 1;
};
} // namespace

//===----------------------------------------------------------------------===//
// Above the softmax
//===----------------------------------------------------------------------===//

/// A reshape of batch dimensions only.
static bool keepsMatrix(ReshapeOp op) {
  ArrayRef<int64_t> from = shapeOf(op.getX()), to = shapeOf(op.getY());
  return from.size() >= 2 && to.size() >= 2 && from.take_back(2) == to.take_back(2);
}

/// The select of select(is_nan(p), 0, p), where these two are p's only users.
static SelectOp findNanGuard(Value p) {
  SelectOp guard;
  for (Operation *user : p.getUsers()) {
    if (auto select = dyn_cast<SelectOp>(user); select && (!guard || guard == select)) {
      guard = select;
    } else if (!isa<IsNanOp>(user)) {
      return {};
    }
  }
  if (!guard || guard.getY() != p || splatValue(guard.getX()) != 0.0 ||
      guard.getType() != p.getType()) {
    return {};
  }
  auto test = guard.getCondition().getDefiningOp<IsNanOp>();
  return test && test.getX() == p && test->hasOneUse() ? guard : SelectOp();
}

/// Whether `value` goes, scaled perhaps, into a choice by random numbers.
static bool goesIntoDropout(Value value, int depth = 3) {
  for (Operation *user : value.getUsers()) {
    auto select = dyn_cast<SelectOp>(user);
    auto test = select ? select.getCondition().getDefiningOp<CompareOp>() : CompareOp();
    if (test && test.getLhs().getDefiningOp<RandomOp>()) {
      return true;
    }
    if (depth > 0 && isa<MulOp, DivOp>(user) && goesIntoDropout(user->getResult(0), depth - 1)) {
      return true;
    }
  }
  return false;
}

/// The product with v that the probabilities go into; null with a reason where there is none.
static MatmulOp findOutput(SoftmaxOp softmax, std::string &reason) {
  Value p = softmax.getResult();
  for (int i = 0; i < 4; ++i) {
    if (SelectOp guard = findNanGuard(p)) {
      p = guard.getResult();
      continue;
    }
    if (!p.hasOneUse()) {
      reason = p.use_empty() ? "the probabilities are not used"
                             : "the probabilities are used more than once";
      return {};
    }
    Operation *user = *p.getUsers().begin();
    if (auto reshape = dyn_cast<ReshapeOp>(user); reshape && keepsMatrix(reshape)) {
      p = reshape.getResult();
      continue;
    }
    if (auto matmul = dyn_cast<MatmulOp>(user)) {
      if (matmul.getA() == p && !matmul.getTransposeA() && !matmul.getBias() &&
          !matmul.getAccumulator()) {
        return matmul;
      }
      reason = "the probabilities are not the left operand of their product";
      return {};
    }
    reason = "the probabilities go into '" + user->getName().getStringRef().str() +
             "', not into a product with v";
    if (isa<func::ReturnOp>(user)) {
      reason = "the probabilities are a result of the model";
    } else if (goesIntoDropout(p)) {
      reason = "a dropout stands between the probabilities and v";
    }
    return {};
  }
  reason = "too many ops between the softmax and the product with v";
  return {};
}

//===----------------------------------------------------------------------===//
// Below the softmax
//===----------------------------------------------------------------------===//

/// The operand of `op` that the scores come through, if `op` is one of those that may stand below
/// the softmax.
static Value scoresOperand(Operation *op);

/// Whether `value` is a product, or scores made from one.
static bool leadsToProduct(Value value, int depth = 8) {
  Operation *op = value.getDefiningOp();
  if (!op || depth == 0) {
    return false;
  }
  if (isa<MatmulOp>(op)) {
    return true;
  }
  if (std::optional<ScaledValue> scaled = matchScaled(value)) {
    return leadsToProduct(scaled->x, depth - 1);
  }
  Value operand = scoresOperand(op);
  return operand && leadsToProduct(operand, depth - 1);
}

/// Whether every element of `value` is so low a score that it hides its key.
static bool hides(Value value) {
  std::optional<double> fill = splatValue(value);
  return fill && *fill <= kHiddenScore;
}

static Value scoresOperand(Operation *op) {
  auto hasScoresType = [&](Value operand) {
    return operand.getType() == op->getResult(0).getType();
  };
  if (auto reshape = dyn_cast<ReshapeOp>(op); reshape && keepsMatrix(reshape)) {
    return reshape.getX();
  }
  if (isa<AddOp>(op)) {
    for (Value operand : op->getOperands()) {
      if (hasScoresType(operand) && leadsToProduct(operand)) {
        return operand;
      }
    }
  }
  if (auto select = dyn_cast<SelectOp>(op)) {
    for (Value operand : {select.getX(), select.getY()}) {
      Value other = operand == select.getX() ? select.getY() : select.getX();
      if (hides(other) && hasScoresType(operand) && leadsToProduct(operand)) {
        return operand;
      }
    }
  }
  return {};
}

/// Follows the scores from the softmax down to their product, noting scale and masks.
static bool matchScores(AttentionMatch &match, std::string &reason) {
  bool scaled = false;
  for (Value at = match.softmax.getX();;) {
    Operation *op = at.getDefiningOp();
    if (auto matmul = dyn_cast_or_null<MatmulOp>(op)) {
      match.scores = matmul;
      if (matmul.getBias() || matmul.getAccumulator()) {
        reason = "the product of q and k has a bias";
        return false;
      }
      return true;
    }
    if (std::optional<ScaledValue> s = matchScaled(at)) {
      match.scale *= s->scale;
      scaled = true;
      at = s->x;
      continue;
    }
    Value operand = op ? scoresOperand(op) : Value();
    if (!operand) {
      reason = op ? "'" + op->getName().getStringRef().str() +
                        "' between the product of q and k and the softmax"
                  : std::string("the softmax is not of a product");
      return false;
    }
    if (!isa<ReshapeOp>(op)) {
      MaskTerm term;
      term.batch = SmallVector<int64_t>(batchOf(at));
      if (auto select = dyn_cast<SelectOp>(op)) {
        term.mask = select.getCondition();
        term.inverted = operand == select.getY();
        term.fill = *splatValue(term.inverted ? select.getX() : select.getY());
      } else {
        term.mask = otherOperand(op, operand);
      }
      if (scaled) {
        reason = "a mask joins the scores before they are scaled";
        return false;
      }
      match.masks.push_back(term);
    }
    at = operand;
  }
}

//===----------------------------------------------------------------------===//
// Sizes and masks
//===----------------------------------------------------------------------===//

/// Batch and heads of scores with one batch dimension: how q's rows were put together, if that can
/// be seen.
static std::pair<int64_t, int64_t> splitBatch(Value q, int64_t count) {
  SmallVector<Operation *> chain;
  for (Operation *op = q.getDefiningOp(); op; op = op->getOperand(0).getDefiningOp()) {
    if (std::optional<ScaledValue> scaled = matchScaled(op->getResult(0)); !isViewOp(op)) {
      if (!scaled || scaled->x != op->getOperand(0)) {
        break;
      }
      continue;
    }
    chain.push_back(op);
    StridedView view = StridedView::contiguous(shapeOf(op->getOperand(0)));
    bool valid =
        llvm::all_of(llvm::reverse(chain), [&](Operation *step) { return view.apply(step); });
    if (valid && view.dimension(0).size() == 2) {
      return {view.dimension(0)[0].size, view.dimension(0)[1].size};
    }
  }
  return {count, 1};
}

static int64_t product(ArrayRef<int64_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), int64_t(1), std::multiplies<int64_t>());
}

/// Fills in the sizes; false with a reason where the operands are not those of attention.
static bool matchSizes(AttentionMatch &match, std::string &reason) {
  MatmulOp scores = match.scores, output = match.output;
  ArrayRef<int64_t> shape = shapeOf(scores.getResult());
  match.queries = shape[shape.size() - 2];
  match.keys = shape.back();
  match.width =
      shapeOf(scores.getA())[shapeOf(scores.getA()).size() - (scores.getTransposeA() ? 2 : 1)];
  if (shapeOf(output.getResult()).back() != match.width) {
    reason = "q and k are " + std::to_string(match.width) + " wide, v is " +
             std::to_string(shapeOf(output.getResult()).back());
    return false;
  }
  SmallVector<int64_t> batch(batchOf(scores.getResult()));
  for (Value other : {Value(match.softmax.getX()), Value(output.getResult())}) {
    if (product(batchOf(other)) != product(batch)) {
      reason = "the products have different batch dimensions";
      return false;
    }
    if (batchOf(other).size() == 2) {
      batch = SmallVector<int64_t>(batchOf(other)); // a rank of 4 says which dimension is heads
    }
  }
  // v must follow the same reading of the batch dimensions as q and k.
  if (batch.size() == 1) {
    std::tie(match.batch, match.heads) = splitBatch(scores.getA(), batch[0]);
  } else if (!batch.empty()) {
    match.heads = batch.back();
    match.batch = product(ArrayRef<int64_t>(batch).drop_back());
  }
  if (product(shape) == 0 || match.width == 0) {
    reason = "a dimension is 0";
    return false;
  }
  auto lacksBatch = [](Value operand, Value result) {
    ArrayRef<int64_t> mine = batchOf(operand), all = batchOf(result);
    return !all.empty() && product(all) > 1 && mine.size() < all.size();
  };
  if (lacksBatch(scores.getA(), scores.getResult()) ||
      lacksBatch(scores.getB(), scores.getResult()) ||
      lacksBatch(output.getB(), output.getResult())) {
    reason = "one operand is the same matrix for the whole batch";
    return false;
  }
  return true;
}

/// Decides each mask's kind; false with a reason where one cannot be an operand of attention.
static bool matchMasks(AttentionMatch &match, std::string &reason) {
  for (MaskTerm &term : match.masks) {
    if (needsGradient(term.mask)) {
      reason = "the mask depends on a trained parameter, and attention has no gradient for it";
      return false;
    }
    term.kind = classifyMask(term.mask, match.queries, match.keys, term.inverted);
  }
  return true;
}

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

namespace {
/// Builds the ops around one attention.
struct AttentionBuilder {
  OpBuilder builder;
  Location loc;
  AttentionMatch &match;

  Value reshape(Value value, ArrayRef<int64_t> shape) {
    if (shapeOf(value) == shape) {
      return value;
    }
    return createValue<ReshapeOp>(builder, loc, typeOf(value).clone(shape), value);
  }
  Value transpose(Value value, ArrayRef<int64_t> permutation) {
    return createValue<TransposeOp>(builder, loc, value, permutation);
  }
  Value scalar(double number) {
    auto type = RankedTensorType::get({}, typeOf(match.scores.getResult()).getElementType());
    return createValue<ConstantOp>(
        builder, loc,
        DenseElementsAttr::get(type, builder.getFloatAttr(type.getElementType(), number)));
  }

  /// A matrix operand with batch dimensions as [batch, length, heads * width]; `all` are the
  /// product's batch dimensions.
  Value rows(Value operand, bool transposed, ArrayRef<int64_t> all, int64_t length) {
    if (transposed) {
      SmallVector<int64_t> permutation(
          llvm::to_vector(llvm::seq<int64_t>(0, typeOf(operand).getRank())));
      std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
      operand = transpose(operand, permutation);
    }
    if (batchOf(operand) != all) { // one key for several heads
      SmallVector<int64_t> shape(all);
      shape.append({length, match.width});
      operand = createValue<BroadcastOp>(builder, loc, typeOf(operand).clone(shape), operand);
    }
    Value split = reshape(operand, {match.batch, match.heads, length, match.width});
    return reshape(transpose(split, {0, 2, 1, 3}),
                   {match.batch, length, match.heads * match.width});
  }

  /// A mask as [batch or 1, heads or 1, queries or 1, keys or 1].
  Value maskOperand(Value mask, ArrayRef<int64_t> batch) {
    SmallVector<int64_t> shape(shapeOf(mask));
    while (shape.size() < batch.size() + 2) {
      shape.insert(shape.begin(), 1);
    }
    mask = reshape(mask, shape);
    ArrayRef<int64_t> own = batchOf(mask), matrix = shapeOf(mask).take_back(2);
    if (own.size() == 2 && batch == ArrayRef<int64_t>{match.batch, match.heads}) {
      return mask;
    }
    if (llvm::all_of(own, [](int64_t size) { return size == 1; })) {
      return reshape(mask, {1, 1, matrix[0], matrix[1]});
    }
    if (own != batch) {
      SmallVector<int64_t> full(batch);
      llvm::append_range(full, matrix);
      mask = createValue<BroadcastOp>(builder, loc, typeOf(mask).clone(full), mask);
    }
    return reshape(mask, {match.batch, match.heads, shapeOf(mask).end()[-2], shapeOf(mask).back()});
  }

  /// All masks but the causal one in one operand; null where there is none. Sets `causal`.
  Value combineMasks(bool &causal) {
    // Numbers added so far, or keys visible so far; never both.
    Value added, visible;
    // A row whose keys are all hidden by numbers that are merely very negative is averaged over all
    // of them: where another mask is known only at run time, the causal one stays a number too.
    bool runtime =
        llvm::any_of(match.masks, [](const MaskTerm &t) { return t.kind == MaskKind::Runtime; });
    for (const MaskTerm &term :
         llvm::reverse(match.masks)) { // from the product up, as the graph applies them
      bool boolean = typeOf(term.mask).getElementType().isInteger(1);
      bool removes = boolean && std::isinf(term.fill);
      if (term.kind == MaskKind::Nothing) {
        continue;
      }
      if (term.kind == MaskKind::Causal && (!runtime || removes)) {
        causal = true;
        continue;
      }
      Value mask = maskOperand(term.mask, term.batch);
      if (removes && !added) {
        mask = term.inverted ? createValue<NotOp>(builder, loc, mask) : mask;
        visible = visible ? createValue<AndOp>(builder, loc, visible, mask) : mask;
        continue;
      }
      if (visible) {
        added = createValue<SelectOp>(builder, loc, visible, scalar(0), scalar(-HUGE_VAL));
        visible = {};
      }
      if (boolean) {
        Value below = added ? added : scalar(0), fill = scalar(term.fill);
        added = term.inverted ? createValue<SelectOp>(builder, loc, mask, fill, below)
                              : createValue<SelectOp>(builder, loc, mask, below, fill);
      } else {
        added = added ? createValue<AddOp>(builder, loc, added, mask) : mask;
      }
    }
    return added ? added : visible;
  }

  void build(PatternLog &log) {
    MatmulOp scores = match.scores, output = match.output;
    ArrayRef<int64_t> batch = batchOf(scores.getResult());
    Value q = rows(scores.getA(), scores.getTransposeA(), batch, match.queries);
    Value k = rows(scores.getB(), !scores.getTransposeB(), batch, match.keys);
    Value v = rows(output.getB(), output.getTransposeB(), batchOf(output.getResult()), match.keys);
    bool causal = false;
    Value mask = combineMasks(causal);
    auto heads = builder.getI64IntegerAttr(match.heads);
    auto attention = builder.create<AttentionOp>(loc, ValueRange{q, k, v}, mask, heads, heads,
                                                 builder.getF64FloatAttr(match.scale),
                                                 builder.getBoolAttr(causal));
    Value split =
        reshape(attention.getOut(), {match.batch, match.queries, match.heads, match.width});
    Value out = reshape(transpose(split, {0, 2, 1, 3}), shapeOf(output.getResult()));
    output.getResult().replaceAllUsesWith(out);
    log.found("attention", match.softmax,
              Twine(match.heads) + " heads" + (causal ? ", causal" : "") +
                  (mask ? ", with a mask" : ""));
  }
};
} // namespace

/// Whether the product below the softmax looks like q k^T: not a Linear before the softmax of a
/// classifier.
static bool looksLikeScores(MatmulOp scores) {
  Value b = scores.getB();
  while (Operation *op = b.getDefiningOp()) {
    if (isa<GetGlobalOp>(op)) {
      return false;
    }
    if (!isViewOp(op)) {
      break;
    }
    b = op->getOperand(0);
  }
  return true;
}

namespace {
struct RaiseAttention : dsc::impl::RaiseAttentionBase<RaiseAttention> {
  using RaiseAttentionBase::RaiseAttentionBase;
  void runOnOperation() override {
    RewriteLimit left(limit);
    PatternLog log;
    log.foundAsOps<AttentionOp>("attention", getOperation());
    SmallVector<SoftmaxOp> anchors;
    getOperation().walk([&](SoftmaxOp op) { anchors.push_back(op); });
    for (SoftmaxOp softmax : anchors) {
      raise(softmax, log, left);
    }
    IRRewriter rewriter(&getContext());
    (void)runRegionDCE(rewriter, getOperation()->getRegions());
    log.attach(getOperation());
  }

  void raise(SoftmaxOp softmax, PatternLog &log, RewriteLimit &left) {
    int64_t rank = typeOf(softmax.getX()).getRank();
    if (rank < 2) {
      return;
    }
    AttentionMatch match;
    match.softmax = softmax;
    std::string above, reason;
    match.output = findOutput(softmax, above);
    bool below = matchScores(match, reason);
    if (!match.output && !(below && looksLikeScores(match.scores))) {
      return; // a softmax of its own
    }
    if (!match.output) {
      reason = above;
    } else if (static_cast<int64_t>(softmax.getAxis()) != rank - 1) {
      reason = "the softmax is not over the last dimension";
    } else if (below && matchSizes(match, reason)) {
      matchMasks(match, reason);
    }
    if (!reason.empty()) {
      return log.missed("attention", softmax, reason);
    }
    if (left.take()) {
      AttentionBuilder{OpBuilder(match.output), match.output.getLoc(), match}.build(log);
    }
  }
};
} // namespace
