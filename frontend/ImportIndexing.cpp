// Shape: reading and writing by index. Constant indices outside the operand are errors here;
// run-time ones are clamped by kernels.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

/// Checks constant indices against the size that they count.
static LogicalResult checkIndices(NodeImport &n, Value indices, int64_t size) {
  if (!indices || !isa<IntegerType>(Emitter::elementOf(indices))) {
    return n.error() << "indices must be integers";
  }
  std::optional<KnownValue> value = knownValue(indices);
  if (!value) {
    return success();
  }
  std::optional<SmallVector<int64_t>> known = Emitter::intsOf(n.e.constant(value->elements));
  for (int64_t index : *known) {
    if (index < -size || index >= size) {
      return n.error() << "index " << index << " is outside a dimension of " << size;
    }
  }
  return success();
}

LogicalResult dsc::importGather(NodeImport &n) {
  Value data = n.input(0), indices = n.input(1);
  if (!data || !indices) {
    return n.error() << "an operand is missing";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(data).size());
  if (failed(axis) || failed(checkIndices(n, indices, Emitter::shapeOf(data)[*axis]))) {
    return failure();
  }
  SmallVector<int64_t> repeated; // the result's shape, where it repeats
  // Positions that are the same for every sample are looked up once.
  if (std::optional<KnownValue> value = knownValue(indices);
      value && !knownValue(data) && ArrayRef(value->kept) != value->shape()) {
    repeated.assign(Emitter::shapeOf(data).begin(), Emitter::shapeOf(data).begin() + *axis);
    llvm::append_range(repeated, value->shape());
    llvm::append_range(repeated, Emitter::shapeOf(data).drop_front(*axis + 1));
    indices = n.e.constant(value->elements);
  }
  auto result = [&](Value rows) {
    return n.result(repeated.empty() ? rows : n.e.broadcast(rows, repeated));
  };
  // One known index, or known indices in steps: a slice, which is a view or a cheaper copy, and so
  // is its gradient.
  std::optional<SmallVector<int64_t>> known = Emitter::intsOf(indices);
  if (known && !known->empty() && !Emitter::constantOf(data)) {
    int64_t size = Emitter::shapeOf(data)[*axis];
    auto at = [&](size_t i) { return (*known)[i] < 0 ? (*known)[i] + size : (*known)[i]; };
    int64_t step = known->size() > 1 ? at(1) - at(0) : 1;
    bool even = step != 0;
    for (size_t i = 1; even && i < known->size(); ++i) {
      even = at(i) - at(i - 1) == step;
    }
    if (even) {
      Value part = n.e.sliceAxis(data, *axis, at(0), known->size(), step);
      SmallVector<int64_t> shape(Emitter::shapeOf(data).take_front(*axis));
      llvm::append_range(shape, Emitter::shapeOf(indices));
      llvm::append_range(shape, Emitter::shapeOf(data).drop_front(*axis + 1));
      return result(n.e.reshape(part, shape));
    }
  }
  return result(n.e.gather(data, indices, *axis));
}

LogicalResult dsc::importGatherElements(NodeImport &n) {
  Value data = n.input(0), indices = n.input(1);
  if (!data || !indices) {
    return n.error() << "an operand is missing";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(data).size());
  if (failed(axis) || failed(checkIndices(n, indices, Emitter::shapeOf(data)[*axis]))) {
    return failure();
  }
  return n.result(n.e.op<GatherElementsOp>({data, indices}, {n.e.i64("axis", *axis)}));
}

LogicalResult dsc::importGatherND(NodeImport &n) {
  return n.result(n.e.op<GatherNdOp>({n.input(0), n.input(1)},
                                     {n.e.i64("batch_dims", n.intAttr("batch_dims", 0))}));
}

static FailureOr<ScatterKind> scatterKind(NodeImport &n) {
  std::string text = n.stringAttr("reduction", "none");
  std::optional<ScatterKind> kind = symbolizeScatterKind(text);
  if (!kind) {
    return n.error() << "reduction is '" << text << "', not none, add, mul, max or min";
  }
  return *kind;
}

LogicalResult dsc::importScatterElements(NodeImport &n) {
  Value data = n.input(0);
  FailureOr<ScatterKind> kind = scatterKind(n);
  if (!data || failed(kind)) {
    return failure();
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(data).size());
  if (failed(axis) || failed(checkIndices(n, n.input(1), Emitter::shapeOf(data)[*axis]))) {
    return failure();
  }
  return n.result(n.e.op<ScatterElementsOp>(
      {data, n.input(1), n.input(2)},
      {n.e.i64("axis", *axis),
       n.e.attr("kind", ScatterKindAttr::get(n.e.builder.getContext(), *kind))}));
}

LogicalResult dsc::importScatter(NodeImport &n) { return importScatterElements(n); }

