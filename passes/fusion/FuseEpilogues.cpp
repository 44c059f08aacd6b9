// Bias additions behind matrix products and convolutions become their operand, a ReLU behind a
// matrix product its activation, where the target applies them on the way, and library calls learn
// how much workspace they may use. `no_epilogue` marks products that had several readers before any
// were copied: they and their copies stay alike.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"

#include "mlir/IR/PatternMatch.h"

namespace dsc {
#define GEN_PASS_DEF_FUSEEPILOGUES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Whether `bias`, added to `result`, varies along dimension `axis` of it only (and fills it).
static bool isVectorAlong(Value bias, RankedTensorType result, int64_t axis) {
  RankedTensorType type = typeOf(bias);
  int64_t missing = result.getRank() - type.getRank();
  return missing <= axis && type.getNumElements() == result.getDimSize(axis) &&
         type.getDimSize(axis - missing) == result.getDimSize(axis);
}

namespace {
/// add(matmul(a, b), bias) -> matmul(a, b, bias); a reshape between that keeps the last dimension
/// moves behind.
struct AddIntoMatmul : OpRewritePattern<AddOp> {
  AddIntoMatmul(MLIRContext *context, const Target &target)
      : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(AddOp add, PatternRewriter &rewriter) const override {
    for (auto [product, bias] :
         {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
      RankedTensorType type = typeOf(product);
      if (!product.hasOneUse() || type != add.getResult().getType()) {
        continue;
      }
      auto reshape = product.getDefiningOp<ReshapeOp>();
      Value source = reshape ? reshape.getX() : product;
      auto matmul = source.getDefiningOp<MatmulOp>();
      if (!matmul || !source.hasOneUse() || matmul.getBias() ||
          matmul.getActivation() != Epilogue::none || matmul->hasAttr("no_epilogue") ||
          !target.takesEpilogue(matmul, Epilogue::none)) {
        continue;
      }
      int64_t last = typeOf(source).getShape().back();
      if (type.getRank() == 0 || type.getShape().back() != last ||
          !isVectorAlong(bias, type, type.getRank() - 1)) {
        continue;
      }
      Location loc = rewriter.getFusedLoc({matmul.getLoc(), add.getLoc()});
      Value vector = rewriter.createOrFold<ReshapeOp>(loc, typeOf(bias).clone({last}), bias);
      Value result = rewriter.create<MatmulOp>(
          loc, source.getType(), matmul.getA(), matmul.getB(), vector, matmul.getAccumulator(),
          matmul.getTransposeAAttr(), matmul.getTransposeBAttr(), matmul.getActivationAttr());
      rewriter.replaceOp(add, rewriter.createOrFold<ReshapeOp>(loc, type, result));
      return success();
    }
    return failure();
  }
  const Target &target;
};

/// relu(matmul(a, b, bias)) -> matmul(a, b, bias) {activation = relu}, through a reshape. Rounding
/// keeps the sign, so that it may come before or after.
struct ReluIntoMatmul : OpRewritePattern<ReluOp> {
  ReluIntoMatmul(MLIRContext *context, const Target &target)
      : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(ReluOp relu, PatternRewriter &rewriter) const override {
    Value x = relu.getX();
    auto reshape = x.getDefiningOp<ReshapeOp>();
    Value product = reshape ? reshape.getX() : x;
    auto matmul = product.getDefiningOp<MatmulOp>();
    if (!matmul || !x.hasOneUse() || !product.hasOneUse() ||
        matmul.getActivation() != Epilogue::none || matmul->hasAttr("no_epilogue") ||
        !target.takesEpilogue(matmul, Epilogue::relu)) {
      return failure();
    }
    auto fused = cast<MatmulOp>(rewriter.clone(*matmul));
    fused->setLoc(rewriter.getFusedLoc({matmul.getLoc(), relu.getLoc()}));
    rewriter.modifyOpInPlace(fused, [&] { fused.setActivation(Epilogue::relu); });
    rewriter.replaceOp(
        relu, rewriter.createOrFold<ReshapeOp>(relu.getLoc(), typeOf(x), fused.getResult()));
    return success();
  }
  const Target &target;
};

/// add(conv(x, w), bias[C, 1, ..]) -> conv(x, w, bias)
struct AddIntoConv : OpRewritePattern<AddOp> {
  AddIntoConv(MLIRContext *context, const Target &target)
      : OpRewritePattern(context), target(target) {}

  LogicalResult matchAndRewrite(AddOp add, PatternRewriter &rewriter) const override {
    for (auto [product, bias] :
         {std::pair(add.getLhs(), add.getRhs()), std::pair(add.getRhs(), add.getLhs())}) {
      auto conv = product.getDefiningOp<ConvOp>();
      if (!conv || !product.hasOneUse() || conv.getBias() || conv->hasAttr("no_epilogue") ||
          conv.getActivation() != Epilogue::none || !target.takesEpilogue(conv, Epilogue::none) ||
          product.getType() != add.getResult().getType()) {
        continue;
      }
      RankedTensorType type = typeOf(product);
      int64_t channels = conv.getLayout() == ConvLayout::channels_last ? type.getRank() - 1 : 1;
      if (!isVectorAlong(bias, type, channels)) {
        continue;
      }
      Location loc = rewriter.getFusedLoc({conv.getLoc(), add.getLoc()});
      Value vector = rewriter.createOrFold<ReshapeOp>(
          loc, typeOf(bias).clone({type.getDimSize(channels)}), bias);
      auto fused = cast<ConvOp>(rewriter.clone(*conv));
      fused->setLoc(loc);
      rewriter.modifyOpInPlace(fused, [&] { fused.getBiasMutable().assign(vector); });
      rewriter.replaceOp(add, fused.getY());
      return success();
    }
    return failure();
  }
  const Target &target;
};

struct FuseEpilogues : public dsc::impl::FuseEpiloguesBase<FuseEpilogues> {
  using FuseEpiloguesBase::FuseEpiloguesBase;
  void runOnOperation() override {
    std::unique_ptr<Target> target = targetOf(getOperation());
    RewritePatternSet patterns(&getContext());
    patterns.add<AddIntoMatmul, ReluIntoMatmul, AddIntoConv>(&getContext(), *target);
    if (failed(applyPatternsWithin(getOperation(), std::move(patterns), limit))) {
      return signalPassFailure();
    }
    getOperation().walk([&](Operation *op) {
      if (int64_t bytes = target->workspaceBytes(op)) {
        op->setAttr("workspace", IntegerAttr::get(IntegerType::get(&getContext(), 64), bytes));
      }
    });
  }
};
} // namespace
