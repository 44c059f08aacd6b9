// Evaluation of softmax, norms and cross-entropy, from their definitions in ir/OpsNormalization.td.

#include "ir/Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

/// Position in a tensor of `shape` of the element that broadcasts to `index`.
static int64_t broadcastAt(ArrayRef<int64_t> shape, ArrayRef<int64_t> index) {
  int64_t position = 0;
  index = index.take_back(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) {
    position = position * shape[i] + (shape[i] == 1 ? 0 : index[i]);
  }
  return position;
}

static int64_t columnsFrom(ArrayRef<int64_t> shape, int64_t axis) {
  int64_t columns = 1;
  for (int64_t size : shape.drop_front(axis)) {
    columns *= size;
  }
  return columns;
}

static void evaluateSoftmax(const EvaluatedTensor &x, EvaluatedTensor &y, int64_t axis,
                            bool isLog) {
  SmallVector<int64_t> lines(x.shape()), strides = rowMajorStrides(x.shape());
  lines[axis] = 1;
  forEachIndex(lines, [&](int64_t, ArrayRef<int64_t> index) {
    int64_t start = 0;
    for (size_t i = 0; i < index.size(); ++i) {
      start += index[i] * strides[i];
    }
    double largest = -INFINITY, sum = 0;
    for (int64_t k = 0; k < x.shape()[axis]; ++k) {
      largest = std::max(largest, x.floats[start + k * strides[axis]]);
    }
    for (int64_t k = 0; k < x.shape()[axis]; ++k) {
      sum += std::exp(x.floats[start + k * strides[axis]] - largest);
    }
    for (int64_t k = 0; k < x.shape()[axis]; ++k) {
      double shifted = x.floats[start + k * strides[axis]] - largest;
      y.floats[start + k * strides[axis]] =
          isLog ? shifted - std::log(sum) : std::exp(shifted) / sum;
    }
  });
}

/// layer_norm, and rms_norm where `mean` is null.
static void evaluateRowNorm(const EvaluatedTensor &x, const EvaluatedTensor *gamma,
                            const EvaluatedTensor *beta, int64_t axis, double epsilon,
                            EvaluatedTensor &y, EvaluatedTensor *mean, EvaluatedTensor &rstd) {
  int64_t columns = columnsFrom(x.shape(), axis);
  for (int64_t row = 0; row < rstd.size(); ++row) {
    const double *values = x.floats.data() + row * columns;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < columns && mean; ++i) {
      sum += values[i];
    }
    double center = sum / static_cast<double>(columns);
    for (int64_t i = 0; i < columns; ++i) {
      squares += (values[i] - center) * (values[i] - center);
    }
    rstd.floats[row] = 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
    if (mean) {
      mean->floats[row] = center;
    }
  }
  forEachIndex(x.shape(), [&](int64_t i, ArrayRef<int64_t> index) {
    double value =
        (x.floats[i] - (mean ? mean->floats[i / columns] : 0)) * rstd.floats[i / columns];
    value *= gamma ? gamma->floats[broadcastAt(gamma->shape(), index)] : 1;
    y.floats[i] = value + (beta ? beta->floats[broadcastAt(beta->shape(), index)] : 0);
  });
}

/// layer_norm_grad, and rms_norm_grad where `mean` is null.
static void evaluateRowNormGrad(const EvaluatedTensor &x, const EvaluatedTensor *mean,
                                const EvaluatedTensor &rstd, const EvaluatedTensor &g, int64_t axis,
                                EvaluatedTensor &dx) {
  int64_t columns = columnsFrom(x.shape(), axis);
  for (int64_t row = 0; row < rstd.size(); ++row) {
    double center = mean ? mean->floats[row] : 0, sum = 0, dot = 0;
    auto normalized = [&](int64_t i) {
      return (x.floats[row * columns + i] - center) * rstd.floats[row];
    };
    for (int64_t i = 0; i < columns; ++i) {
      sum += mean ? g.floats[row * columns + i] : 0;
      dot += g.floats[row * columns + i] * normalized(i);
    }
    for (int64_t i = 0; i < columns; ++i) {
      double rest =
          g.floats[row * columns + i] - (sum + normalized(i) * dot) / static_cast<double>(columns);
      dx.floats[row * columns + i] = rstd.floats[row] * rest;
    }
  }
}

