// The one scheme by which kernels reduce a sequence of vectors to a value: vector k goes to
// accumulator k mod 4, then (a0 + a1) + (a2 + a3), then halves of lanes. A function of the number
// of vectors alone; four chains hide latency.

#ifndef DSC_CODEGEN_CPU_VECTORSUM_H
#define DSC_CODEGEN_CPU_VECTORSUM_H

#include "codegen/VectorBuilder.h"

namespace dsc {

class VectorSum {
public:
  static constexpr int64_t kAccumulators = 4;

  VectorSum(VectorBuilder &b, ReduceKind kind, mlir::Type element)
      : b_(b), kind_(kind), element_(element) {}

  /// The accumulators before the first vector. Loops carry them; the next vector's is always the
  /// first.
  llvm::SmallVector<mlir::Value> start();
  /// The accumulators after `term`; lanes off `mask` (null: none) do not count.
  llvm::SmallVector<mlir::Value> add(mlir::ValueRange accumulators, mlir::Value term,
                                     mlir::Value mask);
  /// The result of `vectors` vectors, in all lanes, rounded to the element type.
  mlir::Value finish(mlir::ValueRange accumulators, int64_t vectors);

private:
  VectorBuilder &b_;
  ReduceKind kind_;
  mlir::Type element_;
};

} // namespace dsc

#endif // DSC_CODEGEN_CPU_VECTORSUM_H
