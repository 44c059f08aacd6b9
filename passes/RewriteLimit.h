// The `limit` of passes that only improve the program: counts rewrites, so that the one that breaks
// a result can be found (`--pass-limit=PASS:N`), and a pass can be left out (`--disable=PASS` is a
// limit of 0).

#ifndef DSC_PASSES_REWRITELIMIT_H
#define DSC_PASSES_REWRITELIMIT_H

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace dsc {

class RewriteLimit {
public:
  /// At most `limit` rewrites; no bound where it is negative.
  explicit RewriteLimit(int64_t limit) : left(limit) {}

  /// Takes one rewrite; false where none is left.
  bool take() {
    if (left > 0) {
      --left;
      return true;
    }
    return left < 0;
  }
  /// How many are left; negative: no bound.
  int64_t remaining() const { return left; }

private:
  int64_t left;
};

/// Applies `patterns` within `op` until nothing changes or `limit` of them were applied. Failure:
/// without a limit, they did not come to an end.
inline mlir::LogicalResult applyPatternsWithin(mlir::Operation *op,
                                               mlir::RewritePatternSet &&patterns, int64_t limit) {
  mlir::GreedyRewriteConfig config;
  if (limit >= 0) {
    config.maxNumRewrites = limit;
    config.maxIterations = 1; // the bound is one of each iteration
  }
  mlir::LogicalResult converged =
      mlir::applyPatternsAndFoldGreedily(op, std::move(patterns), config);
  return mlir::success(limit >= 0 || mlir::succeeded(converged));
}

} // namespace dsc

#endif // DSC_PASSES_REWRITELIMIT_H
