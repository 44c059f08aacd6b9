// Gives matrix products their final form: transposes of operands as flags, and rows left in the
// dimensions that the model has ([batch, length, width]) where an exporter flattened them for the
// product alone.

#include "passes/Passes.h"
#include "passes/RewriteLimit.h"
#include "passes/raise/Constants.h"
#include "passes/raise/StridedView.h"

namespace dsc {
#define GEN_PASS_DEF_CANONICALIZECONTRACTIONS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

/// Whether `op` swaps the last two dimensions and leaves the others.
static bool swapsLastTwo(TransposeOp op) {
  ArrayRef<int64_t> permutation = op.getPermutation();
  int64_t rank = permutation.size();
  for (int64_t i = 0; i < rank - 2; ++i) {
    if (permutation[i] != i) {
      return false;
    }
  }
  return rank >= 2 && permutation[rank - 1] == rank - 2;
}

/// Whether `op` changes the order of rows, the elements of the last dimension staying together.
static bool keepsRows(TransposeOp op) {
  ArrayRef<int64_t> permutation = op.getPermutation();
  return !permutation.empty() && permutation.back() == static_cast<int64_t>(permutation.size()) - 1;
}

namespace {
/// matmul(transpose(a), b) == matmul(a, b) {transpose_a}; the same for b.
struct FoldOperandTranspose : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    for (bool isA : {true, false}) {
      auto transpose = (isA ? op.getA() : op.getB()).getDefiningOp<TransposeOp>();
      if (!transpose || !swapsLastTwo(transpose)) {
        continue;
      }
      rewriter.modifyOpInPlace(op, [&] {
        if (isA) {
          op.getAMutable().assign(transpose.getX());
          op.setTransposeA(!op.getTransposeA());
        } else {
          op.getBMutable().assign(transpose.getX());
          op.setTransposeB(!op.getTransposeB());
        }
      });
      return success();
    }
    return failure();
  }
};

/// matmul(reshape(x: [.., k] -> [rows, k]), w) == reshape(matmul(x, w)): Linear layers that flatten
/// their input (GPT-2's Conv1D) keep the model's dimensions, so that the reshapes of neighbouring
/// layers meet and vanish.
struct UnflattenRows : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    auto flatten = op.getA().getDefiningOp<ReshapeOp>();
    if (!flatten || op.getTransposeA() || op.getBias() || op.getAccumulator() ||
        typeOf(op.getA()).getRank() != 2 || typeOf(op.getB()).getRank() != 2) {
      return failure();
    }
    Value x = flatten.getX();
    int64_t k = typeOf(op.getA()).getDimSize(1);
    if (typeOf(x).getRank() < 3 || typeOf(x).getShape().back() != k) {
      return failure();
    }
    Value product =
        createValue<MatmulOp>(rewriter, op.getLoc(), x, op.getB(), false, op.getTransposeB());
    rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), product);
    return success();
  }
};

/// reshape(y: [.., n] -> [rows, n]) + b == reshape(y + b) for a bias of the last dimension: the
/// other half of a flattened Linear.
struct SinkReshapeBelowBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      auto reshape = op->getOperand(i).getDefiningOp<ReshapeOp>();
      Value bias = op->getOperand(1 - i);
      if (!reshape || typeOf(bias).getRank() > 1 || reshape.getType() != op.getType()) {
        continue;
      }
      Value y = reshape.getX();
      if (!y.getDefiningOp<MatmulOp>() || typeOf(y).getRank() < 3 ||
          typeOf(y).getShape().back() != typeOf(op).getShape().back()) {
        continue;
      }
      Value sum = i == 0 ? createValue<AddOp>(rewriter, op.getLoc(), y, bias)
                         : createValue<AddOp>(rewriter, op.getLoc(), bias, y);
      rewriter.replaceOpWithNewOp<ReshapeOp>(op, op.getType(), sum);
      return success();
    }
    return failure();
  }
};

/// matmul(transpose(x), w) == transpose(matmul(x, w)) where rows change places and stay whole
/// (nn.MultiheadAttention works on [length, batch, width] inside). Only where the product is cut up
/// by further changes of layout: there the transposes meet, anywhere else a wider tensor would be
/// transposed.
struct SinkRowOrder : OpRewritePattern<MatmulOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MatmulOp op, PatternRewriter &rewriter) const override {
    auto transpose = op.getA().getDefiningOp<TransposeOp>();
    if (!transpose || op.getTransposeA() || op.getBias() || op.getAccumulator() ||
        typeOf(op.getB()).getRank() != 2 || !keepsRows(transpose) || !isCutUp(op.getResult())) {
      return failure();
    }
    Value product = createValue<MatmulOp>(rewriter, op.getLoc(), transpose.getX(), op.getB(), false,
                                          op.getTransposeB());
    rewriter.replaceOpWithNewOp<TransposeOp>(op, product, transpose.getPermutation());
    return success();
  }

  /// Whether a product, with its bias, is read by changes of layout alone.
  static bool isCutUp(Value y) {
    return !y.use_empty() && llvm::all_of(y.getUsers(), [&](Operation *user) {
      bool isBias = isa<AddOp>(user) && typeOf(otherOperand(user, y)).getRank() <= 1;
      return isBias ? isCutUp(user->getResult(0)) : isViewOp(user);
    });
  }
};

/// transpose(y) + b == transpose(y + b) for a bias of the last dimension: the other half.
struct SinkRowOrderBelowBias : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op, PatternRewriter &rewriter) const override {
    for (unsigned i : {0u, 1u}) {
      auto transpose = op->getOperand(i).getDefiningOp<TransposeOp>();
      Value bias = op->getOperand(1 - i);
      if (!transpose || typeOf(bias).getRank() > 1 || transpose.getType() != op.getType() ||
          !keepsRows(transpose) || !transpose.getX().getDefiningOp<MatmulOp>()) {
        continue;
      }
      Value sum = createValue<AddOp>(rewriter, op.getLoc(), transpose.getX(), bias);
      rewriter.replaceOpWithNewOp<TransposeOp>(op, sum, transpose.getPermutation());
      return success();
    }
    return failure();
  }
};

struct CanonicalizeContractions
    : dsc::impl::CanonicalizeContractionsBase<CanonicalizeContractions> {
  using CanonicalizeContractionsBase::CanonicalizeContractionsBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldOperandTranspose, UnflattenRows, SinkReshapeBelowBias, SinkRowOrder,
                 SinkRowOrderBelowBias>(&getContext());
    if (failed(applyPatternsWithin(getOperation(), std::move(patterns), limit))) {
      signalPassFailure();
    }
  }
};
} // namespace
