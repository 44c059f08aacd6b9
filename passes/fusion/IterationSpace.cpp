// The algebra of strides and spans.

#include "passes/fusion/IterationSpace.h"

using namespace mlir;
using namespace dsc;

Strides dsc::spaceStrides(ArrayRef<int64_t> shape) {
  Strides strides(shape.size(), 0);
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = shape[i] == 1 ? 0 : stride;
    stride *= shape[i];
  }
  return strides;
}

Strides dsc::broadcastStrides(ArrayRef<int64_t> operand, ArrayRef<int64_t> domain,
                              const Strides &strides) {
  Strides result(operand.size(), 0);
  size_t missing = domain.size() - operand.size();
  for (size_t i = 0; i < operand.size(); ++i) {
    result[i] = operand[i] == 1 ? 0 : strides[i + missing];
  }
  return result;
}

Span dsc::spanOf(ArrayRef<int64_t> shape, const Strides &strides) {
  Span span;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 1) {
      continue;
    }
    if (!span.empty() && span.back().high == strides[i]) {
      span.back().high *= shape[i];
    } else {
      span.push_back({strides[i], strides[i] * shape[i]});
    }
  }
  return span;
}

std::optional<Strides> dsc::reshapeStrides(ArrayRef<int64_t> shape, const Strides &strides,
                                           ArrayRef<int64_t> newShape) {
  Span span = spanOf(shape, strides);
  Strides result(newShape.size(), 0);
  size_t interval = 0;
  int64_t stride = span.empty() ? 1 : span[0].low;
  for (size_t i = newShape.size(); i-- > 0;) {
    if (newShape[i] == 1) {
      continue;
    }
    if (interval == span.size() || span[interval].high % (stride * newShape[i]) != 0) {
      return std::nullopt;
    }
    result[i] = stride;
    stride *= newShape[i];
    if (stride == span[interval].high && ++interval < span.size()) {
      stride = span[interval].low;
    }
  }
  return result;
}

std::optional<int64_t> dsc::strideRatio(const Strides &a, const Strides &b) {
  int64_t ratio = 0;
  for (auto [x, y] : llvm::zip_equal(a, b)) {
    if ((x == 0) != (y == 0)) {
      return std::nullopt;
    }
    if (x == 0) {
      continue;
    }
    if (x % y != 0 || (ratio != 0 && ratio != x / y)) {
      return std::nullopt;
    }
    ratio = x / y;
  }
  return ratio == 0 ? 1 : ratio;
}

std::optional<SpaceDims> SpaceDims::fromCuts(SmallVector<int64_t> cuts) {
  llvm::sort(cuts);
  cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
  for (size_t i = 1; i < cuts.size(); ++i) {
    if (cuts[i] % cuts[i - 1] != 0) {
      return std::nullopt;
    }
  }
  SpaceDims dims;
  dims.cuts = std::move(cuts);
  return dims;
}

SmallVector<int64_t> SpaceDims::shape() const {
  SmallVector<int64_t> result;
  for (size_t i = cuts.size(); i-- > 1;) {
    result.push_back(cuts[i] / cuts[i - 1]);
  }
  return result;
}

SmallVector<int64_t> SpaceDims::shapeOf(const Span &span) const {
  SmallVector<int64_t> result(cuts.size() - 1, 1);
  for (int64_t axis : axesOf(span)) {
    size_t i = cuts.size() - 1 - axis;
    result[axis] = cuts[i] / cuts[i - 1];
  }
  return result;
}

SmallVector<int64_t> SpaceDims::axesOf(const Span &span) const {
  SmallVector<int64_t> result;
  for (size_t i = cuts.size(); i-- > 1;) {
    if (llvm::any_of(span, [&](Interval s) { return s.low <= cuts[i - 1] && cuts[i] <= s.high; })) {
      result.push_back(static_cast<int64_t>(cuts.size() - 1 - i));
    }
  }
  return result;
}

int64_t SpaceDims::rowRank(int64_t columns) const {
  return llvm::count_if(ArrayRef<int64_t>(cuts).drop_back(),
                        [&](int64_t cut) { return cut >= columns; });
}
