// Emits the values of a kernel's body for a thread: kernel-wide and row values once, as one lane,
// all others a vector of columns at a time. A thread may hold several vectors; what is known of
// each stays known until the row ends, in registers.

#ifndef DSC_CODEGEN_CUDA_BODYEMITTER_H
#define DSC_CODEGEN_CUDA_BODYEMITTER_H

#include "codegen/KernelSpace.h"
#include "codegen/cuda/KernelFunction.h"

#include "llvm/ADT/MapVector.h"

#include <map>

namespace dsc::cuda {

class BodyEmitter {
public:
  /// For a function whose arguments are the kernel's operands, results and scratch (where it has
  /// some). Vectors of columns have `lanes` elements, which divides the number of columns.
  BodyEmitter(const KernelSpace &space, mlir::gpu::GPUFuncOp function, int64_t lanes);

  CudaBuilder b;

  const KernelSpace &space() const { return space_; }
  mlir::Value scratch() const { return scratch_; }
  /// Of a kernel over owned chunks.
  OwnedChunks owned() { return {b, function_}; }
  int64_t lanes() const { return lanes_; }

  /// Bytes of shared memory that hold a row of all that varies over rows and columns.
  static int64_t rowBytes(const KernelSpace &space);
  /// From here on, what a thread loads of a row in a pass is in shared memory for those behind it.
  void keepRowsInShared();

  /// Emits what is the same for the whole kernel. Call once, at the function's entry.
  mlir::LogicalResult beginKernel();
  /// Starts row `row`, forgets all vectors and emits the row's values that need no reduction.
  mlir::LogicalResult beginRow(mlir::Value row);
  /// Loads what beginRow(row) would load of arguments that are one element a row; the next
  /// beginRow takes it from `takeRow`.
  llvm::SmallVector<mlir::Value> loadRow(mlir::Value row);
  size_t rowScalars() const;
  void takeRow(llvm::ArrayRef<mlir::Value> loaded) { taken_.assign(loaded.begin(), loaded.end()); }
  /// The current vector of all that varies over rows and columns, as it is stored in `row`; and
  /// makes it known for the row that has begun.
  llvm::SmallVector<mlir::Value> loadVectors(mlir::Value row);
  void takeVectors(llvm::ArrayRef<mlir::Value> loaded);
  /// Emits the row's values that are known after `stage` row reductions, in the launch that comes
  /// after `columnStage` column reductions.
  mlir::LogicalResult emitRowStage(int64_t stage, int64_t columnStage);
  /// Goes to vector `slot` of the thread, whose first column is `column`; whatever the thread, its
  /// columns are less than `below`. What is known of it is kept where `slot` was used at the same
  /// column before.
  void useVector(unsigned slot, mlir::Value column, int64_t below);
  /// Between two passes over a row: of each vector only what was loaded of the row itself stays, as
  /// it is stored, and where `keepDear` results of ops that cost more than a register.
  void endPass(bool keepDear);
  /// Between two passes over a row whose vectors are not kept: what was loaded is in shared memory
  /// now. `isLast`: no pass follows the next one.
  void endSharedPass(bool isLast);
  /// Forgets what is known of all vectors.
  void forgetVectors() { vectors_.clear(); }

  /// `value` of the body at the current position, a vector of lanes() elements.
  mlir::FailureOr<mlir::Value> get(mlir::Value value);
  /// The same for a value that is one for the row or the kernel, as one lane.
  mlir::FailureOr<mlir::Value> getSingle(mlir::Value value);
  /// `value` of the row's column `column` alone, as one lane, from what the row has in memory.
  mlir::FailureOr<mlir::Value> getAt(mlir::Value value, mlir::Value column);
  /// Makes a reduction's result known: for the row (one lane), or for the current vector.
  void setRowValue(mlir::Value value, mlir::Value single) { rowValues_[value] = single; }
  void setElementValue(mlir::Value value, mlir::Value vector);

  mlir::Value column() const { return current_->column; }

  /// Stores `vector` as result `i` at the current vector; `storeRowResult` one lane for the row.
  void storeResult(unsigned i, mlir::Value vector);
  void storeRowResult(unsigned i, mlir::Value single);

  /// From here on, `value` is read from `buffer`, one element a column from element `offset` on,
  /// where it is not known already.
  void useBuffer(mlir::Value value, mlir::Value buffer, int64_t offset) {
    buffers_[value] = {buffer, offset};
  }

private:
  struct Vector {
    mlir::Value column;
    int64_t below = 0;
    llvm::DenseMap<mlir::Value, mlir::Value> values;
    /// Arguments that vary over rows and columns, as they are stored.
    llvm::MapVector<mlir::Value, mlir::Value> stored;
  };

  mlir::LogicalResult emitOp(mlir::Operation *op);
  mlir::Value emitIota(IotaOp iota);
  /// A comparison of the column's number with one number for all columns; null where it is another.
  mlir::FailureOr<mlir::Value> compareColumns(CompareOp compare);
  mlir::FailureOr<mlir::Value> getArgument(mlir::BlockArgument argument);
  mlir::Value rowOffset(mlir::Value tensor);
  mlir::Value offsetOfRow(mlir::Value tensor, mlir::ArrayRef<mlir::Value> coordinates);
  mlir::Value loadColumns(mlir::BlockArgument argument);
  bool isContiguous(const Access &access) const;
  mlir::Value loadContiguous(mlir::BlockArgument argument, const Access &access,
                             mlir::Value offset);
  llvm::DenseMap<mlir::Value, mlir::Value> &valuesOf(Level level);

  const KernelSpace &space_;
  mlir::gpu::GPUFuncOp function_;
  int64_t lanes_;
  mlir::ValueRange operands_, results_;
  mlir::Value scratch_;
  llvm::DenseMap<mlir::Value, mlir::Value> kernelValues_, rowValues_, rowOffsets_;
  llvm::DenseMap<mlir::Value, std::pair<mlir::Value, int64_t>> buffers_;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<mlir::Value>> invariants_;
  llvm::SmallVector<mlir::Value> rowCoordinates_, taken_;
  /// Places of rows in shared memory, of arguments; whether this pass fills them; those that
  /// another pass has filled.
  llvm::DenseMap<mlir::Value, mlir::Value> shared_;
  bool fillsShared_ = false;
  llvm::SmallPtrSet<mlir::Value, 4> filling_, filled_;
  mlir::Value row_;
  std::map<unsigned, Vector> vectors_;
  Vector *current_ = nullptr;
};

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_BODYEMITTER_H