namespace {
/// The images of a batch norm as channels: which channel an element belongs to, and how many
/// elements each has.
struct Channels {
  Channels(ArrayRef<int64_t> shape, ConvLayout layout)
      : dim(layout == ConvLayout::channels_last ? shape.size() - 1 : 1), count(shape[dim]),
        inner(columnsFrom(shape, static_cast<int64_t>(dim) + 1)) {}
  int64_t of(int64_t element) const { return element / inner % count; }

  size_t dim;
  int64_t count, inner;
};
} // namespace

static void evaluateBatchNorm(BatchNormOp op, ArrayRef<EvaluatedTensor> operands,
                              std::vector<EvaluatedTensor> &results) {
  const EvaluatedTensor &x = operands[0];
  Channels channels(x.shape(), op.getLayout());
  double each =
      static_cast<double>(x.size()) / static_cast<double>(std::max<int64_t>(channels.count, 1));
  std::vector<double> &mean = results[1].floats, &var = results[2].floats,
                      &rstd = results[3].floats;
  for (int64_t i = 0; i < x.size(); ++i) {
    mean[channels.of(i)] += x.floats[i] / each;
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    double distance = x.floats[i] - mean[channels.of(i)];
    var[channels.of(i)] += distance * distance / each;
  }
  for (int64_t c = 0; c < channels.count; ++c) {
    rstd[c] = 1 / std::sqrt(var[c] + op.getEpsilon().convertToDouble());
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t c = channels.of(i);
    results[0].floats[i] =
        (x.floats[i] - mean[c]) * rstd[c] * operands[1].floats[c] + operands[2].floats[c];
  }
}

static void evaluateBatchNormGrad(BatchNormGradOp op, ArrayRef<EvaluatedTensor> operands,
                                  std::vector<EvaluatedTensor> &results) {
  const EvaluatedTensor &x = operands[0], &dy = operands[4];
  const std::vector<double> &gamma = operands[1].floats, &mean = operands[2].floats,
                            &rstd = operands[3].floats;
  std::vector<double> &dgamma = results[1].floats, &dbeta = results[2].floats;
  Channels channels(x.shape(), op.getLayout());
  double each =
      static_cast<double>(x.size()) / static_cast<double>(std::max<int64_t>(channels.count, 1));
  auto normalized = [&](int64_t i) {
    return (x.floats[i] - mean[channels.of(i)]) * rstd[channels.of(i)];
  };
  for (int64_t i = 0; i < x.size(); ++i) {
    dbeta[channels.of(i)] += dy.floats[i];
    dgamma[channels.of(i)] += dy.floats[i] * normalized(i);
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t c = channels.of(i);
    results[0].floats[i] =
        gamma[c] * rstd[c] * (dy.floats[i] - dbeta[c] / each - normalized(i) * dgamma[c] / each);
  }
}

/// False where a label is no class.
static bool evaluateCrossEntropy(CrossEntropyOp op, ArrayRef<EvaluatedTensor> operands,
                                 EvaluatedTensor &loss, EvaluatedTensor &lse) {
  const EvaluatedTensor &logits = operands[0], &labels = operands[1];
  int64_t width = logits.shape().back(), ignored = op.getIgnoreIndexAttr().getInt();
  int64_t classes = op.getClasses().value_or(width);
  double smoothing = op.getLabelSmoothing().convertToDouble();
  for (int64_t row = 0; row < labels.size(); ++row) {
    ArrayRef<double> x(logits.floats.data() + row * width, classes);
    double largest = *std::max_element(x.begin(), x.end()), sum = 0, total = 0;
    for (double value : x) {
      sum += std::exp(value - largest);
      total += value;
    }
    lse.floats[row] = largest + std::log(sum);
    int64_t label = labels.integers[row];
    if (label == ignored) {
      continue;
    }
    if (label < 0 || label >= classes) {
      return false;
    }
    loss.floats[row] = (1 - smoothing) * (lse.floats[row] - x[label]) +
                       smoothing * (lse.floats[row] - total / static_cast<double>(classes));
  }
  return true;
}

