// Reductions that no kernel does in one go become two: over leading and trailing dimensions at once
// (statistics of a channel of [N, C, H, W]) first over the trailing ones; over everything, where
// that is much, first over rows, so that threads share them. Which ones is a function of the shape.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

namespace dsc {
#define GEN_PASS_DEF_SPLITREDUCTIONS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// From this many elements on, a reduction over everything is shared.
static constexpr int64_t kSharedElements = 16 << 10;
/// Least number of elements of a part.
static constexpr int64_t kPartElements = 1 << 10;

/// The axes of the first of two reductions; empty where one does.
static SmallVector<int64_t> firstAxes(ReduceOp op) {
  auto type = tensorType(op.getX());
  ArrayRef<int64_t> axes = op.getAxes();
  int64_t rank = type.getRank();
  auto isReduced = [&](int64_t dim) {
    return type.getDimSize(dim) == 1 || llvm::is_contained(axes, dim);
  };
  int64_t leading = 0, trailing = rank;
  while (leading < rank && isReduced(leading)) {
    ++leading;
  }
  while (trailing > leading && isReduced(trailing - 1)) {
    --trailing;
  }
  if (leading == rank) {
    // Everything: the trailing dimensions that make a part.
    if (type.getNumElements() < kSharedElements) {
      return {};
    }
    int64_t part = 1, dim = rank;
    while (dim > 0 && part < kPartElements) {
      part *= type.getDimSize(--dim);
    }
    return part == type.getNumElements() ? SmallVector<int64_t>()
                                         : llvm::to_vector(llvm::seq<int64_t>(dim, rank));
  }
  bool onlyEnds = llvm::all_of(axes, [&](int64_t axis) {
    return axis < leading || axis >= trailing || type.getDimSize(axis) == 1;
  });
  bool hasLeading = llvm::any_of(
      axes, [&](int64_t axis) { return axis < leading && type.getDimSize(axis) != 1; });
  if (!onlyEnds || !hasLeading || trailing == rank) {
    return {};
  }
  return llvm::to_vector(
      llvm::make_filter_range(axes, [&](int64_t axis) { return axis >= trailing; }));
}

namespace {
struct SplitReductions : public dsc::impl::SplitReductionsBase<SplitReductions> {
  void runOnOperation() override {
    SmallVector<ReduceOp> reductions;
    getOperation().walk([&](ReduceOp op) { reductions.push_back(op); });
    for (ReduceOp op : reductions) {
      if (op.getX().getType() == op.getY().getType()) { // nothing is reduced
        op.getY().replaceAllUsesWith(op.getX());
        op.erase();
        continue;
      }
      SmallVector<int64_t> first = firstAxes(op);
      if (first.empty()) {
        continue;
      }
      SmallVector<int64_t> rest = llvm::to_vector(llvm::make_filter_range(
          op.getAxes(), [&](int64_t axis) { return !llvm::is_contained(first, axis); }));
      OpBuilder builder(op);
      // Half types are rounded once, at the end.
      auto type = cast<RankedTensorType>(op.getX().getType());
      Type wide = isa<FloatType>(type.getElementType()) ? statisticsType(type.getElementType())
                                                        : type.getElementType();
      auto inType = [&](Value x, Type element) -> Value {
        auto own = cast<RankedTensorType>(x.getType());
        return own.getElementType() == element
                   ? x
                   : builder.create<CastOp>(op.getLoc(), own.clone(element), x).getResult();
      };
      auto part =
          builder.create<ReduceOp>(op.getLoc(), inType(op.getX(), wide), op.getKind(), first);
      Value whole = builder.create<ReduceOp>(op.getLoc(), part.getY(), op.getKind(), rest);
      op.getY().replaceAllUsesWith(inType(whole, type.getElementType()));
      op.erase();
    }
  }
};
} // namespace
