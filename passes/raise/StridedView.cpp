// The algebra of strided views.

#include "passes/raise/StridedView.h"

using namespace mlir;
using namespace dsc;

StridedView StridedView::contiguous(ArrayRef<int64_t> shape) {
  StridedView view;
  view.dimensions.resize(shape.size());
  int64_t stride = 1;
  for (int64_t i = static_cast<int64_t>(shape.size()) - 1; i >= 0; --i) {
    if (shape[i] != 1) {
      view.dimensions[i].push_back({shape[i], stride});
    }
    stride *= shape[i];
  }
  return view;
}

StridedView::Dimension StridedView::merged(const Dimension &factors) {
  Dimension result;
  for (Factor factor : factors) {
    if (factor.size == 1) {
      continue;
    }
    if (!result.empty() && result.back().stride == factor.size * factor.stride) {
      result.back() = {result.back().size * factor.size, factor.stride};
    } else {
      result.push_back(factor);
    }
  }
  return result;
}

bool StridedView::reshape(ArrayRef<int64_t> shape) {
  if (llvm::is_contained(shape, 0)) {
    return false;
  }
  Dimension all;
  for (const Dimension &dimension : dimensions) {
    all.append(dimension);
  }
  all = merged(all);
  std::reverse(all.begin(), all.end()); // the outermost factor is taken from the back
  SmallVector<Dimension, 4> result;
  for (int64_t remaining : shape) {
    Dimension dimension;
    while (remaining > 1) {
      if (all.empty()) {
        return false;
      }
      Factor outer = all.pop_back_val();
      if (remaining % outer.size == 0) {
        remaining /= outer.size;
        dimension.push_back(outer);
      } else if (outer.size % remaining == 0) {
        int64_t inner = outer.size / remaining;
        dimension.push_back({remaining, outer.stride * inner});
        all.push_back({inner, outer.stride});
        remaining = 1;
      } else {
        return false;
      }
    }
    result.push_back(merged(dimension));
  }
  dimensions = std::move(result);
  return all.empty();
}

void StridedView::transpose(ArrayRef<int64_t> permutation) {
  SmallVector<Dimension, 4> result;
  for (int64_t i : permutation) {
    result.push_back(dimensions[i]);
  }
  dimensions = std::move(result);
}

bool StridedView::slice(ArrayRef<int64_t> starts, ArrayRef<int64_t> sizes,
                        ArrayRef<int64_t> steps) {
  SmallVector<int64_t> before = shape();
  for (auto [i, dimension] : llvm::enumerate(dimensions)) {
    if (sizes[i] == before[i] && (steps[i] == 1 || sizes[i] == 1)) {
      continue;
    }
    if (dimension.size() != 1 || sizes[i] == 0) {
      return false;
    }
    Factor &factor = dimension.front();
    start += starts[i] * factor.stride;
    factor = {sizes[i], factor.stride * steps[i]};
    if (sizes[i] == 1) {
      dimension.clear();
    }
  }
  return true;
}

bool StridedView::broadcast(ArrayRef<int64_t> target) {
  if (llvm::is_contained(target, 0)) {
    return false;
  }
  SmallVector<int64_t> before = shape();
  SmallVector<Dimension, 4> result(target.size());
  int64_t added = static_cast<int64_t>(target.size()) - rank();
  for (int64_t i = 0; i < static_cast<int64_t>(target.size()); ++i) {
    int64_t size = i < added ? 1 : before[i - added];
    if (size == target[i]) {
      result[i] = i < added ? Dimension() : dimensions[i - added];
    } else {
      result[i] = {{target[i], 0}};
    }
  }
  dimensions = std::move(result);
  return true;
}

bool StridedView::apply(Operation *op) {
  ArrayRef<int64_t> shape = cast<RankedTensorType>(op->getResult(0).getType()).getShape();
  if (isa<ReshapeOp>(op)) {
    return reshape(shape);
  }
  if (auto transposeOp = dyn_cast<TransposeOp>(op)) {
    transpose(transposeOp.getPermutation());
    return true;
  }
  if (auto sliceOp = dyn_cast<SliceOp>(op)) {
    return slice(sliceOp.getStarts(), sliceOp.getSizes(), sliceOp.getSteps());
  }
  return isa<BroadcastOp>(op) && broadcast(shape);
}

SmallVector<int64_t> StridedView::shape() const {
  SmallVector<int64_t> result;
  for (const Dimension &dimension : dimensions) {
    int64_t size = 1;
    for (Factor factor : dimension) {
      size *= factor.size;
    }
    result.push_back(size);
  }
  return result;
}

bool StridedView::isContiguous() const {
  Dimension all;
  for (const Dimension &dimension : dimensions) {
    all.append(dimension);
  }
  all = merged(all);
  return start == 0 && (all.empty() || (all.size() == 1 && all.front().stride == 1));
}

bool dsc::isViewOp(Operation *op) {
  return isa_and_nonnull<ReshapeOp, TransposeOp, SliceOp, BroadcastOp>(op);
}
