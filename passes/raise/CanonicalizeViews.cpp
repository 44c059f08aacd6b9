// Removes what exporters write around the arithmetic: changes of layout that undo each other, and
// ops that change nothing (x * 1, x + 0, -(-x), whole slices).

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/StridedView.h"

namespace dsc {
#define GEN_PASS_DEF_CANONICALIZEVIEWS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// A chain of reshapes and transposes that leaves the elements in order is one reshape of its
/// start.
struct ChainToReshape : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    SmallVector<Operation *> chain;
    Value start;
    for (Operation *at = op; isa_and_nonnull<ReshapeOp, TransposeOp>(at);
         at = at->getOperand(0).getDefiningOp()) {
      chain.push_back(at);
      Value base = at->getOperand(0);
      StridedView view = StridedView::contiguous(cast<RankedTensorType>(base.getType()).getShape());
      bool valid =
          llvm::all_of(llvm::reverse(chain), [&](Operation *step) { return view.apply(step); });
      if (valid && view.isContiguous()) {
        start = base;
      }
    }
    if (!start) {
      return failure();
    }
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), start);
    return success();
  }
};

/// transpose(transpose(x)) == transpose(x)
struct ComposeTransposes : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<TransposeOp>();
    if (!inner) {
      return failure();
    }
    SmallVector<int64_t> permutation;
    for (int64_t dim : op.getPermutation()) {
      permutation.push_back(inner.getPermutation()[dim]);
    }
    rewriter.replaceOpWithNewOp<TransposeOp>(op, inner.getX(), permutation);
    return success();
  }
};

/// The slice of a slice is one slice.
struct ComposeSlices : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<SliceOp>();
    if (!inner) {
      return failure();
    }
    SmallVector<int64_t> starts, steps;
    for (auto [outerStart, outerStep, innerStart, innerStep] :
         llvm::zip(op.getStarts(), op.getSteps(), inner.getStarts(), inner.getSteps())) {
      starts.push_back(innerStart + outerStart * innerStep);
      steps.push_back(outerStep * innerStep);
    }
    rewriter.replaceOpWithNewOp<SliceOp>(op, inner.getX(), starts, op.getSizes(), steps);
    return success();
  }
};

/// A slice that takes every element in order.
struct WholeSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SliceOp op, PatternRewriter &rewriter) const override {
    bool inOrder = llvm::all_of(llvm::zip(op.getSizes(), op.getSteps()), [](auto pair) {
      return std::get<1>(pair) == 1 || std::get<0>(pair) <= 1;
    });
    if (!inOrder || op.getX().getType() != op.getType()) {
      return failure();
    }
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

/// Binary ops with a constant that changes nothing: x * 1, x / 1, x + 0, x - 0.
template <typename OpT> struct NeutralConstant : OpRewritePattern<OpT> {
  NeutralConstant(MLIRContext *context, double neutral, bool commutes)
      : OpRewritePattern<OpT>(context), neutral(neutral), commutes(commutes) {}
  LogicalResult matchAndRewrite(OpT op, PatternRewriter &rewriter) const override {
    for (unsigned i : {1u, 0u}) {
      Value x = op->getOperand(1 - i);
      if ((i == 1 || commutes) && x.getType() == op.getType() &&
          splatValue(op->getOperand(i)) == neutral) {
        rewriter.replaceOp(op, x);
        return success();
      }
    }
    return failure();
  }
  double neutral;
  bool commutes;
};

/// -(-x) == x
struct DoubleNegation : OpRewritePattern<NegOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(NegOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<NegOp>();
    if (!inner) {
      return failure();
    }
    rewriter.replaceOp(op, inner.getX());
    return success();
  }
};

/// concat of one operand, pad by nothing.
struct SingleConcat : OpRewritePattern<ConcatOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ConcatOp op, PatternRewriter &rewriter) const override {
    if (op.getOperands().size() != 1) {
      return failure();
    }
    rewriter.replaceOp(op, op.getOperands().front());
    return success();
  }
};
struct EmptyPad : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PadOp op, PatternRewriter &rewriter) const override {
    if (op.getX().getType() != op.getType()) {
      return failure();
    }
    rewriter.replaceOp(op, op.getX());
    return success();
  }
};

struct CanonicalizeViews : dsc::impl::CanonicalizeViewsBase<CanonicalizeViews> {
  using CanonicalizeViewsBase::CanonicalizeViewsBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ChainToReshape, ComposeTransposes, ComposeSlices, WholeSlice, DoubleNegation,
                 SingleConcat, EmptyPad>(&getContext());
    patterns.add<NeutralConstant<MulOp>>(&getContext(), 1.0, true);
    patterns.add<NeutralConstant<DivOp>>(&getContext(), 1.0, false);
    patterns.add<NeutralConstant<AddOp>>(&getContext(), 0.0, true);
    patterns.add<NeutralConstant<SubOp>>(&getContext(), 0.0, false);
    if (failed(applyPatternsWithin(getOperation(), std::move(patterns), limit))) {
      signalPassFailure();
    }
  }
};
} // namespace
