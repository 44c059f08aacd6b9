// Shape: constants, views, data movement and indexing.

#include "frontend/OpTable.h"

#include <array>
#include <cmath>

using namespace mlir;
using namespace dsc;
using onnx_model::NodeAttribute;

LogicalResult dsc::importIdentity(NodeImport &n) {
  if (auto values = n.sequence(0)) {
    return n.setSequence(0, *values);
  }
  return n.result(n.input(0));
}

LogicalResult dsc::importConstant(NodeImport &n) {
  Builder &b = n.e.builder;
  if (const NodeAttribute *value = n.node.attribute("value"); value && value->tensor) {
    DenseElementsAttr elements = toElements(b.getContext(), *value->tensor);
    if (!elements) {
      return n.refuse("a constant of type " + onnx_model::nameOf(value->tensor->type));
    }
    return n.result(n.e.constant(elements));
  }
  if (const NodeAttribute *value = n.node.attribute("value_int")) {
    return n.result(n.e.intTensor({value->i}, {}));
  }
  if (const NodeAttribute *value = n.node.attribute("value_ints")) {
    return n.result(n.e.intTensor(value->ints, {static_cast<int64_t>(value->ints.size())}));
  }
  if (const NodeAttribute *value = n.node.attribute("value_float")) {
    auto type = RankedTensorType::get({}, b.getF32Type());
    return n.result(n.e.constant(DenseElementsAttr::get(type, ArrayRef<float>(value->f))));
  }
  if (const NodeAttribute *value = n.node.attribute("value_floats")) {
    auto type = RankedTensorType::get({static_cast<int64_t>(value->floats.size())}, b.getF32Type());
    return n.result(n.e.constant(DenseElementsAttr::get(type, ArrayRef<float>(value->floats))));
  }
  return n.refuse("a constant that is no dense tensor of numbers");
}

LogicalResult dsc::importTranspose(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  int64_t rank = Emitter::shapeOf(x).size();
  SmallVector<int64_t> permutation;
  if (auto given = n.intsAttr("perm")) {
    permutation = *given;
  } else {
    for (int64_t i = rank; i-- > 0;) {
      permutation.push_back(i);
    }
  }
  return n.result(n.e.op<TransposeOp>({x}, {n.e.ints("permutation", permutation)}));
}

LogicalResult dsc::importReshape(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> shape = n.constantInts(1, "the shape");
  if (!x || failed(shape)) {
    return failure();
  }
  bool keepZero = n.intAttr("allowzero", 0) != 0;
  int64_t known = 1, open = -1;
  for (auto [i, dim] : llvm::enumerate(*shape)) {
    if (dim == 0 && !keepZero) {
      if (i >= Emitter::shapeOf(x).size()) {
        return n.error() << "dimension " << i
                         << " of the new shape is copied from an operand of rank "
                         << Emitter::shapeOf(x).size();
      }
      dim = Emitter::shapeOf(x)[i];
    }
    if (dim == -1 && open < 0) {
      open = static_cast<int64_t>(i);
    } else if (dim < 0 || __builtin_mul_overflow(known, dim, &known)) {
      return n.error() << "dimension " << i << " of the new shape is " << dim;
    }
  }
  int64_t total = Emitter::typeOf(x).getNumElements();
  if (open >= 0) {
    if (known == 0 || total % known != 0) {
      return n.error() << "an operand of " << total << " elements cannot take a shape with "
                       << known << " elements and one open dimension";
    }
    (*shape)[open] = total / known;
  }
  return n.result(n.e.reshape(x, *shape));
}

/// The last dimensions from `axis` on as one, those before as one.
LogicalResult dsc::importFlatten(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  int64_t rank = Emitter::shapeOf(x).size(), axis = n.intAttr("axis", 1);
  if (axis < -rank || axis > rank) {
    return n.error() << "axis is " << axis << ", the operand has rank " << rank;
  }
  axis = axis < 0 ? axis + rank : axis;
  int64_t rows = 1, columns = 1;
  for (auto [i, dim] : llvm::enumerate(Emitter::shapeOf(x))) {
    (static_cast<int64_t>(i) < axis ? rows : columns) *= dim;
  }
  return n.result(n.e.reshape(x, {rows, columns}));
}

