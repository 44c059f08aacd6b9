// Evaluation of shape and index ops.

#include "ir/Evaluate.h"

#include "ir/OpsOrder.h"

#include <limits>

using namespace mlir;
using namespace dsc;

static int64_t dot(ArrayRef<int64_t> index, ArrayRef<int64_t> strides) {
  int64_t sum = 0;
  for (size_t i = 0; i < index.size(); ++i) {
    sum += index[i] * strides[i];
  }
  return sum;
}

/// An index as stored, counted from the end where negative; nothing where it is out of range.
static std::optional<int64_t> checkedIndex(int64_t index, int64_t size) {
  index = index < 0 ? index + size : index;
  return index >= 0 && index < size ? std::optional<int64_t>(index) : std::nullopt;
}

/// y[index] = x[start + index . strides].
static void copyStrided(const EvaluatedTensor &x, int64_t start,
                        const SmallVector<int64_t> &strides, EvaluatedTensor &y) {
  int64_t step = strides.empty() ? 0 : strides.back();
  forEachRow(y.shape(), strides, [&](int64_t to, ArrayRef<int64_t> offsets, int64_t length) {
    int64_t from = start + offsets[0];
    for (int64_t i = 0; i < length; ++i) {
      y.copyElement(to + i, x, from + i * step);
    }
  });
}

static void concatenate(ConcatOp op, ArrayRef<EvaluatedTensor> operands, EvaluatedTensor &y) {
  SmallVector<int64_t> strides = rowMajorStrides(y.shape());
  int64_t offset = 0;
  for (const EvaluatedTensor &x : operands) {
    forEachIndex(x.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
      y.copyElement(dot(index, strides) + offset * strides[op.getAxis()], x, from);
    });
    offset += x.shape()[op.getAxis()];
  }
}

static void padWith(PadOp op, const EvaluatedTensor &x, EvaluatedTensor &y) {
  double value = op.getValue().convertToDouble();
  std::fill(y.floats.begin(), y.floats.end(), value);
  std::fill(y.integers.begin(), y.integers.end(), static_cast<int64_t>(value));
  SmallVector<int64_t> strides = rowMajorStrides(y.shape());
  forEachIndex(x.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
    int64_t to = 0;
    for (size_t i = 0; i < index.size(); ++i) {
      to += (op.getLow()[i] + index[i] * (op.getInterior()[i] + 1)) * strides[i];
    }
    y.copyElement(to, x, from);
  });
}

static bool gather(GatherOp op, const EvaluatedTensor &data, const EvaluatedTensor &indices,
                   EvaluatedTensor &y) {
  size_t axis = op.getAxis(), indexRank = indices.shape().size();
  SmallVector<int64_t> dataStrides = rowMajorStrides(data.shape()),
                       indexStrides = rowMajorStrides(indices.shape());
  bool ok = true;
  forEachIndex(y.shape(), [&](int64_t to, ArrayRef<int64_t> index) {
    std::optional<int64_t> row = checkedIndex(
        indices.integers[dot(index.slice(axis, indexRank), indexStrides)], data.shape()[axis]);
    ok = ok && row;
    int64_t from =
        dot(index.take_front(axis), ArrayRef(dataStrides).take_front(axis)) +
        row.value_or(0) * dataStrides[axis] +
        dot(index.drop_front(axis + indexRank), ArrayRef(dataStrides).drop_front(axis + 1));
    if (ok) {
      y.copyElement(to, data, from);
    }
  });
  return ok;
}

static bool gatherGrad(GatherGradOp op, const EvaluatedTensor &dy, const EvaluatedTensor &indices,
                       EvaluatedTensor &dx) {
  size_t axis = op.getAxis(), indexRank = indices.shape().size();
  SmallVector<int64_t> strides = rowMajorStrides(dx.shape()),
                       indexStrides = rowMajorStrides(indices.shape());
  bool ok = true;
  forEachIndex(dy.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
    std::optional<int64_t> row = checkedIndex(
        indices.integers[dot(index.slice(axis, indexRank), indexStrides)], dx.shape()[axis]);
    ok = ok && row;
    if (ok) {
      dx.floats[dot(index.take_front(axis), ArrayRef(strides).take_front(axis)) +
                *row * strides[axis] +
                dot(index.drop_front(axis + indexRank), ArrayRef(strides).drop_front(axis + 1))] +=
          dy.floats[from];
    }
  });
  return ok;
}

