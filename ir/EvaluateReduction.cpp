// Evaluation of reductions, and of matrix products.

#include "ir/Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

static double combine(ReduceKind kind, double x, double y) {
  switch (kind) {
  case ReduceKind::sum:
    return x + y;
  case ReduceKind::prod:
    return x * y;
  case ReduceKind::max:
    return std::isnan(x) || std::isnan(y) ? NAN : std::max(x, y);
  case ReduceKind::min:
    return std::isnan(x) || std::isnan(y) ? NAN : std::min(x, y);
  }
  return x;
}

static int64_t combine(ReduceKind kind, int64_t x, int64_t y) {
  switch (kind) {
  case ReduceKind::sum:
    return static_cast<uint64_t>(x) + static_cast<uint64_t>(y);
  case ReduceKind::prod:
    return static_cast<uint64_t>(x) * static_cast<uint64_t>(y);
  case ReduceKind::max:
    return std::max(x, y);
  case ReduceKind::min:
    return std::min(x, y);
  }
  return x;
}

/// Linear position of `index` in a tensor of `shape` whose size-1 dimensions repeat.
static int64_t positionIn(ArrayRef<int64_t> shape, ArrayRef<int64_t> index) {
  int64_t position = 0;
  for (size_t i = 0; i < shape.size(); ++i) {
    position = position * shape[i] + (shape[i] == 1 ? 0 : index[i]);
  }
  return position;
}

static bool evaluateReduce(ReduceOp op, const EvaluatedTensor &x, EvaluatedTensor &y) {
  std::vector<char> started(y.size(),
                            op.getKind() == ReduceKind::sum || op.getKind() == ReduceKind::prod);
  double neutral = op.getKind() == ReduceKind::prod;
  std::fill(y.floats.begin(), y.floats.end(), neutral);
  std::fill(y.integers.begin(), y.integers.end(), static_cast<int64_t>(neutral));
  forEachIndex(x.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
    int64_t to = positionIn(y.shape(), index);
    if (!started[to]) {
      y.copyElement(to, x, from);
      started[to] = 1;
    } else if (y.isFloat()) {
      y.floats[to] = combine(op.getKind(), y.floats[to], x.floats[from]);
    } else {
      y.integers[to] = combine(op.getKind(), y.integers[to], x.integers[from]);
    }
  });
  return true;
}

static bool evaluateArgReduce(ArgReduceOp op, const EvaluatedTensor &x, EvaluatedTensor &y) {
  std::vector<int64_t> best(y.size(), -1);
  forEachIndex(x.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
    int64_t to = positionIn(y.shape(), index);
    double value = x.isFloat() ? x.floats[from] : static_cast<double>(x.integers[from]);
    double held = best[to] < 0  ? value
                  : x.isFloat() ? x.floats[best[to]]
                                : static_cast<double>(x.integers[best[to]]);
    bool better = op.getKind() == ReduceKind::max ? value > held : value < held;
    if (best[to] < 0 || better || (op.getSelectLast() && value == held)) {
      best[to] = from;
      y.integers[to] = index[op.getAxis()];
    }
  });
  return true;
}

static bool evaluateCumulative(CumulativeOp op, const EvaluatedTensor &x, EvaluatedTensor &y) {
  size_t axis = op.getAxis();
  int64_t size = x.shape()[axis], stride = rowMajorStrides(x.shape())[axis];
  SmallVector<int64_t> lines(x.shape());
  lines[axis] = 1;
  SmallVector<int64_t> strides = rowMajorStrides(x.shape());
  forEachIndex(lines, [&](int64_t, ArrayRef<int64_t> index) {
    int64_t start = 0;
    for (size_t i = 0; i < index.size(); ++i) {
      start += index[i] * strides[i];
    }
    double sum = op.getKind() == ReduceKind::prod;
    int64_t integerSum = op.getKind() == ReduceKind::prod;
    for (int64_t k = 0; k < size; ++k) {
      int64_t at = start + (op.getReverse() ? size - 1 - k : k) * stride;
      if (y.isFloat()) {
        double next = combine(op.getKind(), sum, x.floats[at]);
        y.floats[at] = op.getExclusive() ? sum : next;
        sum = next;
      } else {
        int64_t next = combine(op.getKind(), integerSum, x.integers[at]);
        y.integers[at] = op.getExclusive() ? integerSum : next;
        integerSum = next;
      }
    }
  });
  return true;
}

static bool evaluateMatmul(MatmulOp op, ArrayRef<EvaluatedTensor> operands, EvaluatedTensor &y) {
  const EvaluatedTensor &a = operands[0], &b = operands[1];
  int64_t rank = y.shape().size();
  bool ta = op.getTransposeA(), tb = op.getTransposeB();
  int64_t inner = a.shape()[a.shape().size() - (ta ? 2 : 1)];
  auto batchOffset = [&](const EvaluatedTensor &x, ArrayRef<int64_t> index) {
    ArrayRef<int64_t> batch = x.shape().drop_back(2);
    return positionIn(batch, index.slice(rank - 2 - batch.size(), batch.size())) *
           x.shape().end()[-1] * x.shape().end()[-2];
  };
  size_t next = 2;
  const EvaluatedTensor *bias = op.getBias() ? &operands[next++] : nullptr;
  const EvaluatedTensor *accumulator = op.getAccumulator() ? &operands[next++] : nullptr;
  bool isCut = op.getActivation() == Epilogue::relu;
  if (op.getActivation() != Epilogue::none && !isCut) {
    return false;
  }
  int64_t aColumns = a.shape().back(), bColumns = b.shape().back();
  forEachIndex(y.shape(), [&](int64_t linear, ArrayRef<int64_t> index) {
    int64_t m = index[rank - 2], n = index[rank - 1], aAt = batchOffset(a, index),
            bAt = batchOffset(b, index);
    double sum = (bias ? bias->floats[n] : 0) + (accumulator ? accumulator->floats[linear] : 0);
    for (int64_t k = 0; k < inner; ++k) {
      sum += a.floats[aAt + (ta ? k * aColumns + m : m * aColumns + k)] *
             b.floats[bAt + (tb ? n * bColumns + k : k * bColumns + n)];
    }
    y.floats[linear] = isCut && sum < 0 ? 0 : sum; // NaN stays NaN
  });
  return true;
}

bool dsc::evaluateReduction(Operation *op, ArrayRef<EvaluatedTensor> operands,
                            std::vector<EvaluatedTensor> &results) {
  if (auto reduce = dyn_cast<ReduceOp>(op)) {
    return evaluateReduce(reduce, operands[0], results[0]);
  }
  if (auto arg = dyn_cast<ArgReduceOp>(op)) {
    return evaluateArgReduce(arg, operands[0], results[0]);
  }
  if (auto cumulative = dyn_cast<CumulativeOp>(op)) {
    return evaluateCumulative(cumulative, operands[0], results[0]);
  }
  if (auto matmul = dyn_cast<MatmulOp>(op)) {
    return evaluateMatmul(matmul, operands, results[0]);
  }
  return false;
}
