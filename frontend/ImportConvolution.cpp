// Convolution and pooling: ONNX's paddings become explicit pads.

#include "frontend/OpTable.h"

using namespace mlir;
using namespace dsc;

namespace {
/// Windows over the spatial dimensions, one entry each.
struct Windows {
  SmallVector<int64_t> kernel, strides, dilations, begin, end,
      ceil; // ceil: the part of end that rounding up added
};
} // namespace

/// Reads strides, dilations and pads of `n` for windows of `kernel` over the image x. `roundUp`:
/// ceil_mode.
static FailureOr<Windows> readWindows(NodeImport &n, Value x, ArrayRef<int64_t> kernel,
                                      bool roundUp) {
  size_t spatial = kernel.size();
  Windows w;
  w.kernel.assign(kernel.begin(), kernel.end());
  w.strides = n.intsAttr("strides").value_or(SmallVector<int64_t>(spatial, 1));
  w.dilations = n.intsAttr("dilations").value_or(SmallVector<int64_t>(spatial, 1));
  SmallVector<int64_t> pads = n.intsAttr("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  std::string automatic = n.stringAttr("auto_pad", "NOTSET");
  if (Emitter::shapeOf(x).size() != spatial + 2 || w.strides.size() != spatial ||
      w.dilations.size() != spatial || pads.size() != 2 * spatial) {
    return n.error()
           << "strides, dilations and pads do not have an entry for each spatial dimension of "
           << x.getType();
  }
  w.ceil.assign(spatial, 0);
  for (size_t i = 0; i < spatial; ++i) {
    int64_t size = Emitter::shapeOf(x)[i + 2], stride = w.strides[i];
    if (kernel[i] < 1 || stride < 1 || w.dilations[i] < 1) {
      return n.error() << "window " << kernel[i] << ", stride " << stride << ", dilation "
                       << w.dilations[i] << " of spatial dimension " << i;
    }
    int64_t extent = (kernel[i] - 1) * w.dilations[i] + 1, begin = pads[i], end = pads[i + spatial];
    if (automatic == "VALID") {
      begin = end = 0;
    } else if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      int64_t count = (size + stride - 1) / stride,
              total = std::max<int64_t>(0, (count - 1) * stride + extent - size);
      begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      end = total - begin;
    } else if (automatic != "NOTSET") {
      return n.error() << "auto_pad is '" << automatic << "'";
    }
    if (begin < 0 || end < 0) {
      return n.refuse("negative pads");
    }
    if (roundUp) {
      int64_t room = size + begin + end - extent;
      int64_t count = room < 0 ? 0 : (room + stride - 1) / stride + 1;
      // A window that would start in the padding behind the image is left out.
      if (count > 0 && (count - 1) * stride >= size + begin) {
        --count;
      }
      int64_t needed = (count - 1) * stride + extent - size - begin;
      w.ceil[i] = std::max<int64_t>(0, needed - end);
      end = std::max<int64_t>(needed, 0) > end ? needed : end;
    }
    w.begin.push_back(begin);
    w.end.push_back(end);
  }
  return w;
}

static SmallVector<NamedAttribute> convAttributes(NodeImport &n, const Windows &w, int64_t groups) {
  return {n.e.ints("strides", w.strides), n.e.ints("dilations", w.dilations),
          n.e.ints("pads_begin", w.begin), n.e.ints("pads_end", w.end), n.e.i64("groups", groups)};
}

static SmallVector<NamedAttribute> poolAttributes(NodeImport &n, const Windows &w) {
  return {n.e.ints("window", w.kernel), n.e.ints("strides", w.strides),
          n.e.ints("dilations", w.dilations), n.e.ints("pads_begin", w.begin),
          n.e.ints("pads_end", w.end)};
}