static bool evaluateCrossEntropyGrad(CrossEntropyGradOp op, ArrayRef<EvaluatedTensor> operands,
                                     EvaluatedTensor &dx) {
  const EvaluatedTensor &logits = operands[0], &labels = operands[1], &lse = operands[2],
                        &dloss = operands[3];
  int64_t width = logits.shape().back(), ignored = op.getIgnoreIndexAttr().getInt();
  int64_t classes = op.getClasses().value_or(width);
  double smoothing = op.getLabelSmoothing().convertToDouble();
  for (int64_t row = 0; row < labels.size(); ++row) {
    int64_t label = labels.integers[row];
    if (label == ignored) {
      continue;
    }
    if (label < 0 || label >= classes) {
      return false;
    }
    for (int64_t k = 0; k < classes; ++k) {
      double target = (1 - smoothing) * (k == label) + smoothing / static_cast<double>(classes);
      int64_t at = row * width + k;
      dx.floats[at] = dloss.floats[row] * (std::exp(logits.floats[at] - lse.floats[row]) - target);
    }
  }
  return true;
}

bool dsc::evaluateNormalization(Operation *op, ArrayRef<EvaluatedTensor> operands,
                                std::vector<EvaluatedTensor> &results) {
  if (auto softmax = dyn_cast<SoftmaxOp>(op)) {
    evaluateSoftmax(operands[0], results[0], softmax.getAxis(), /*isLog=*/false);
  } else if (auto softmax = dyn_cast<LogSoftmaxOp>(op)) {
    evaluateSoftmax(operands[0], results[0], softmax.getAxis(), /*isLog=*/true);
  } else if (auto norm = dyn_cast<LayerNormOp>(op)) {
    const EvaluatedTensor *gamma = norm.getGamma() ? &operands[1] : nullptr;
    const EvaluatedTensor *beta = norm.getBeta() ? &operands.back() : nullptr;
    evaluateRowNorm(operands[0], gamma, beta, norm.getAxis(), norm.getEpsilon().convertToDouble(),
                    results[0], &results[1], results[2]);
  } else if (auto norm = dyn_cast<RmsNormOp>(op)) {
    const EvaluatedTensor *gamma = norm.getGamma() ? &operands[1] : nullptr;
    evaluateRowNorm(operands[0], gamma, nullptr, norm.getAxis(),
                    norm.getEpsilon().convertToDouble(), results[0], nullptr, results[1]);
  } else if (auto grad = dyn_cast<LayerNormGradOp>(op)) {
    evaluateRowNormGrad(operands[0], &operands[1], operands[2], operands[3], grad.getAxis(),
                        results[0]);
  } else if (auto grad = dyn_cast<RmsNormGradOp>(op)) {
    evaluateRowNormGrad(operands[0], nullptr, operands[1], operands[2], grad.getAxis(), results[0]);
  } else if (auto norm = dyn_cast<BatchNormOp>(op)) {
    evaluateBatchNorm(norm, operands, results);
  } else if (auto grad = dyn_cast<BatchNormGradOp>(op)) {
    evaluateBatchNormGrad(grad, operands, results);
  } else if (auto loss = dyn_cast<CrossEntropyOp>(op)) {
    return evaluateCrossEntropy(loss, operands, results[0], results[1]);
  } else if (auto grad = dyn_cast<CrossEntropyGradOp>(op)) {
    return evaluateCrossEntropyGrad(grad, operands, results[0]);
  } else {
    return false;
  }
  return true;
}
