// The meaning of ops on constants, as plain loops: folds shape arithmetic, masks and position
// tables away at import, and is the oracle for gradient rules and kernels in tests. Floats are
// computed in f64 and rounded to the element type.

#ifndef DSC_IR_EVALUATE_H
#define DSC_IR_EVALUATE_H

#include "ir/Dialect.h"

namespace dsc {

/// Results above this many elements stay ops instead of constants.
constexpr int64_t kMaxFoldedElements = 1 << 24;
/// Constants that are repeated to more elements than this stay broadcasts.
constexpr int64_t kMaxWrittenOut = 1 << 12;

/// A tensor in the evaluator: floats as doubles, integers and booleans as i64, in row-major order.
struct EvaluatedTensor {
  mlir::RankedTensorType type;
  std::vector<double> floats;    // where the element type is a float
  std::vector<int64_t> integers; // where it is an integer or boolean

  explicit EvaluatedTensor(mlir::RankedTensorType type);
  bool isFloat() const { return llvm::isa<mlir::FloatType>(type.getElementType()); }
  llvm::ArrayRef<int64_t> shape() const { return type.getShape(); }
  int64_t size() const { return type.getNumElements(); }
  /// Copies element `from` of `source` (of the same kind) to element `to`.
  void copyElement(int64_t to, const EvaluatedTensor &source, int64_t from);
  /// Rounds floats and wraps integers to the element type.
  void roundToType();

  static EvaluatedTensor fromAttribute(mlir::DenseElementsAttr attribute);
  mlir::DenseElementsAttr toAttribute() const;
};

/// Evaluates `op` on operands in its result types; false where the op has no evaluation (random
/// numbers, kernels) or an index is out of range.
bool evaluate(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
              std::vector<EvaluatedTensor> &results);
/// The same with other result types than the op's: a part of an elementwise op.
bool evaluateAs(mlir::TypeRange types, mlir::Operation *op,
                llvm::ArrayRef<EvaluatedTensor> operands, std::vector<EvaluatedTensor> &results);

/// `elements` repeated to `shape`, which they broadcast to.
mlir::DenseElementsAttr writeOut(mlir::DenseElementsAttr elements, llvm::ArrayRef<int64_t> shape);

/// Row-major strides of `shape`, in elements.
llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> shape);

/// Calls `visit(first, offsets, length)` for every row of `shape` (its last dimension) in row-major
/// order: `first` is the row's place in a tensor of that shape, `offsets[k]` its place in an
/// operand with the strides `strides[k]`, whose last one leads along the row.
void forEachRow(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<llvm::SmallVector<int64_t>> strides,
                llvm::function_ref<void(int64_t, llvm::ArrayRef<int64_t>, int64_t)> visit);

/// The strides of a tensor of shape `from` that is repeated to the shape `to`.
llvm::SmallVector<int64_t> broadcastStrides(llvm::ArrayRef<int64_t> from,
                                            llvm::ArrayRef<int64_t> to);

/// Calls `visit(linear, index)` for every index of `shape` in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> shape,
                  llvm::function_ref<void(int64_t, llvm::ArrayRef<int64_t>)> visit);

// The families, each in its own file; false for ops of other families.
bool evaluateElementwise(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                         std::vector<EvaluatedTensor> &results);
bool evaluateShape(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                   std::vector<EvaluatedTensor> &results);
bool evaluateReduction(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                       std::vector<EvaluatedTensor> &results);
bool evaluateNormalization(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                           std::vector<EvaluatedTensor> &results);
bool evaluateConvolution(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                         std::vector<EvaluatedTensor> &results);
bool evaluateAttention(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                       std::vector<EvaluatedTensor> &results);
bool evaluateOptimizer(mlir::Operation *op, llvm::ArrayRef<EvaluatedTensor> operands,
                       std::vector<EvaluatedTensor> &results);

} // namespace dsc

#endif // DSC_IR_EVALUATE_H
