// Pass: removes casts that the table's naive form has too many of.
//
// No pattern changes a value: widening is exact, so whatever is widened and cast again is cast from
// the narrow value. What is left either rounds or feeds an op that computes in f32.

#include "passes/Passes.h"
#include "passes/precision/Casts.h"

#include "mlir/IR/Dominance.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace dsc {
#define GEN_PASS_DEF_ELIDECASTS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

namespace {
/// cast(cast(x: half -> f32): f32 -> T) -> cast(x: half -> T), or x where T is half.
struct CastOfWidened : OpRewritePattern<CastOp> {
  CastOfWidened(MLIRContext *context, Type half) : OpRewritePattern(context), half(half) {}

  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<CastOp>();
    if (!inner || !isWidening(inner, half)) {
      return failure();
    }
    if (inner.getX().getType() == op.getType()) {
      rewriter.replaceOp(op, inner.getX());
    } else {
      rewriter.replaceOpWithNewOp<CastOp>(op, op.getType(), inner.getX());
    }
    return success();
  }
  Type half;
};

/// Whether `op` moves elements and does nothing else; zeros round to zeros.
bool isView(Operation *op) {
  auto pad = dyn_cast_or_null<PadOp>(op);
  return isa_and_nonnull<ReshapeOp, TransposeOp, BroadcastOp>(op) ||
         (pad && pad.getValue().isZero());
}

/// `view` of `operand`, in operand's element type.
Value viewOf(PatternRewriter &rewriter, Operation *view, Value operand) {
  Operation *moved = rewriter.clone(*view);
  moved->setOperand(0, operand);
  auto type = typeOf(view->getResult(0)).clone(typeOf(operand).getElementType());
  moved->getResult(0).setType(type);
  return moved->getResult(0);
}

/// narrow(view(x)) -> view(narrow(x)): the view moves half the bytes, and the cast meets what
/// computes x. Not where others need the wide view, unless x costs nothing to read twice.
struct NarrowBeforeView : OpRewritePattern<CastOp> {
  NarrowBeforeView(MLIRContext *context, Type half) : OpRewritePattern(context), half(half) {}

  LogicalResult matchAndRewrite(CastOp op, PatternRewriter &rewriter) const override {
    Operation *view = op.getX().getDefiningOp();
    if (!isNarrowing(op, half) || !isView(view)) {
      return failure();
    }
    Value x = view->getOperand(0);
    if (!op.getX().hasOneUse() && !x.getDefiningOp<GetGlobalOp>()) {
      return failure();
    }
    rewriter.setInsertionPoint(view);
    Value narrow = rewriter.create<CastOp>(op.getLoc(), typeOf(x).clone(half), x);
    rewriter.replaceOp(op, viewOf(rewriter, view, narrow));
    return success();
  }
  Type half;
};

/// view(widen(x)) -> widen(view(x)), where the wide value is read by the view alone.
struct WidenBehindView : RewritePattern {
  WidenBehindView(MLIRContext *context, Type half)
      : RewritePattern(MatchAnyOpTypeTag(), 1, context), half(half) {}

  LogicalResult matchAndRewrite(Operation *op, PatternRewriter &rewriter) const override {
    auto cast = isView(op) ? op->getOperand(0).getDefiningOp<CastOp>() : nullptr;
    if (!cast || !isWidening(cast, half) || !cast->hasOneUse()) {
      return failure();
    }
    Value moved = viewOf(rewriter, op, cast.getX());
    rewriter.replaceOpWithNewOp<CastOp>(op, op->getResult(0).getType(), moved);
    return success();
  }
  Type half;
};
} // namespace

/// Widened values are not kept: each user widens the half value itself, in its own kernel.
static void widenAtUsers(func::FuncOp function, Type half) {
  SmallVector<CastOp> casts;
  function.walk([&](CastOp op) {
    if (isWidening(op, half)) {
      casts.push_back(op);
    }
  });
  for (CastOp op : casts) {
    llvm::DenseMap<Operation *, Value> own;
    for (OpOperand &use : llvm::make_early_inc_range(op->getUses())) {
      Operation *user = use.getOwner();
      Value &value = own[user];
      if (!value) {
        OpBuilder builder(user);
        value = builder.clone(*op)->getResult(0);
      }
      use.set(value);
    }
    op.erase();
  }
}

namespace {
struct ElideCasts : public dsc::impl::ElideCastsBase<ElideCasts> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    if (failed(options)) {
      return signalPassFailure();
    }
    Type half = halfTypeOf(&getContext(), *options);
    if (!half) {
      return;
    }
    RewritePatternSet patterns(&getContext());
    patterns.add<CastOfWidened, NarrowBeforeView, WidenBehindView>(&getContext(), half);
    if (failed(applyPatternsAndFoldGreedily(module, std::move(patterns)))) {
      return signalPassFailure();
    }
    // Duplicates: a value that several ops need in half is rounded once.
    DominanceInfo dominance(module);
    IRRewriter rewriter(&getContext());
    eliminateCommonSubExpressions(rewriter, dominance, module);
    for (auto function : module.getOps<func::FuncOp>()) {
      widenAtUsers(function, half);
    }
  }
};
} // namespace
