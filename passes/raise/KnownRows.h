// Masks of long sequences stay ops at import, for they are large and made of little: their rows are
// computed here, a few at a time, where a pattern must see them.

#ifndef DSC_PASSES_RAISE_KNOWNROWS_H
#define DSC_PASSES_RAISE_KNOWNROWS_H

#include "ir/Evaluate.h"

#include "llvm/ADT/DenseMap.h"

namespace dsc {

/// A value of shape [1, .., 1, rows, columns] that elementwise ops make of constants. Its leading
/// dimensions may have been repeated.
class KnownRows {
public:
  /// Nothing where `value` is something else.
  static std::optional<KnownRows> of(mlir::Value value);

  int64_t rows() const { return shape[0]; }
  int64_t columns() const { return shape[1]; }
  /// Rows [first, first + count), [count, columns]. Nothing where an op has no value (a division by
  /// zero).
  std::optional<EvaluatedTensor> read(int64_t first, int64_t count);

private:
  explicit KnownRows(mlir::Value value);
  bool collect(mlir::Value value, int depth);
  const EvaluatedTensor *readValue(mlir::Value value, int64_t first, int64_t count);

  mlir::Value root;
  llvm::SmallVector<int64_t, 2> shape;
  llvm::DenseSet<mlir::Value> steps;                      // results of ops that have been checked
  llvm::DenseMap<mlir::Value, EvaluatedTensor> constants; // [1 or rows, 1 or columns]
  llvm::DenseMap<mlir::Value, EvaluatedTensor> known;     // of the rows being read
};

} // namespace dsc

#endif // DSC_PASSES_RAISE_KNOWNROWS_H