LogicalResult dsc::importScatterND(NodeImport &n) {
  FailureOr<ScatterKind> kind = scatterKind(n);
  if (failed(kind)) {
    return failure();
  }
  return n.result(n.e.op<ScatterNdOp>(
      {n.input(0), n.input(1), n.input(2)},
      {n.e.attr("kind", ScatterKindAttr::get(n.e.builder.getContext(), *kind))}));
}

/// on where the index equals the position along a new axis, else off; indices count from either
/// end.
LogicalResult dsc::importOneHot(NodeImport &n) {
  Value indices = n.input(0), values = n.input(2);
  FailureOr<SmallVector<double>> depth = n.constantNumbers(1, "depth");
  if (!indices || !values || failed(depth) || depth->size() != 1) {
    return failed(depth) ? failure() : LogicalResult(n.error() << "depth must be one number");
  }
  auto size = static_cast<int64_t>(depth->front());
  int64_t rank = Emitter::shapeOf(indices).size() + 1;
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", -1), rank);
  if (failed(axis) || size < 1 || size > (int64_t(1) << 31) ||
      Emitter::shapeOf(values) != ArrayRef<int64_t>{2}) {
    return failed(axis)
               ? failure()
               : LogicalResult(n.error() << "depth is " << size << ", values " << values.getType());
  }
  SmallVector<int64_t> shape(Emitter::shapeOf(indices)), positions(rank, 1);
  shape.insert(shape.begin() + *axis, 1);
  positions[*axis] = size;
  Value index = n.e.convert(indices, n.e.builder.getI64Type());
  index = n.e.select(n.e.compare(ComparePredicate::lt, index, n.e.like(index, 0)),
                     n.e.addScalar(index, static_cast<double>(size)), index);
  Value place = n.numbers(size, positions);
  if (!place) {
    return failure();
  }
  Value hit = n.e.compare(ComparePredicate::eq, n.e.reshape(index, shape), place);
  Value off = n.e.reshape(n.e.sliceAxis(values, 0, 0, 1), {}),
        on = n.e.reshape(n.e.sliceAxis(values, 0, 1, 1), {});
  return n.result(n.e.select(hit, on, off));
}

/// Elements where a condition that is known at compile time holds.
LogicalResult dsc::importCompress(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> condition =
      n.constantInts(1, "the condition, and with it the result's shape,");
  if (!x || failed(condition)) {
    return failure();
  }
  int64_t axis = 0;
  if (n.has("axis")) {
    FailureOr<int64_t> checked = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(x).size());
    if (failed(checked)) {
      return failure();
    }
    axis = *checked;
  } else {
    x = n.e.reshape(x, {Emitter::typeOf(x).getNumElements()});
  }
  SmallVector<int64_t> kept;
  for (auto [i, keep] : llvm::enumerate(*condition)) {
    if (keep && static_cast<int64_t>(i) < Emitter::shapeOf(x)[axis]) {
      kept.push_back(static_cast<int64_t>(i));
    }
  }
  return n.result(n.e.gather(x, n.e.intTensor(kept, {static_cast<int64_t>(kept.size())}), axis));
}

