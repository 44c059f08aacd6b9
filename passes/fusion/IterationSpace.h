// How a value lies in a kernel's flat iteration space. A space has `points` points in row-major
// order; a value's dimension walks through them with a stride. What a value spans is then a set of
// intervals on the axis of strides, which a reshape leaves alone: kernels look through reshapes
// because only the intervals count.

#ifndef DSC_PASSES_FUSION_ITERATIONSPACE_H
#define DSC_PASSES_FUSION_ITERATIONSPACE_H

#include "ir/Dialect.h"

namespace dsc {

/// For each dimension of a shape, the distance in points between neighbours along it; 0 for
/// dimensions of size 1.
using Strides = llvm::SmallVector<int64_t, 6>;

/// The half-open range of strides [low, high) that dimensions cover without a gap: high = low *
/// product of their sizes.
struct Interval {
  int64_t low, high;
  bool operator==(const Interval &other) const { return low == other.low && high == other.high; }
};

/// What a value spans: ascending intervals that do not touch. A scalar spans nothing.
using Span = llvm::SmallVector<Interval, 3>;

/// The strides of a tensor of `shape` that is a space of its own, or the inner part of one.
Strides spaceStrides(llvm::ArrayRef<int64_t> shape);

/// The strides of an operand that broadcasts to `domain`, whose strides are known.
Strides broadcastStrides(llvm::ArrayRef<int64_t> operand, llvm::ArrayRef<int64_t> domain,
                         const Strides &strides);

/// The strides of the same elements under `newShape`, or nothing where a dimension would need two
/// strides.
std::optional<Strides> reshapeStrides(llvm::ArrayRef<int64_t> shape, const Strides &strides,
                                      llvm::ArrayRef<int64_t> newShape);

Span spanOf(llvm::ArrayRef<int64_t> shape, const Strides &strides);

/// The factor f with `a` == f * `b`, or nothing. 1 where both are all 0.
std::optional<int64_t> strideRatio(const Strides &a, const Strides &b);

/// The dimensions of a space that was cut: strides at which dimensions meet, ascending, from 1 to
/// its points.
class SpaceDims {
public:
  /// Joins cuts from spans; nothing where they do not divide one another, so that no row-major
  /// shape has them all.
  static std::optional<SpaceDims> fromCuts(llvm::SmallVector<int64_t> cuts);

  /// Sizes of the dimensions, outermost first.
  llvm::SmallVector<int64_t> shape() const;

  /// The shape of a value that spans `span`: 1 where it repeats.
  llvm::SmallVector<int64_t> shapeOf(const Span &span) const;

  /// The dimensions within `span`.
  llvm::SmallVector<int64_t> axesOf(const Span &span) const;

  /// Number of dimensions whose strides are at least `columns`.
  int64_t rowRank(int64_t columns) const;

private:
  llvm::SmallVector<int64_t> cuts;
};

} // namespace dsc

#endif // DSC_PASSES_FUSION_ITERATIONSPACE_H