static bool gatherElements(GatherElementsOp op, const EvaluatedTensor &data,
                           const EvaluatedTensor &indices, EvaluatedTensor &y) {
  SmallVector<int64_t> strides = rowMajorStrides(data.shape());
  size_t axis = op.getAxis();
  bool ok = true;
  forEachIndex(y.shape(), [&](int64_t to, ArrayRef<int64_t> index) {
    std::optional<int64_t> row = checkedIndex(indices.integers[to], data.shape()[axis]);
    ok = ok && row;
    if (ok) {
      y.copyElement(to, data, dot(index, strides) + (*row - index[axis]) * strides[axis]);
    }
  });
  return ok;
}

/// Writes or combines element `from` of `updates` into element `to` of `y`.
static void scatterElement(ScatterKind kind, EvaluatedTensor &y, int64_t to,
                           const EvaluatedTensor &updates, int64_t from) {
  auto apply = [&](auto &target, auto value) {
    switch (kind) {
    case ScatterKind::none:
      target = value;
      break;
    case ScatterKind::add:
      target += value;
      break;
    case ScatterKind::mul:
      target *= value;
      break;
    case ScatterKind::max:
      target = std::max(target, value);
      break;
    case ScatterKind::min:
      target = std::min(target, value);
      break;
    }
  };
  if (y.isFloat()) {
    apply(y.floats[to], updates.floats[from]);
  } else {
    apply(y.integers[to], updates.integers[from]);
  }
}

static bool scatterElements(ScatterElementsOp op, ArrayRef<EvaluatedTensor> operands,
                            EvaluatedTensor &y) {
  y = operands[0];
  const EvaluatedTensor &indices = operands[1], &updates = operands[2];
  SmallVector<int64_t> strides = rowMajorStrides(y.shape());
  size_t axis = op.getAxis();
  bool ok = true;
  forEachIndex(indices.shape(), [&](int64_t from, ArrayRef<int64_t> index) {
    std::optional<int64_t> row = checkedIndex(indices.integers[from], y.shape()[axis]);
    ok = ok && row;
    if (ok) {
      scatterElement(op.getKind(), y, dot(index, strides) + (*row - index[axis]) * strides[axis],
                     updates, from);
    }
  });
  return ok;
}

/// Calls `visit(offset in data of the slice, number of the tuple)` for every index tuple; false
/// where one is out of range. `data` is data's shape without its first `batch` dimensions' meaning:
/// those follow the tuple's own position.
static bool forEachTuple(ArrayRef<int64_t> data, const EvaluatedTensor &indices, int64_t batch,
                         llvm::function_ref<void(int64_t, int64_t)> visit) {
  int64_t depth = indices.shape().back();
  SmallVector<int64_t> strides = rowMajorStrides(data);
  bool ok = true;
  forEachIndex(indices.shape().drop_back(), [&](int64_t tuple, ArrayRef<int64_t> index) {
    int64_t offset = dot(index.take_front(batch), ArrayRef(strides).take_front(batch));
    for (int64_t i = 0; i < depth; ++i) {
      std::optional<int64_t> at =
          checkedIndex(indices.integers[tuple * depth + i], data[batch + i]);
      ok = ok && at;
      offset += at.value_or(0) * strides[batch + i];
    }
    if (ok) {
      visit(offset, tuple);
    }
  });
  return ok;
}

static int64_t sliceElements(ArrayRef<int64_t> data, int64_t leading) {
  int64_t count = 1;
  for (int64_t size : data.drop_front(leading)) {
    count *= size;
  }
  return count;
}

static bool gatherNd(GatherNdOp op, ArrayRef<EvaluatedTensor> operands, EvaluatedTensor &y) {
  int64_t batch = op.getBatchDims();
  int64_t slice = sliceElements(operands[0].shape(), batch + operands[1].shape().back());
  return forEachTuple(operands[0].shape(), operands[1], batch, [&](int64_t offset, int64_t tuple) {
    for (int64_t i = 0; i < slice; ++i) {
      y.copyElement(tuple * slice + i, operands[0], offset + i);
    }
  });
}