/// Positions of non-zero elements of a constant.
LogicalResult dsc::importNonZero(NodeImport &n) {
  FailureOr<SmallVector<double>> values =
      n.constantNumbers(0, "the operand, and with it the result's shape,");
  if (failed(values)) {
    return failure();
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(n.input(0));
  int64_t rank = shape.size();
  SmallVector<int64_t> hits;
  for (auto [i, value] : llvm::enumerate(*values)) {
    if (value != 0) {
      hits.push_back(static_cast<int64_t>(i));
    }
  }
  SmallVector<int64_t> positions;
  int64_t stride = Emitter::typeOf(n.input(0)).getNumElements();
  for (int64_t axis = 0; axis < rank; ++axis) {
    stride /= std::max<int64_t>(shape[axis], 1);
    for (int64_t hit : hits) {
      positions.push_back((hit / stride) % shape[axis]);
    }
  }
  return n.result(n.e.intTensor(positions, {rank, static_cast<int64_t>(hits.size())}));
}

/// Reverses the first len[b] steps of each sequence b.
LogicalResult dsc::importReverseSequence(NodeImport &n) {
  Value x = n.input(0), lengths = n.input(1);
  if (!x || !lengths || Emitter::shapeOf(x).size() < 2) {
    return n.error() << "needs an operand of rank 2 or more, and lengths";
  }
  int64_t rank = Emitter::shapeOf(x).size();
  FailureOr<int64_t> batch = n.axis(n.intAttr("batch_axis", 1), rank),
                     time = n.axis(n.intAttr("time_axis", 0), rank);
  if (failed(batch) || failed(time)) {
    return failure();
  }
  SmallVector<int64_t> lengthShape(rank, 1), timeShape(rank, 1);
  lengthShape[*batch] = Emitter::shapeOf(x)[*batch];
  timeShape[*time] = Emitter::shapeOf(x)[*time];
  if (Emitter::shapeOf(lengths) != ArrayRef<int64_t>{lengthShape[*batch]} || *batch == *time) {
    return n.error() << "lengths are " << lengths.getType() << " for " << lengthShape[*batch]
                     << " sequences";
  }
  Value length = n.e.reshape(n.e.convert(lengths, n.e.builder.getI64Type()), lengthShape);
  Value step = n.numbers(timeShape[*time], timeShape);
  if (!step) {
    return failure();
  }
  Value mirrored = n.e.addScalar(n.e.sub(length, step), -1);
  Value index = n.e.select(n.e.compare(ComparePredicate::lt, step, length), mirrored, step);
  index = n.e.broadcast(index, Emitter::shapeOf(x));
  return n.result(n.e.op<GatherElementsOp>({x, index}, {n.e.i64("axis", *time)}));
}

/// The k largest or smallest along an axis, one after the other: k is small in models, and
/// gradients flow by index.
LogicalResult dsc::importTopK(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> count = n.constantInts(1, "k");
  if (!x || failed(count) || count->size() != 1) {
    return failed(count) ? failure() : LogicalResult(n.error() << "k must be one number");
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", -1), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  int64_t size = Emitter::shapeOf(x)[*axis], k = count->front();
  if (k < 0 || k > size) {
    return n.error() << "k is " << k << ", the dimension has " << size;
  }
  if (k > 32 || k == 0) {
    return n.refuse("k of 0, or of more than 32");
  }
  bool largest = n.intAttr("largest", 1) != 0;
  SmallVector<int64_t> positionShape(Emitter::shapeOf(x).size(), 1);
  positionShape[*axis] = size;
  Value positions = n.numbers(size, positionShape);
  if (!positions) {
    return failure();
  }
  Type element = Emitter::elementOf(x);
  Value worst;
  if (auto type = dyn_cast<FloatType>(element)) {
    worst = n.e.constant(DenseElementsAttr::get(
        RankedTensorType::get({}, element), APFloat::getInf(type.getFloatSemantics(), largest)));
  } else {
    unsigned width = element.getIntOrFloatBitWidth();
    bool isUnsigned = element.isUnsignedInteger();
    APInt value = largest
                      ? (isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width))
                      : (isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width));
    worst = n.e.constant(DenseElementsAttr::get(RankedTensorType::get({}, element), value));
  }
  Value rest = x;
  SmallVector<Value> indices;
  auto kind =
      ReduceKindAttr::get(n.e.builder.getContext(), largest ? ReduceKind::max : ReduceKind::min);
  for (int64_t i = 0; i < k; ++i) {
    Value index = n.e.op<ArgReduceOp>({rest}, {n.e.attr("kind", kind), n.e.i64("axis", *axis)});
    indices.push_back(index);
    rest = n.e.select(n.e.compare(ComparePredicate::eq, index, positions), worst, rest);
  }
  if (llvm::is_contained(indices, Value())) {
    return failure();
  }
  Value index = n.e.concat(indices, *axis);
  Value values = n.e.op<GatherElementsOp>({x, index}, {n.e.i64("axis", *axis)});
  return failed(n.set(0, values)) || failed(n.set(1, index)) ? failure() : success();
}

/// TensorScatter: writes a run of steps into a cache at each sequence's position.
LogicalResult dsc::importTensorScatter(NodeImport &n) {
  Value cache = n.input(0), update = n.input(1);
  if (!cache || !update) {
    return n.error() << "an operand is missing";
  }
  int64_t rank = Emitter::shapeOf(cache).size(), updateRank = Emitter::shapeOf(update).size();
  if (updateRank != rank) {
    return n.error() << "the cache has " << rank << " dimensions, the update " << updateRank;
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", -2), rank);
  if (failed(axis) || *axis == 0) {
    return failed(axis) ? failure() : LogicalResult(n.error() << "axis is the batch");
  }
  int64_t batch = Emitter::shapeOf(cache)[0], steps = Emitter::shapeOf(update)[*axis],
          size = Emitter::shapeOf(cache)[*axis];
  SmallVector<int64_t> batchShape(rank, 1), stepShape(rank, 1);
  batchShape[0] = batch;
  stepShape[*axis] = steps;
  Value start = n.hasInput(2)
                    ? n.e.reshape(n.e.convert(n.input(2), n.e.builder.getI64Type()), batchShape)
                    : n.e.splat(n.e.builder.getI64Type(), batchShape, 0);
  Value step = n.numbers(steps, stepShape);
  if (!step) {
    return failure();
  }
  Value index = n.e.add(start, step);
  if (n.stringAttr("mode", "linear") == "circular") {
    index = n.e.binary<ModOp>(index, n.e.like(index, static_cast<double>(size)));
  }
  index = n.e.broadcast(index, Emitter::shapeOf(update));
  auto kind = ScatterKindAttr::get(n.e.builder.getContext(), ScatterKind::none);
  return n.result(n.e.op<ScatterElementsOp>({cache, index, update},
                                            {n.e.i64("axis", *axis), n.e.attr("kind", kind)}));
}