/// y + bias along channels; a bias of zeros, which PyTorch's exporter adds to convolutions without
/// one, is left out.
static Value addBias(NodeImport &n, Value y, Value bias) {
  if (!y || !bias) {
    return y;
  }
  DenseElementsAttr known = Emitter::constantOf(bias);
  if (known && known.isSplat() && isa<FloatType>(known.getElementType()) &&
      known.getSplatValue<APFloat>().isZero()) {
    return y;
  }
  SmallVector<int64_t> shape(Emitter::shapeOf(y).size() - 1, 1);
  shape[0] = Emitter::typeOf(bias).getNumElements();
  return n.e.add(y, n.e.reshape(bias, shape));
}

LogicalResult dsc::importConv(NodeImport &n) {
  Value x = n.input(0), w = n.input(1);
  if (!x || !w || !Emitter::isFloat(x) || Emitter::shapeOf(w).size() < 3) {
    return n.error() << "needs an image and weights of floats, of rank 3 or more";
  }
  SmallVector<int64_t> kernel(Emitter::shapeOf(w).drop_front(2));
  if (auto given = n.intsAttr("kernel_shape"); given && *given != kernel) {
    return n.error() << "kernel_shape differs from the shape of the weights, " << w.getType();
  }
  FailureOr<Windows> windows = readWindows(n, x, kernel, false);
  if (failed(windows)) {
    return failure();
  }
  SmallVector<NamedAttribute> attributes = convAttributes(n, *windows, n.intAttr("group", 1));
  attributes.push_back(n.e.segments({1, 1, 0}));
  return n.result(addBias(n, n.e.op<ConvOp>({x, w}, attributes), n.input(2)));
}