/// Axes of Squeeze and Unsqueeze: the second operand.
static FailureOr<std::optional<SmallVector<int64_t>>> axesOperand(NodeImport &n) {
  if (!n.hasInput(1)) {
    return std::optional<SmallVector<int64_t>>(n.intsAttr("axes"));
  }
  FailureOr<SmallVector<int64_t>> axes = n.constantInts(1, "axes");
  if (failed(axes)) {
    return failure();
  }
  return std::optional<SmallVector<int64_t>>(*axes);
}

LogicalResult dsc::importSqueeze(NodeImport &n) {
  Value x = n.input(0);
  auto given = axesOperand(n);
  if (!x || failed(given)) {
    return failure();
  }
  SmallVector<int64_t> axes;
  if (*given) {
    FailureOr<SmallVector<int64_t>> checked = n.axes(**given, Emitter::shapeOf(x).size());
    if (failed(checked)) {
      return failure();
    }
    axes = *checked;
  }
  SmallVector<int64_t> shape;
  for (auto [i, dim] : llvm::enumerate(Emitter::shapeOf(x))) {
    bool named = llvm::is_contained(axes, static_cast<int64_t>(i));
    if (named && dim != 1) {
      return n.error() << "dimension " << i << " to be removed is " << dim << ", not 1";
    }
    if (*given ? !named : dim != 1) {
      shape.push_back(dim);
    }
  }
  return n.result(n.e.reshape(x, shape));
}

LogicalResult dsc::importUnsqueeze(NodeImport &n) {
  Value x = n.input(0);
  auto given = axesOperand(n);
  if (!x || failed(given)) {
    return failure();
  }
  if (!*given) {
    return n.error() << "axes are missing";
  }
  int64_t rank = Emitter::shapeOf(x).size() + (*given)->size();
  FailureOr<SmallVector<int64_t>> axes = n.axes(**given, rank);
  if (failed(axes)) {
    return failure();
  }
  SmallVector<int64_t> shape;
  ArrayRef<int64_t> rest = Emitter::shapeOf(x);
  for (int64_t i = 0; i < rank; ++i) {
    if (llvm::is_contained(*axes, i)) {
      shape.push_back(1);
    } else {
      shape.push_back(rest.front());
      rest = rest.drop_front();
    }
  }
  return n.result(n.e.reshape(x, shape));
}

LogicalResult dsc::importShape(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.refuse("the shape of what is no tensor");
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  int64_t rank = shape.size();
  auto bound = [&](int64_t value) {
    return std::clamp<int64_t>(value < 0 ? value + rank : value, 0, rank);
  };
  int64_t start = bound(n.intAttr("start", 0)), end = bound(n.intAttr("end", rank));
  shape = start < end ? shape.slice(start, end - start) : ArrayRef<int64_t>();
  return n.result(n.e.intTensor(shape, {static_cast<int64_t>(shape.size())}));
}

LogicalResult dsc::importSize(NodeImport &n) {
  if (!n.input(0)) {
    return n.refuse("the size of what is no tensor");
  }
  return n.result(n.e.intTensor({Emitter::typeOf(n.input(0)).getNumElements()}, {}));
}

/// A shape operand: no dimension negative, the size within what can be addressed.
static LogicalResult checkShape(NodeImport &n, ArrayRef<int64_t> shape) {
  int64_t count = 1;
  for (int64_t dim : shape) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count) || count > (int64_t(1) << 40)) {
      return n.error() << "a dimension of the shape is " << dim << (dim < 0 ? "" : ", too large");
    }
  }
  return success();
}

LogicalResult dsc::importExpand(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> shape = n.constantInts(1, "the shape");
  if (!x || failed(shape) || failed(checkShape(n, *shape))) {
    return failure();
  }
  FailureOr<SmallVector<int64_t>> joined = broadcastShapes(Emitter::shapeOf(x), *shape);
  if (failed(joined)) {
    return n.error() << "the operand " << x.getType() << " does not broadcast to the given shape";
  }
  return n.result(n.e.broadcast(x, *joined));
}

