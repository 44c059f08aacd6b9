// The iteration space of a kernel: its domain as rows x columns, where each operand and result lies
// in it, and in which pass each value of the body is known. Functions of the kernel only; the
// schedules emit code from it.

#ifndef DSC_CODEGEN_KERNELSPACE_H
#define DSC_CODEGEN_KERNELSPACE_H

#include "ir/Dialect.h"

namespace dsc {

/// How often a value of the body changes.
enum class Level { kernel, row, element };

/// Where a tensor lies in the space: element strides of each dimension, 0 where it is broadcast.
struct Access {
  llvm::SmallVector<int64_t> rowStrides, columnStrides;

  bool variesOverRows() const {
    return llvm::any_of(rowStrides, [](int64_t s) { return s != 0; });
  }
  bool variesOverColumns() const {
    return llvm::any_of(columnStrides, [](int64_t s) { return s != 0; });
  }
};

class KernelSpace {
public:
  explicit KernelSpace(KernelOp kernel);

  KernelOp kernel() const { return kernel_; }

  /// The dimensions of rows and columns, merged where every operand and result allows. Never empty;
  /// dims of size 1 appear only where there is no other. Elementwise kernels have as columns their
  /// last merged dimension.
  llvm::ArrayRef<int64_t> rowDims() const { return rowDims_; }
  llvm::ArrayRef<int64_t> columnDims() const { return columnDims_; }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }

  Access access(mlir::Value tensor) const;

  /// How an iota's value follows from the flat row (column) index: index / inner % size.
  struct IotaPlace {
    bool overColumns;
    int64_t inner, size;
  };
  IotaPlace placeOf(IotaOp iota) const;

  /// Whether an iota is the number of the column.
  bool isColumnNumber(IotaOp iota) const {
    IotaPlace place = placeOf(iota);
    return columns_ > 1 && place.overColumns && place.inner == 1 && place.size == columns_;
  }

  /// A row reduction that is x in column `index`, and 0 where no column has this number:
  /// sum(select(column == index, x, 0)).
  struct Pick {
    mlir::Value x, index;
  };
  std::optional<Pick> pickOf(ReduceOp reduce) const;

  Level level(mlir::Value value) const { return levels_.lookup(value); }
  /// Number of row reductions (column reductions) that must be finished, one after the other,
  /// before `value` is known.
  int64_t rowStage(mlir::Value value) const { return rowStages_.lookup(value); }
  int64_t columnStage(mlir::Value value) const { return columnStages_.lookup(value); }
  int64_t rowStages() const { return maxRowStage_; }
  int64_t columnStages() const { return maxColumnStage_; }

  llvm::ArrayRef<ReduceOp> rowReductions() const { return rowReductions_; }
  llvm::ArrayRef<ReduceOp> columnReductions() const { return columnReductions_; }

  /// Whether result `i` has an element for each column.
  bool isFullResult(unsigned i) const;
  /// Whether result `i` is known with the column sums alone, one element a column or one for all:
  /// it is stored once, by the launch that finishes them.
  bool isColumnResult(unsigned i) const;

  /// Checks what the schedules assume of the body; errors name the op.
  mlir::LogicalResult verify() const;

private:
  void mergeDims();
  void findStages();

  mutable KernelOp kernel_; // accessors of ops are not const
  /// Merged dimensions as ranges of the domain's: [first, last].
  llvm::SmallVector<std::pair<int64_t, int64_t>> rowGroups_, columnGroups_;
  llvm::SmallVector<int64_t> rowDims_, columnDims_;
  int64_t rows_ = 1, columns_ = 1;
  llvm::DenseMap<mlir::Value, Level> levels_;
  llvm::DenseMap<mlir::Value, int64_t> rowStages_, columnStages_;
  int64_t maxRowStage_ = 0, maxColumnStage_ = 0;
  llvm::SmallVector<ReduceOp> rowReductions_, columnReductions_;
};

} // namespace dsc

#endif // DSC_CODEGEN_KERNELSPACE_H