/// The gradient of a convolution with respect to its image, read forwards.
LogicalResult dsc::importConvTranspose(NodeImport &n) {
  Value x = n.input(0), w = n.input(1);
  if (!x || !w || !Emitter::isFloat(x) || Emitter::shapeOf(w).size() < 3 ||
      Emitter::shapeOf(x).size() != Emitter::shapeOf(w).size()) {
    return n.error() << "needs an image and weights of floats, of one rank of 3 or more";
  }
  ArrayRef<int64_t> kernel = Emitter::shapeOf(w).drop_front(2), image = Emitter::shapeOf(x);
  size_t spatial = kernel.size();
  int64_t groups = n.intAttr("group", 1);
  auto strides = n.intsAttr("strides").value_or(SmallVector<int64_t>(spatial, 1));
  auto dilations = n.intsAttr("dilations").value_or(SmallVector<int64_t>(spatial, 1));
  auto pads = n.intsAttr("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  auto extra = n.intsAttr("output_padding").value_or(SmallVector<int64_t>(spatial, 0));
  auto given = n.intsAttr("output_shape");
  std::string automatic = n.stringAttr("auto_pad", "NOTSET");
  if (given && given->size() == spatial + 2) {
    given->erase(given->begin(), given->begin() + 2);
  }
  if (strides.size() != spatial || dilations.size() != spatial || pads.size() != 2 * spatial ||
      extra.size() != spatial || (given && given->size() != spatial) || groups < 1) {
    return n.error() << "strides, dilations, pads and output_padding do not fit the weights "
                     << w.getType();
  }
  Windows windows;
  windows.kernel.assign(kernel.begin(), kernel.end());
  windows.strides = strides;
  windows.dilations = dilations;
  SmallVector<int64_t> result = {image[0], Emitter::shapeOf(w)[1] * groups};
  for (size_t i = 0; i < spatial; ++i) {
    if (strides[i] < 1 || dilations[i] < 1 || extra[i] < 0 || kernel[i] < 1 || image[i + 2] < 1) {
      return n.error() << "stride, dilation or output_padding of spatial dimension " << i
                       << " is out of range";
    }
    int64_t full = strides[i] * (image[i + 2] - 1) + (kernel[i] - 1) * dilations[i] + 1;
    int64_t begin = pads[i], end = pads[i + spatial];
    if (given || automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      int64_t size = given ? (*given)[i] : image[i + 2] * strides[i];
      int64_t total = full + extra[i] - size;
      if (total < 0) {
        extra[i] -= total;
        total = 0;
      }
      begin = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      if (automatic == "NOTSET") {
        begin = total - (total + 1) / 2;
      }
      end = total - begin;
    } else if (automatic == "VALID") {
      begin = end = 0;
    } else if (automatic != "NOTSET") {
      return n.error() << "auto_pad is '" << automatic << "'";
    }
    if (begin < 0 || end < 0) {
      return n.refuse("negative pads");
    }
    if (extra[i] >= strides[i]) {
      return n.refuse("output_padding of a stride or more");
    }
    int64_t size = full + extra[i] - begin - end;
    if (size < 1) {
      return n.error() << "spatial dimension " << i << " of the result would be " << size;
    }
    windows.begin.push_back(begin);
    windows.end.push_back(end);
    result.push_back(size);
  }
  Value y = n.e.op<ConvGradInputOp>({x, w}, convAttributes(n, windows, groups),
                                    {RankedTensorType::get(result, Emitter::elementOf(x))});
  return n.result(addBias(n, y, n.input(2)));
}

/// Patches to image: the transpose of cutting an image into patches, as a grouped transposed
/// convolution with unit kernels.
LogicalResult dsc::importCol2Im(NodeImport &n) {
  Value x = n.input(0);
  FailureOr<SmallVector<int64_t>> image = n.constantInts(1, "image_shape"), block = failure();
  if (!x || failed(image) || failed(block = n.constantInts(2, "block_shape"))) {
    return failure();
  }
  size_t spatial = image->size();
  if (spatial < 1 || spatial > 3 || block->size() != spatial || Emitter::shapeOf(x).size() != 3 ||
      !Emitter::isFloat(x)) {
    return n.refuse("images of other than 1 to 3 dimensions");
  }
  Windows windows;
  windows.kernel = *block;
  windows.strides = n.intsAttr("strides").value_or(SmallVector<int64_t>(spatial, 1));
  windows.dilations = n.intsAttr("dilations").value_or(SmallVector<int64_t>(spatial, 1));
  auto pads = n.intsAttr("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  if (windows.strides.size() != spatial || windows.dilations.size() != spatial ||
      pads.size() != 2 * spatial) {
    return n.error() << "strides, dilations and pads do not fit an image of " << spatial
                     << " dimensions";
  }
  windows.begin.assign(pads.begin(), pads.begin() + spatial);
  windows.end.assign(pads.begin() + spatial, pads.end());
  int64_t taps = 1, patches = 1;
  SmallVector<int64_t> counts;
  for (size_t i = 0; i < spatial; ++i) {
    int64_t extent = ((*block)[i] - 1) * windows.dilations[i] + 1;
    int64_t room = (*image)[i] + windows.begin[i] + windows.end[i] - extent;
    if ((*block)[i] < 1 || windows.strides[i] < 1 || windows.dilations[i] < 1 || room < 0 ||
        (*block)[i] > 4096) {
      return n.error() << "a block does not fit dimension " << i << " of the image";
    }
    counts.push_back(room / windows.strides[i] + 1);
    patches *= counts.back();
    taps *= (*block)[i];
  }
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  if (shape[1] % taps != 0 || shape[2] != patches) {
    return n.error() << "the operand " << x.getType() << " does not hold " << patches
                     << " patches of " << taps << " elements";
  }
  int64_t channels = shape[1] / taps;
  SmallVector<int64_t> columns = {shape[0], shape[1]}, result = {shape[0], channels},
                       kernel = {shape[1], 1};
  llvm::append_range(columns, counts);
  llvm::append_range(result, *image);
  llvm::append_range(kernel, *block);
  // Row c * taps + t of the weights has its one 1 at tap t.
  Value down = n.numbers(taps, {1, taps, 1}), across = n.numbers(taps, {1, 1, taps});
  if (!down || !across) {
    return failure();
  }
  Value unit = n.e.compare(ComparePredicate::eq, down, across);
  unit = n.e.convert(n.e.broadcast(unit, {channels, taps, taps}), Emitter::elementOf(x));
  Value y = n.e.op<ConvGradInputOp>({n.e.reshape(x, columns), n.e.reshape(unit, kernel)},
                                    convAttributes(n, windows, channels),
                                    {RankedTensorType::get(result, Emitter::elementOf(x))});
  return n.result(y);
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

static FailureOr<Windows> readPool(NodeImport &n) {
  Value x = n.input(0);
  auto kernel = n.intsAttr("kernel_shape");
  if (!x || !kernel) {
    return n.error() << "needs an operand and kernel_shape";
  }
  return readWindows(n, x, *kernel, n.intAttr("ceil_mode", 0) != 0);
}

LogicalResult dsc::importMaxPool(NodeImport &n) {
  FailureOr<Windows> windows = readPool(n);
  if (failed(windows)) {
    return failure();
  }
  SmallVector<Value> results = n.e.ops<MaxPoolOp>({n.input(0)}, poolAttributes(n, *windows));
  if (results.empty() || failed(n.set(0, results[0]))) {
    return failure();
  }
  if (!n.wants(1)) {
    return success();
  }
  // ONNX counts through the whole tensor, the core op within an image's plane.
  ArrayRef<int64_t> shape = Emitter::shapeOf(n.input(0));
  int64_t plane = 1;
  for (int64_t dim : shape.drop_front(2)) {
    plane *= dim;
  }
  Value index = n.e.convert(results[1], n.e.builder.getI64Type());
  if (n.intAttr("storage_order", 0) != 0) {
    if (shape.size() != 4) {
      return n.refuse("indices in column-major order but for images of two dimensions");
    }
    Value row = n.e.div(index, n.e.like(index, static_cast<double>(shape[3])));
    Value column = n.e.binary<ModOp>(index, n.e.like(index, static_cast<double>(shape[3])));
    index = n.e.add(n.e.mulScalar(column, static_cast<double>(shape[2])), row);
  }
  SmallVector<int64_t> planeShape(shape.size(), 1);
  planeShape[0] = shape[0];
  planeShape[1] = shape[1];
  Value planes = n.numbers(shape[0] * shape[1], planeShape);
  return planes ? n.set(1, n.e.add(index, n.e.mulScalar(planes, static_cast<double>(plane))))
                : failure();
}

LogicalResult dsc::importAveragePool(NodeImport &n) {
  FailureOr<Windows> windows = readPool(n);
  if (failed(windows)) {
    return failure();
  }
  SmallVector<NamedAttribute> attributes = poolAttributes(n, *windows);
  attributes.push_back(n.e.flag("count_include_pad", n.intAttr("count_include_pad", 0) != 0));
  if (llvm::any_of(windows->ceil, [](int64_t count) { return count > 0; })) {
    attributes.push_back(n.e.ints("pads_ceil", windows->ceil));
  }
  return n.result(n.e.op<AvgPoolOp>({n.input(0)}, attributes));
}

/// (sum of |x|^p over the window)^(1 / p): the sum is a convolution of each channel with ones.
LogicalResult dsc::importLpPool(NodeImport &n) {
  FailureOr<Windows> windows = readPool(n);
  if (failed(windows)) {
    return failure();
  }
  Value x = n.input(0);
  double p = static_cast<double>(n.intAttr("p", 2));
  Value magnitude = n.e.unary<AbsOp>(x);
  Value power = p == 1   ? magnitude
                : p == 2 ? n.e.mul(x, x)
                         : n.e.binary<PowOp>(magnitude, n.e.like(x, p));
  int64_t channels = Emitter::shapeOf(x)[1];
  SmallVector<int64_t> shape = {channels, 1};
  llvm::append_range(shape, windows->kernel);
  SmallVector<NamedAttribute> attributes = convAttributes(n, *windows, channels);
  attributes.push_back(n.e.segments({1, 1, 0}));
  Value sum = n.e.op<ConvOp>({power, n.e.splat(Emitter::elementOf(x), shape, 1)}, attributes);
  return n.result(p == 1   ? sum
                  : p == 2 ? n.e.unary<SqrtOp>(sum)
                           : n.e.binary<PowOp>(sum, n.e.like(x, 1 / p)));
}

/// All dimensions but batch and channels.
static FailureOr<SmallVector<int64_t>> spatialAxes(NodeImport &n) {
  Value x = n.input(0);
  if (!x || Emitter::shapeOf(x).size() < 3) {
    return n.error() << "needs an image of rank 3 or more";
  }
  return llvm::to_vector(llvm::seq<int64_t>(2, Emitter::shapeOf(x).size()));
}

LogicalResult dsc::importGlobalAveragePool(NodeImport &n) {
  FailureOr<SmallVector<int64_t>> axes = spatialAxes(n);
  return failed(axes) ? failure() : n.result(n.e.mean(n.input(0), *axes));
}

LogicalResult dsc::importGlobalMaxPool(NodeImport &n) {
  FailureOr<SmallVector<int64_t>> axes = spatialAxes(n);
  return failed(axes) ? failure() : n.result(n.e.reduce(ReduceKind::max, n.input(0), *axes));
}

LogicalResult dsc::importGlobalLpPool(NodeImport &n) {
  FailureOr<SmallVector<int64_t>> axes = spatialAxes(n);
  if (failed(axes)) {
    return failure();
  }
  double p = static_cast<double>(n.intAttr("p", 2));
  Value x = n.input(0), exponent = n.e.like(x, p);
  Value sum = n.e.reduce(ReduceKind::sum, n.e.binary<PowOp>(n.e.unary<AbsOp>(x), exponent), *axes);
  return n.result(n.e.binary<PowOp>(sum, n.e.like(x, 1 / p)));
}

/// Puts each value back at the place that MaxPool took it from.
LogicalResult dsc::importMaxUnpool(NodeImport &n) {
  Value x = n.input(0), index = n.input(1);
  auto kernel = n.intsAttr("kernel_shape");
  if (!x || !index || !kernel || Emitter::shapeOf(x).size() != kernel->size() + 2) {
    return n.error() << "needs an image, indices and kernel_shape";
  }
  size_t spatial = kernel->size();
  auto strides = n.intsAttr("strides").value_or(SmallVector<int64_t>(spatial, 1));
  auto pads = n.intsAttr("pads").value_or(SmallVector<int64_t>(2 * spatial, 0));
  ArrayRef<int64_t> shape = Emitter::shapeOf(x);
  SmallVector<int64_t> inferred = {shape[0], shape[1]};
  for (size_t i = 0; i < spatial; ++i) {
    if (strides.size() != spatial || pads.size() != 2 * spatial) {
      return n.error() << "strides and pads do not fit kernel_shape";
    }
    inferred.push_back((shape[i + 2] - 1) * strides[i] + (*kernel)[i] - pads[i] -
                       pads[i + spatial]);
  }
  SmallVector<int64_t> result = inferred;
  if (n.hasInput(2)) {
    FailureOr<SmallVector<int64_t>> given = n.constantInts(2, "output_shape");
    if (failed(given)) {
      return failure();
    }
    result = *given;
  }
  int64_t total = 1, count = Emitter::typeOf(x).getNumElements();
  SmallVector<int64_t> high;
  for (auto [i, dim] : llvm::enumerate(inferred)) {
    if (dim < 0 || result.size() != inferred.size() || result[i] < dim) {
      return n.error() << "the result's shape does not hold the unpooled image";
    }
    total *= dim;
    high.push_back(result[i] - dim);
  }
  auto kind = ScatterKindAttr::get(n.e.builder.getContext(), ScatterKind::none);
  Value flat = n.e.op<ScatterElementsOp>({n.e.splat(Emitter::elementOf(x), {total}, 0),
                                          n.e.reshape(index, {count}), n.e.reshape(x, {count})},
                                         {n.e.i64("axis", 0), n.e.attr("kind", kind)});
  return n.result(
      n.e.pad(n.e.reshape(flat, inferred), SmallVector<int64_t>(inferred.size(), 0), high, 0));
}