LogicalResult dsc::importTile(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> repeats = n.constantInts(1, "repeats");
  if (!x || failed(repeats)) {
    return failure();
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  if (repeats->size() != shape.size()) {
    return n.error() << "repeats has " << repeats->size() << " entries, the operand has rank "
                     << shape.size();
  }
  // [a, b] -> [1, a, 1, b] -> [ra, a, rb, b] -> [ra * a, rb * b]
  SmallVector<int64_t> spread, wide, result;
  for (auto [dim, count] : llvm::zip_equal(shape, *repeats)) {
    if (count < 0 || count > (int64_t(1) << 31)) {
      return n.error() << "an entry of repeats is " << count;
    }
    spread.append({1, dim});
    wide.append({count, dim});
    result.push_back(count * dim);
  }
  if (failed(checkShape(n, result))) {
    return failure();
  }
  return n.result(n.e.reshape(n.e.broadcast(n.e.reshape(x, spread), wide), result));
}

LogicalResult dsc::importConcat(NodeImport &n) {
  SmallVector<Value> operands = n.allInputs();
  if (operands.empty()) {
    return n.error() << "there is no operand";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(operands.front()).size());
  if (failed(axis)) {
    return failure();
  }
  return n.result(n.e.concat(operands, *axis));
}

LogicalResult dsc::importConstantOfShape(NodeImport &n) {
  FailureOr<SmallVector<int64_t>> shape = n.constantInts(0, "the shape");
  if (failed(shape) || failed(checkShape(n, *shape))) {
    return failure();
  }
  const NodeAttribute *value = n.node.attribute("value");
  if (!value || !value->tensor) {
    return n.result(n.e.splat(n.e.builder.getF32Type(), *shape, 0));
  }
  DenseElementsAttr element = toElements(n.e.builder.getContext(), *value->tensor);
  if (!element || element.getNumElements() != 1) {
    return n.error() << "the value is not one number";
  }
  return n.result(
      n.e.constant(element.resizeSplat(RankedTensorType::get(*shape, element.getElementType()))));
}

//===----------------------------------------------------------------------===//
// Slices, splits, sequences
//===----------------------------------------------------------------------===//

LogicalResult dsc::importSlice(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> starts = n.constantInts(1, "starts"), ends = failure();
  if (!x || failed(starts) || failed(ends = n.constantInts(2, "ends"))) {
    return failure();
  }
  int64_t rank = Emitter::shapeOf(x).size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, starts->size())),
                       steps(starts->size(), 1);
  if (n.hasInput(3)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(3, "axes");
    if (failed(given)) {
      return failure();
    }
    axes = *given;
  }
  if (n.hasInput(4)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(4, "steps");
    if (failed(given)) {
      return failure();
    }
    steps = *given;
  }
  FailureOr<SmallVector<int64_t>> checked = n.axes(axes, rank);
  if (failed(checked)) {
    return failure();
  }
  if (ends->size() != starts->size() || axes.size() != starts->size() ||
      steps.size() != starts->size()) {
    return n.error() << "starts, ends, axes and steps have " << starts->size() << ", "
                     << ends->size() << ", " << axes.size() << " and " << steps.size()
                     << " entries";
  }
  SmallVector<int64_t> from(rank, 0), sizes(Emitter::shapeOf(x)), by(rank, 1);
  for (auto [i, axis] : llvm::enumerate(*checked)) {
    int64_t size = sizes[axis], start = (*starts)[i], end = (*ends)[i];
    // A step beyond the size takes one element, whatever it is; bounded, nothing below overflows.
    int64_t step = std::clamp<int64_t>(steps[i], -(int64_t(1) << 41), int64_t(1) << 41);
    if (step == 0) {
      return n.error() << "the step of axis " << axis << " is 0";
    }
    auto place = [&](int64_t index, int64_t low, int64_t high) {
      return std::clamp<int64_t>(index < 0 ? index + size : index, low, high);
    };
    start = step > 0 ? place(start, 0, size) : place(start, 0, size - 1);
    end = step > 0 ? place(end, 0, size) : place(end, -1, size - 1);
    int64_t span = step > 0 ? end - start : start - end;
    int64_t magnitude = step > 0 ? step : -step;
    sizes[axis] = span <= 0 || size == 0 ? 0 : (span + magnitude - 1) / magnitude;
    from[axis] = sizes[axis] == 0 ? 0 : start;
    by[axis] = sizes[axis] <= 1 ? 1 : step;
  }
  return n.result(n.e.slice(x, from, sizes, by));
}

