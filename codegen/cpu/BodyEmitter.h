// Emits the values of a kernel's body at a position: kernel-wide values once, row values once a
// row, all others at DSC_LANES columns at a time. Each schedule says when a row or a group of
// columns begins.

#ifndef DSC_CODEGEN_CPU_BODYEMITTER_H
#define DSC_CODEGEN_CPU_BODYEMITTER_H

#include "codegen/KernelSpace.h"
#include "codegen/cpu/CpuBuilder.h"

namespace dsc {

/// Columns [lower, fullUpper) in whole vectors and, where the space has a tail, the columns after
/// them.
struct ColumnRange {
  mlir::Value lower, fullUpper;
  bool hasTail = false;
  mlir::Value tailCondition; // null: always
};

class BodyEmitter {
public:
  /// For a function whose arguments are the kernel's operands, results, scratch (where it has
  /// some), begin and end.
  BodyEmitter(const KernelSpace &space, mlir::func::FuncOp function);

  CpuBuilder b;

  const KernelSpace &space() const { return space_; }
  mlir::Value begin() const { return begin_; }
  mlir::Value end() const { return end_; }
  mlir::Value scratch() const { return scratch_; }

  /// Emits what is the same for the whole kernel. Call once, at the function's entry.
  mlir::LogicalResult beginKernel();
  /// Starts row `row` and emits its values that need no reduction.
  mlir::LogicalResult beginRow(mlir::Value row);
  /// Emits the row's values that are known after `stage` row reductions, in the launch that comes
  /// after `columnStage` column reductions.
  mlir::LogicalResult emitRowStage(int64_t stage, int64_t columnStage);
  /// Starts a vector of columns.
  void beginColumns(mlir::Value column, mlir::Value mask);

  /// `value` of the body at the current position, a vector.
  mlir::FailureOr<mlir::Value> get(mlir::Value value);
  /// Makes a reduction's result known: for the row, or for the current columns.
  void setRowValue(mlir::Value value, mlir::Value vector) { rowValues_[value] = vector; }
  void setElementValue(mlir::Value value, mlir::Value vector) { elementValues_[value] = vector; }

  /// Emits `body` for each vector of columns of `range`, carrying `carried`; `body` returns their
  /// next values.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> forColumns(
      const ColumnRange &range, mlir::ValueRange carried,
      llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(mlir::ValueRange carried)>
          body);
  /// All columns.
  ColumnRange allColumns();

  mlir::Value column() const { return column_; }
  mlir::Value mask() const { return mask_; }

  /// Stores `vector` as result `i` at the current row and columns; `storeRowResult` its first lane
  /// for the row.
  void storeResult(unsigned i, mlir::Value vector);
  void storeRowResult(unsigned i, mlir::Value vector);

  /// From here on, `value` is read from `buffer`, one element a column, where it is not known
  /// already.
  void useBuffer(mlir::Value value, mlir::Value buffer) { buffers_[value] = buffer; }

private:
  mlir::LogicalResult emitOp(mlir::Operation *op);
  mlir::Value emitIota(IotaOp iota);
  mlir::FailureOr<mlir::Value> getArgument(mlir::BlockArgument argument);
  mlir::Value rowOffset(mlir::Value tensor);
  mlir::Value loadColumns(mlir::BlockArgument argument, const Access &access);
  mlir::Value gatherColumns(mlir::BlockArgument argument, const Access &access, mlir::Value base);
  llvm::DenseMap<mlir::Value, mlir::Value> &valuesOf(Level level);

  const KernelSpace &space_;
  mlir::ValueRange operands_, results_;
  mlir::Value scratch_, begin_, end_;
  llvm::DenseMap<mlir::Value, mlir::Value> kernelValues_, rowValues_, elementValues_, buffers_;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value>> invariants_;
  llvm::DenseMap<mlir::Value, mlir::Value> rowOffsets_;
  llvm::SmallVector<mlir::Value> rowCoordinates_;
  mlir::Value row_, column_, mask_;
};

} // namespace dsc

#endif // DSC_CODEGEN_CPU_BODYEMITTER_H
