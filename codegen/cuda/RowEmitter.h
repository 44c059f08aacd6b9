// Emits a row for the threads that share it: passes as its reductions need them, the last of which
// stores results and adds to column sums. The order of additions follows from the row's length: a
// thread's vectors in order, halves of lanes, halves of the warp, halves of the warps.

#ifndef DSC_CODEGEN_CUDA_ROWEMITTER_H
#define DSC_CODEGEN_CUDA_ROWEMITTER_H

#include "codegen/cuda/BodyEmitter.h"
#include "codegen/cuda/RowLayout.h"

namespace dsc::cuda {

/// Columns that a launch covers, and the thread's place among those that share a row.
struct ColumnSpan {
  /// Whole rows.
  static ColumnSpan of(CudaBuilder &b, const RowLayout &layout);

  /// Index of the thread's first vector, and how many vectors its next ones are further.
  mlir::Value first;
  int64_t stride = 1;
  /// Vectors of the thread, and whether some lie behind the row (for any thread).
  int64_t steps = 1;
  bool isRagged = false;
  /// Whether the threads have all of the row, the first `stride` vectors one each.
  bool isWhole = false;
};

class RowEmitter {
public:
  /// For the launch that comes after `columnStage` column reductions. `storeResults`: it is the
  /// last one over rows.
  RowEmitter(BodyEmitter &body, const RowLayout &layout, const ColumnSpan &span,
             int64_t columnStage, bool storeResults);

  /// The column reductions that this launch adds terms to.
  llvm::ArrayRef<ReduceOp> partials() const { return partials_; }

  /// What sums of partials() start from: a vector for each of the thread's steps and reductions.
  llvm::SmallVector<mlir::Value> startSums();

  /// Emits row `row`, whose terms count and whose results are stored where `valid` (null: always).
  /// `sums` has the form of startSums() and is replaced by what it is after the row.
  mlir::LogicalResult emitRow(mlir::Value row, mlir::Value valid,
                              llvm::SmallVector<mlir::Value> &sums);

  /// Loads what the thread needs of row `row`, for emitRow to start from: its loads are then under
  /// way while another row is computed. For rows in registers.
  llvm::SmallVector<mlir::Value> loadRow(mlir::Value row);
  void startFrom(llvm::ArrayRef<mlir::Value> loaded) {
    loaded_.assign(loaded.begin(), loaded.end());
  }

  /// Goes to the thread's vector `step` and returns whether it lies in the row (null: always). Its
  /// column is one of the row in any case.
  mlir::Value useStep(int64_t step);

  /// For rows in turn: `turn` is 0 and 1 alternately. Two rows after each other then use shared
  /// memory of their own, and no barrier stands between them.
  void setTurn(mlir::Value turn) { turn_ = turn; }

  /// Forgets where the steps of the last row are, after the loop that it was in.
  void forgetRow() {
    columns_.clear();
    inside_.clear();
    body_.forgetVectors();
  }

  /// For rows that are too long for registers: adds each vector's terms where the block's sums lie
  /// in memory instead of to `sums`.
  void addInMemory(llvm::function_ref<void(unsigned partial, mlir::Value term)> add) { add_ = add; }

private:
  llvm::SmallVector<ReduceOp> reductionsOf(int64_t pass) const;
  /// How many values of an element are computed in a pass and needed in a later one.
  int64_t valuesOfSeveralPasses() const;
  llvm::SmallVector<unsigned> resultsOfRows() const;
  mlir::LogicalResult emitPass(int64_t pass, mlir::Value valid,
                               llvm::SmallVector<mlir::Value> &sums);
  mlir::LogicalResult emitLastSteps(mlir::Value valid, llvm::SmallVector<mlir::Value> &sums);
  mlir::LogicalResult storeRowResults(mlir::Value valid);
  /// Runs `body` for all of the thread's vectors: each on its own, or in a loop that carries
  /// values.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>>
  forSteps(llvm::SmallVector<mlir::Value> carried,
           llvm::function_ref<mlir::FailureOr<llvm::SmallVector<mlir::Value>>(
               mlir::Value inside, llvm::ArrayRef<mlir::Value> carried)>
               body);
  mlir::Value both(mlir::Value a, mlir::Value b);
  /// Columns of the first `steps` vectors of all threads are less than this.
  int64_t columnsBelow(int64_t steps) const;
  /// What a thread's sum over a row begins with.
  mlir::Value startOf(ReduceOp reduce);
  /// What the thread adds to the sum of a row that is one of its elements: that element where it
  /// is the thread's, in the first lane of a vector.
  mlir::FailureOr<mlir::Value> pickTerm(const KernelSpace::Pick &pick, mlir::Value zero);
  /// The sum of `vector`'s lanes over all threads of the row, one lane that all threads hold.
  llvm::SmallVector<mlir::Value> combine(llvm::ArrayRef<ReduceOp> reductions,
                                         llvm::ArrayRef<mlir::Value> vectors);

  BodyEmitter &body_;
  CudaBuilder &b;
  const KernelSpace &space_;
  RowLayout layout_;
  ColumnSpan span_;
  int64_t columnStage_;
  /// Whether what one pass computes of a vector stays in registers for those behind it: what costs
  /// more than a register, everything.
  bool storeResults_, keepDear_, keepAll_;
  int64_t lastPass_ = 0;
  llvm::SmallVector<ReduceOp> partials_;
  llvm::SmallVector<mlir::Value> loaded_; // of the row that comes next; may be empty
  /// Of each step of the current row.
  llvm::DenseMap<int64_t, mlir::Value> columns_, inside_;
  llvm::function_ref<void(unsigned, mlir::Value)> add_;
  mlir::Value turn_;
};

/// The layout of `space`'s rows, with what its operands and sums leave of a thread's registers.
RowLayout layoutRows(const KernelSpace &space);

/// Emits, for a launch with a block for each layout.rows rows, all that needs the sums of
/// `columnStage` column reductions.
mlir::LogicalResult emitBlockRows(BodyEmitter &body, const RowLayout &layout, int64_t columnStage);

/// `vector` reduced to a scalar by halves of its lanes.
mlir::Value combineLanes(CudaBuilder &b, ReduceKind kind, mlir::Type element, mlir::Value vector);

} // namespace dsc::cuda

#endif // DSC_CODEGEN_CUDA_ROWEMITTER_H