/// Slices of the given sizes along `axis`.
static SmallVector<Value> split(NodeImport &n, Value x, int64_t axis, ArrayRef<int64_t> sizes) {
  SmallVector<Value> parts;
  int64_t start = 0;
  for (int64_t size : sizes) {
    parts.push_back(n.e.sliceAxis(x, axis, start, size));
    start += size;
  }
  return parts;
}

/// Sizes of the parts that Split and SplitToSequence make: given, or `count` equal ones of which
/// the last may be smaller.
static FailureOr<SmallVector<int64_t>> checkSplit(NodeImport &n, ArrayRef<int64_t> sizes,
                                                  int64_t total) {
  int64_t sum = 0;
  for (int64_t size : sizes) {
    if (size < 0 || size > total) {
      return n.error() << "a part has " << size << " elements, the dimension " << total;
    }
    sum += size;
  }
  if (sum != total) {
    return n.error() << "the parts have " << sum << " elements together, the dimension has "
                     << total;
  }
  return SmallVector<int64_t>(sizes);
}

LogicalResult dsc::importSplit(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  int64_t total = Emitter::shapeOf(x)[*axis], count = n.node.outputs.size();
  SmallVector<int64_t> sizes;
  if (n.hasInput(1)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "split");
    if (failed(given)) {
      return failure();
    }
    sizes = *given;
  } else {
    count = n.intAttr("num_outputs", count);
    if (count < 1 || count > total + 1) {
      return n.error() << "a dimension of " << total << " cannot be split in " << count;
    }
    int64_t size = (total + count - 1) / count;
    for (int64_t i = 0; i < count; ++i) {
      sizes.push_back(std::max<int64_t>(0, std::min(size, total - i * size)));
    }
  }
  FailureOr<SmallVector<int64_t>> checked = checkSplit(n, sizes, total);
  if (failed(checked)) {
    return failure();
  }
  if (checked->size() < n.node.outputs.size()) {
    return n.error() << "there are " << checked->size() << " parts for " << n.node.outputs.size()
                     << " outputs";
  }
  for (auto [i, part] : llvm::enumerate(split(n, x, *axis, *checked))) {
    if (failed(n.set(i, part))) {
      return failure();
    }
  }
  return success();
}

LogicalResult dsc::importSplitToSequence(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), Emitter::shapeOf(x).size());
  if (failed(axis)) {
    return failure();
  }
  int64_t total = Emitter::shapeOf(x)[*axis], step = 1;
  SmallVector<int64_t> sizes;
  bool removeAxis = !n.hasInput(1) && n.intAttr("keepdims", 1) == 0;
  if (n.hasInput(1)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "split");
    if (failed(given)) {
      return failure();
    }
    if (!Emitter::shapeOf(n.input(1)).empty()) {
      sizes = *given;
    } else {
      step = given->front();
    }
  }
  if (step < 1) {
    return n.error() << "parts of " << step << " elements";
  }
  if (!n.hasInput(1) || Emitter::shapeOf(n.input(1)).empty()) {
    if (total / step > 100000) {
      return n.error() << "a sequence of " << total / step << " tensors";
    }
    for (int64_t at = 0; at < total; at += step) {
      sizes.push_back(std::min(step, total - at));
    }
  }
  FailureOr<SmallVector<int64_t>> checked = checkSplit(n, sizes, total);
  if (failed(checked)) {
    return failure();
  }
  SmallVector<Value> parts = split(n, x, *axis, *checked);
  if (removeAxis) {
    SmallVector<int64_t> shape(Emitter::shapeOf(x));
    shape.erase(shape.begin() + *axis);
    for (Value &part : parts) {
      part = n.e.reshape(part, shape);
    }
  }
  return n.setSequence(0, parts);
}

