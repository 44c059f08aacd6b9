// Where the elements of a value lie in another one that it is a view of: chains of reshape,
// transpose, slice and broadcast as strides. Exporters write one change of layout in many ways (a
// transpose as three nodes, heads split by slices or by transposes); as strides they are all the
// same.

#ifndef DSC_PASSES_RAISE_STRIDEDVIEW_H
#define DSC_PASSES_RAISE_STRIDEDVIEW_H

#include "ir/Dialect.h"

namespace dsc {

/// A dimension is a list of factors, outer to inner, because merged dimensions need not have a
/// common stride: the view that a transpose of [2, 3, 4] by (1, 0, 2), reshaped to [6, 4], has of
/// its operand is {(3, 4), (2, 12)}, {(4, 1)}. Neighbouring factors that do have one are one
/// factor; factors of size 1 are left out.
class StridedView {
public:
  struct Factor {
    int64_t size, stride; // stride 0: repeated by a broadcast
    bool operator==(const Factor &other) const {
      return size == other.size && stride == other.stride;
    }
  };
  using Dimension = llvm::SmallVector<Factor, 2>;

  /// The view of a tensor of `shape` of itself.
  static StridedView contiguous(llvm::ArrayRef<int64_t> shape);

  /// Each returns false where the result has no strides; the view is then not usable.
  bool reshape(llvm::ArrayRef<int64_t> shape);
  void transpose(llvm::ArrayRef<int64_t> permutation);
  bool slice(llvm::ArrayRef<int64_t> starts, llvm::ArrayRef<int64_t> sizes,
             llvm::ArrayRef<int64_t> steps);
  bool broadcast(llvm::ArrayRef<int64_t> shape);
  /// The effect of one of these ops; false for all others.
  bool apply(mlir::Operation *op);

  int64_t rank() const { return dimensions.size(); }
  const Dimension &dimension(int64_t i) const { return dimensions[i]; }
  int64_t offset() const { return start; }
  llvm::SmallVector<int64_t> shape() const;
  /// Whether the elements lie one after the other from the start of the base.
  bool isContiguous() const;

private:
  static Dimension merged(const Dimension &factors);

  llvm::SmallVector<Dimension, 4> dimensions;
  int64_t start = 0;
};

/// Whether `op` is one of the ops that views are made of.
bool isViewOp(mlir::Operation *op);

} // namespace dsc

#endif // DSC_PASSES_RAISE_STRIDEDVIEW_H
