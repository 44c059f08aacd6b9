// The passes over one row that its reductions need: each pass finishes the reductions whose
// operands are known, the last one stores full results and adds to column sums. Sums run in 4 x
// DSC_LANES accumulators by a scheme that is a function of the number of columns alone.

#ifndef DSC_CODEGEN_CPU_ROWPASSES_H
#define DSC_CODEGEN_CPU_ROWPASSES_H

#include "codegen/cpu/BodyEmitter.h"

namespace dsc {

/// A column reduction's partial results: `memory` holds one element a column, from `offset` on.
struct PartialSums {
  ReduceOp reduce;
  mlir::Value memory, offset;
};

class RowPasses {
public:
  /// For the launch that comes after `columnStage` column reductions. `storeResults`: it is the
  /// last one over rows.
  RowPasses(BodyEmitter &body, int64_t columnStage, bool storeResults);

  /// Whether rows need more than one pass, so that all columns must be seen together.
  bool hasRowReductions() const { return lastPass_ > 0; }

  /// Emits row `row` over `columns` (all of them where there are row reductions), adding to
  /// `partials`.
  mlir::LogicalResult emitRow(mlir::Value row, const ColumnRange &columns,
                              llvm::ArrayRef<PartialSums> partials);

private:
  void planBuffers();
  /// Values that pass `pass` computes from, at its end.
  llvm::SmallVector<mlir::Value> roots(int64_t pass) const;
  llvm::SmallVector<ReduceOp> reductionsOf(int64_t pass) const;
  mlir::LogicalResult emitPass(int64_t pass, const ColumnRange &columns,
                               llvm::ArrayRef<PartialSums> partials);
  mlir::LogicalResult storeFullResults();

  BodyEmitter &body_;
  const KernelSpace &space_;
  int64_t columnStage_;
  bool storeResults_;
  int64_t lastPass_ = 0;
  /// Costly values that later passes read again, by the pass that computes them.
  llvm::SmallVector<llvm::SmallVector<mlir::Value>> kept_;
  llvm::DenseMap<mlir::Value, mlir::Value> buffers_;
};

} // namespace dsc

#endif // DSC_CODEGEN_CPU_ROWPASSES_H