LogicalResult dsc::importSequenceConstruct(NodeImport &n) {
  return n.setSequence(0, n.allInputs());
}

LogicalResult dsc::importSequenceAt(NodeImport &n) {
  auto values = n.sequence(0);
  FailureOr<SmallVector<int64_t>> index = n.constantInts(1, "the position");
  if (!values || failed(index) || index->size() != 1) {
    return failed(index) ? failure()
                         : LogicalResult(n.error() << "needs a sequence and one position");
  }
  int64_t at =
      index->front() < 0 ? index->front() + static_cast<int64_t>(values->size()) : index->front();
  if (at < 0 || at >= static_cast<int64_t>(values->size())) {
    return n.error() << "position " << index->front() << " of a sequence of " << values->size();
  }
  return n.result((*values)[at]);
}

LogicalResult dsc::importSequenceLength(NodeImport &n) {
  auto values = n.sequence(0);
  if (!values) {
    return n.error() << "the operand is no sequence";
  }
  return n.result(n.e.intTensor({static_cast<int64_t>(values->size())}, {}));
}

LogicalResult dsc::importConcatFromSequence(NodeImport &n) {
  auto values = n.sequence(0);
  if (!values || values->empty()) {
    return n.error() << "the operand is no sequence, or an empty one";
  }
  SmallVector<Value> parts(*values);
  int64_t rank = Emitter::shapeOf(parts.front()).size();
  bool stack = n.intAttr("new_axis", 0) != 0;
  FailureOr<int64_t> axis = n.axis(n.intAttr("axis", 0), rank + stack);
  if (failed(axis)) {
    return failure();
  }
  for (Value &part : parts) {
    SmallVector<int64_t> shape(Emitter::shapeOf(part));
    if (stack && static_cast<int64_t>(shape.size()) == rank) {
      shape.insert(shape.begin() + *axis, 1);
      part = n.e.reshape(part, shape);
    }
  }
  return n.result(n.e.concat(parts, *axis));
}

//===----------------------------------------------------------------------===//
// Rearrangements
//===----------------------------------------------------------------------===//