static bool scatterNd(ScatterNdOp op, ArrayRef<EvaluatedTensor> operands, EvaluatedTensor &y) {
  y = operands[0];
  int64_t slice = sliceElements(y.shape(), operands[1].shape().back());
  return forEachTuple(operands[0].shape(), operands[1], 0, [&](int64_t offset, int64_t tuple) {
    for (int64_t i = 0; i < slice; ++i) {
      scatterElement(op.getKind(), y, offset + i, operands[2], tuple * slice + i);
    }
  });
}

DenseElementsAttr dsc::writeOut(DenseElementsAttr elements, ArrayRef<int64_t> shape) {
  auto type = cast<RankedTensorType>(elements.getType());
  if (type.getShape() == shape) {
    return elements;
  }
  if (elements.isSplat()) {
    return elements.resizeSplat(type.clone(shape));
  }
  EvaluatedTensor y(type.clone(shape));
  copyStrided(EvaluatedTensor::fromAttribute(elements), 0, broadcastStrides(type.getShape(), shape),
              y);
  return y.toAttribute();
}

bool dsc::evaluateShape(Operation *op, ArrayRef<EvaluatedTensor> operands,
                        std::vector<EvaluatedTensor> &results) {
  EvaluatedTensor &y = results.front();
  // Collectives as one rank sees them.
  if (isa<ReshapeOp, AfterOp, ReduceScatterOp, AllGatherOp, AllReduceOp, WaitOp>(op)) {
    y.floats = operands[0].floats;
    y.integers = operands[0].integers;
    return true;
  }
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    SmallVector<int64_t> own = rowMajorStrides(operands[0].shape()), strides;
    for (int64_t dim : transpose.getPermutation()) {
      strides.push_back(own[dim]);
    }
    copyStrided(operands[0], 0, strides, y);
    return true;
  }
  if (auto slice = dyn_cast<SliceOp>(op)) {
    SmallVector<int64_t> own = rowMajorStrides(operands[0].shape()), strides;
    for (auto [stride, step] : llvm::zip(own, slice.getSteps())) {
      strides.push_back(stride * step);
    }
    copyStrided(operands[0], dot(slice.getStarts(), own), strides, y);
    return true;
  }
  if (isa<BroadcastOp>(op)) {
    copyStrided(operands[0], 0, broadcastStrides(operands[0].shape(), y.shape()), y);
    return true;
  }
  if (auto concat = dyn_cast<ConcatOp>(op)) {
    concatenate(concat, operands, y);
    return true;
  }
  if (auto pack = dyn_cast<PackOp>(op)) {
    // What is unspecified shows wherever it is used.
    std::fill(y.floats.begin(), y.floats.end(), std::numeric_limits<double>::quiet_NaN());
    for (auto [part, offset] : llvm::zip(operands, pack.getOffsets())) {
      for (int64_t i = 0; i < part.size(); ++i) {
        y.copyElement(offset + i, part, i);
      }
    }
    return true;
  }
  if (auto pad = dyn_cast<PadOp>(op)) {
    padWith(pad, operands[0], y);
    return true;
  }
  if (auto gatherOp = dyn_cast<GatherOp>(op)) {
    return gather(gatherOp, operands[0], operands[1], y);
  }
  if (auto grad = dyn_cast<GatherGradOp>(op)) {
    return gatherGrad(grad, operands[0], operands[1], y);
  }
  if (auto gatherOp = dyn_cast<GatherElementsOp>(op)) {
    return gatherElements(gatherOp, operands[0], operands[1], y);
  }
  if (auto scatter = dyn_cast<ScatterElementsOp>(op)) {
    return scatterElements(scatter, operands, y);
  }
  if (auto gatherOp = dyn_cast<GatherNdOp>(op)) {
    return gatherNd(gatherOp, operands, y);
  }
  if (auto scatter = dyn_cast<ScatterNdOp>(op)) {
    return scatterNd(scatter, operands, y);
  }
  return false;
}
