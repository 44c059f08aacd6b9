// Gives matrix products their final form: transposes of operands as flags, and rows left in the
// dimensions that the model has ([batch, length, width]) where an exporter flattened them for the
// product alone.

#include "passes/Passes.h"
#include "passes/raise/Constants.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

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

struct CanonicalizeContractions
    : dsc::impl::CanonicalizeContractionsBase<CanonicalizeContractions> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FoldOperandTranspose, UnflattenRows, SinkReshapeBelowBias>(&getContext());
    if (failed(applyPatternsAndFoldGreedily(getOperation(), std::move(patterns)))) {
      signalPassFailure();
    }
  }
};
} // namespace