/// [N, C, H, W] with blocks moved between channels and space.
static FailureOr<std::array<int64_t, 5>> blockShape(NodeImport &n) {
  Value x = n.input(0);
  int64_t block = n.intAttr("blocksize", 0);
  if (!x || Emitter::shapeOf(x).size() != 4 || block < 1) {
    return n.error() << "needs an operand of rank 4 and a positive blocksize";
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  return std::array<int64_t, 5>{shape[0], shape[1], shape[2], shape[3], block};
}

LogicalResult dsc::importDepthToSpace(NodeImport &n) {
  FailureOr<std::array<int64_t, 5>> dims = blockShape(n);
  if (failed(dims)) {
    return failure();
  }
  auto [batch, channels, height, width, block] = *dims;
  int64_t rest = channels / (block * block);
  if (rest * block * block != channels) {
    return n.error() << channels << " channels are no multiple of blocksize " << block
                     << " squared";
  }
  bool columnsFirst = n.stringAttr("mode", "DCR") == "CRD";
  Value x = columnsFirst ? n.e.reshape(n.input(0), {batch, rest, block, block, height, width})
                         : n.e.reshape(n.input(0), {batch, block, block, rest, height, width});
  x = n.e.transpose(x, columnsFirst ? ArrayRef<int64_t>{0, 1, 4, 2, 5, 3}
                                    : ArrayRef<int64_t>{0, 3, 4, 1, 5, 2});
  return n.result(n.e.reshape(x, {batch, rest, height * block, width * block}));
}

LogicalResult dsc::importSpaceToDepth(NodeImport &n) {
  FailureOr<std::array<int64_t, 5>> dims = blockShape(n);
  if (failed(dims)) {
    return failure();
  }
  auto [batch, channels, height, width, block] = *dims;
  if (height % block != 0 || width % block != 0) {
    return n.error() << "an image of " << height << " x " << width << " has no whole blocks of "
                     << block;
  }
  Value x = n.e.reshape(n.input(0), {batch, channels, height / block, block, width / block, block});
  bool columnsFirst = n.stringAttr("mode", "DCR") == "CRD";
  x = n.e.transpose(x, columnsFirst ? ArrayRef<int64_t>{0, 1, 3, 5, 2, 4}
                                    : ArrayRef<int64_t>{0, 3, 5, 1, 2, 4});
  return n.result(n.e.reshape(x, {batch, channels * block * block, height / block, width / block}));
}

/// For each axis, the operand's index that each place of the result repeats; the modes of Pad but
/// `constant`.
static int64_t paddedIndex(int64_t place, int64_t size, StringRef mode) {
  if (mode == "edge") {
    return std::clamp<int64_t>(place, 0, size - 1);
  }
  if (mode == "wrap") {
    return ((place % size) + size) % size;
  }
  int64_t period = std::max<int64_t>(2 * (size - 1), 1);
  int64_t at = ((place % period) + period) % period;
  return at < size ? at : period - at;
}

LogicalResult dsc::importPad(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> pads = n.constantInts(1, "pads");
  if (!x || failed(pads)) {
    return failure();
  }
  int64_t rank = Emitter::shapeOf(x).size();
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (n.hasInput(3)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(3, "axes"), checked = failure();
    if (failed(given) || failed(checked = n.axes(*given, rank))) {
      return failure();
    }
    axes = *checked;
  }
  if (pads->size() != 2 * axes.size()) {
    return n.error() << "pads has " << pads->size() << " entries for " << axes.size() << " axes";
  }
  SmallVector<int64_t> low(rank, 0), high(rank, 0), starts(rank, 0), sizes(Emitter::shapeOf(x));
  std::string mode = n.stringAttr("mode", "constant");
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t before = (*pads)[i], after = (*pads)[i + axes.size()], size = sizes[axis];
    constexpr int64_t limit = int64_t(1) << 40;
    if (before < -limit || before > limit || after < -limit || after > limit ||
        before + size + after < 0) {
      return n.error() << "pads " << before << " and " << after << " of axis " << axis
                       << " of size " << size;
    }
    if (mode != "constant") {
      int64_t length = before + size + after;
      if (failed(checkShape(n, {length})) || length > (int64_t(1) << 28) ||
          (size == 0 && length > 0)) {
        return n.error() << "pads " << before << " and " << after << " of axis " << axis
                         << " of size " << size;
      }
      if (before == 0 && after == 0) {
        continue;
      }
      SmallVector<int64_t> indices;
      for (int64_t place = 0; place < length; ++place) {
        indices.push_back(paddedIndex(place - before, size, mode));
      }
      x = n.e.gather(x, n.e.intTensor(indices, {length}), axis);
      continue;
    }
    low[axis] = std::max<int64_t>(before, 0);
    high[axis] = std::max<int64_t>(after, 0);
    // Negative pads cut; what both cut from one side may leave nothing of the operand.
    starts[axis] = std::min(std::max<int64_t>(-before, 0), size);
    int64_t cut = std::max<int64_t>(-before, 0) + std::max<int64_t>(-after, 0);
    if (cut > size) {
      return n.error() << "pads " << before << " and " << after << " of axis " << axis
                       << " of size " << size;
    }
    sizes[axis] = size - cut;
  }
  if (mode != "constant") {
    return n.result(x);
  }
  double value = 0;
  Value late; // a value that only the run knows
  if (n.hasInput(2)) {
    std::optional<SmallVector<double>> given = Emitter::numbersOf(n.input(2));
    late = given ? Value() : n.e.reshape(n.input(2), {});
    value = !given || given->empty() ? 0 : given->front();
  }
  for (auto [i, size] : llvm::enumerate(sizes)) {
    starts[i] = size == 0 ? 0 : starts[i];
  }
  Value y = n.e.pad(n.e.slice(x, starts, sizes), low, high, value);
  if (late && y) {
    Value inside = n.e.pad(n.e.splat(n.e.builder.getI1Type(), sizes, 1), low, high, 0);
    y = n.e.select(inside, y, late);
  }
  return n.result(y);
}

/// start, start + delta, ...: known at compile time, since it is a shape.
LogicalResult dsc::importRange(NodeImport &n) {
  SmallVector<double> numbers;
  const StringRef names[] = {"start", "limit", "delta"};
  for (auto [i, what] : llvm::enumerate(names)) {
    FailureOr<SmallVector<double>> value = n.constantNumbers(i, what);
    if (failed(value) || value->size() != 1) {
      return failed(value) ? failure() : LogicalResult(n.error() << what << " must be one number");
    }
    numbers.push_back(value->front());
  }
  Type element = Emitter::elementOf(n.input(0));
  double start = numbers[0], delta = numbers[2];
  double count = delta == 0 ? -1 : std::ceil((numbers[1] - start) / delta);
  if (!(delta != 0) || !(count < static_cast<double>(1 << 24))) {
    return n.error() << "a range from " << start << " to " << numbers[1] << " by " << delta;
  }
  int64_t length = std::max<int64_t>(0, static_cast<int64_t>(count));
  if (!n.e.spend(length)) {
    return n.refuse("together with other tables it takes too much to compute while importing");
  }
  auto type = RankedTensorType::get({length}, element);
  if (isa<IntegerType>(element)) {
    int64_t first = Emitter::intsOf(n.input(0))->front(),
            step = Emitter::intsOf(n.input(2))->front();
    SmallVector<APInt> values;
    for (int64_t i = 0; i < length; ++i) {
      uint64_t value =
          static_cast<uint64_t>(first) + static_cast<uint64_t>(i) * static_cast<uint64_t>(step);
      values.push_back(APInt(64, value).trunc(element.getIntOrFloatBitWidth()));
    }
    return n.result(n.e.constant(DenseElementsAttr::get(type, values)));
  }
  SmallVector<double> values;
  for (int64_t i = 0; i < length; ++i) {
    values.push_back(start + static_cast<double>(i) * delta);
  }
  return n.result(n.e.floatTensor(element, values, {length}));
}

/// Keeps the upper or lower triangle: a constant mask over the last two dimensions.
LogicalResult dsc::importTrilu(NodeImport &n) {
  Value x = n.input(0);
  if (!x || Emitter::shapeOf(x).size() < 2) {
    return n.error() << "needs an operand of rank 2 or more";
  }
  int64_t shift = 0;
  if (n.hasInput(1)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(1, "k");
    if (failed(given) || given->size() != 1) {
      return failed(given) ? failure() : LogicalResult(n.error() << "k must be one number");
    }
    shift = std::clamp<int64_t>(given->front(), -(int64_t(1) << 41), int64_t(1) << 41);
  }
  int64_t rows = Emitter::shapeOf(x).take_back(2).front(), columns = Emitter::shapeOf(x).back();
  Value row = n.numbers(rows, {rows, 1}), column = row ? n.numbers(columns, {1, columns}) : row;
  if (!column) {
    return failure();
  }
  row = n.e.addScalar(row, static_cast<double>(shift));
  bool upper = n.intAttr("upper", 1) != 0;
  Value mask = n.e.compare(upper ? ComparePredicate::ge : ComparePredicate::le, column, row);
  return n.result(n.e.select(mask, x, n.e.like(x, 0)));
}

LogicalResult dsc::importEyeLike(NodeImport &n) {
  Value x = n.input(0);
  if (!x || Emitter::shapeOf(x).size() != 2) {
    return n.error() << "needs an operand of rank 2";
  }
  Type element = Emitter::elementOf(x);
  if (n.has("dtype")) {
    auto type = static_cast<onnx_model::DataType>(n.intAttr("dtype", 1));
    element = elementType(n.e.builder.getContext(), type);
    if (!element) {
      return n.refuse("a result of type " + onnx_model::nameOf(type));
    }
  }
  int64_t rows = Emitter::shapeOf(x)[0], columns = Emitter::shapeOf(x)[1];
  int64_t shift = std::clamp<int64_t>(n.intAttr("k", 0), -(int64_t(1) << 40), int64_t(1) << 40);
  Value row = n.numbers(rows, {rows, 1}), column = row ? n.numbers(columns, {1, columns}) : row;
  if (!column) {
    return failure();
  }
  row = n.e.addScalar(row, static_cast<double>(shift));
  return n.result(n.e.convert(n.e.compare(ComparePredicate::eq, row, column), element));
}
