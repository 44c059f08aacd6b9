// Convolution: Resize. Interpolation is linear in the image and separable, so each axis is one
// product with a constant matrix; its gradient needs no rule of its own. The nearest neighbour is a
// gather with constant indices.

#include "frontend/OpTable.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {

/// How one axis is resized.
struct Axis {
  int64_t from = 0, to = 0;
  double scale = 1;
  double roiStart = 0, roiEnd = 1;
};

struct Settings {
  std::string mode, coordinates, nearest;
  double cubicA = -0.75, extrapolation = 0;
  bool antialias = false, excludeOutside = false;
};

} // namespace

/// Where element `place` of the result lies in the operand; a mode's name that is not known gives
/// NaN.
static double sourceOf(int64_t place, const Axis &axis, StringRef mode) {
  double at = static_cast<double>(place), size = static_cast<double>(axis.from),
         length = axis.scale * size;
  if (mode == "align_corners") {
    return length == 1 ? 0 : at * (size - 1) / (length - 1);
  }
  if (mode == "asymmetric") {
    return at / axis.scale;
  }
  if (mode == "tf_crop_and_resize") {
    double span = (axis.roiEnd - axis.roiStart) * (size - 1);
    return axis.roiStart * (size - 1) + (length == 1 ? span / 2 : at * span / (length - 1));
  }
  double half = (at + 0.5) / axis.scale - 0.5;
  if (mode == "half_pixel") {
    return half;
  }
  if (mode == "pytorch_half_pixel") {
    return length == 1 ? -0.5 : half;
  }
  if (mode == "half_pixel_symmetric") {
    return size / 2 * (1 - static_cast<double>(axis.to) / length) + half;
  }
  return std::nan("");
}

/// Keys' cubic kernel.
static double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) {
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  }
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/// Adds the weights of one result element to `row`, one entry an operand element.
static void addWeights(MutableArrayRef<double> row, double source, const Axis &axis,
                       const Settings &s) {
  // An element that lies on the grid counts as the right end of its interval.
  double base = std::ceil(source) - 1, ratio = source - base;
  bool linear = s.mode == "linear";
  double squeeze = s.antialias ? std::min(axis.scale, 1.0) : 1;
  auto reach = static_cast<int64_t>(std::floor((linear ? -1 : -2) / squeeze)) + 1;
  SmallVector<std::pair<int64_t, double>> taps;
  double sum = 0;
  for (int64_t i = reach; i < 2 - reach; ++i) {
    double distance = squeeze * (static_cast<double>(i) - ratio);
    double weight = linear ? std::max(0.0, 1 - std::abs(distance)) : cubic(distance, s.cubicA);
    int64_t at = static_cast<int64_t>(base) + i;
    if (s.excludeOutside && (at < 0 || at >= axis.from)) {
      continue;
    }
    taps.emplace_back(std::clamp<int64_t>(at, 0, axis.from - 1), weight);
    sum += weight;
  }
  bool normalize = s.antialias || s.excludeOutside;
  for (auto [at, weight] : taps) {
    row[at] += normalize && sum != 0 ? weight / sum : weight;
  }
}

static int64_t nearestOf(double source, StringRef mode) {
  if (mode == "floor") {
    return static_cast<int64_t>(std::floor(source));
  }
  if (mode == "ceil") {
    return static_cast<int64_t>(std::ceil(source));
  }
  return static_cast<int64_t>(mode == "round_prefer_ceil" ? std::floor(source + 0.5)
                                                          : std::ceil(source - 0.5));
}

/// x with dimension `dim` resized.
static Value resizeAxis(NodeImport &n, Value x, int64_t dim, const Axis &axis, const Settings &s) {
  SmallVector<int64_t> indices;
  SmallVector<double> matrix(s.mode == "nearest" ? 0 : axis.to * axis.from, 0.0);
  SmallVector<bool> outside;
  for (int64_t place = 0; place < axis.to; ++place) {
    double source = sourceOf(place, axis, s.coordinates);
    if (!(std::abs(source) < 1e15)) {
      n.error() << "coordinate_transformation_mode is '" << s.coordinates
                << "', or a scale is not usable";
      return {};
    }
    outside.push_back(s.coordinates == "tf_crop_and_resize" &&
                      (source < 0 || source > static_cast<double>(axis.from - 1)));
    if (s.mode == "nearest") {
      indices.push_back(std::clamp<int64_t>(nearestOf(source, s.nearest), 0, axis.from - 1));
    } else {
      addWeights(MutableArrayRef<double>(matrix).slice(place * axis.from, axis.from), source, axis,
                 s);
    }
  }
  Value y;
  SmallVector<int64_t> shape(Emitter::shapeOf(x));
  if (s.mode == "nearest") {
    y = n.e.gather(x, n.e.intTensor(indices, {axis.to}), dim);
  } else {
    Type element = Emitter::elementOf(x);
    Value w = n.e.floatTensor(element, matrix, {axis.to, axis.from});
    // The axis last, all others as rows.
    SmallVector<int64_t> order, back(shape.size());
    for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i) {
      if (i != dim) {
        order.push_back(i);
      }
    }
    order.push_back(dim);
    SmallVector<int64_t> turned;
    for (auto [i, from] : llvm::enumerate(order)) {
      back[from] = static_cast<int64_t>(i);
      turned.push_back(shape[from]);
    }
    int64_t rows = axis.from == 0 ? 0 : Emitter::typeOf(x).getNumElements() / axis.from;
    y = n.e.matmul(n.e.reshape(n.e.transpose(x, order), {rows, axis.from}), w, false, true);
    turned.back() = axis.to;
    y = n.e.transpose(n.e.reshape(y, turned), back);
  }
  if (y && llvm::is_contained(outside, true)) {
    SmallVector<int64_t> maskShape(shape.size(), 1);
    maskShape[dim] = axis.to;
    auto type = RankedTensorType::get(maskShape, n.e.builder.getI1Type());
    y = n.e.select(n.e.constant(DenseElementsAttr::get(type, ArrayRef<bool>(outside))),
                   n.e.like(y, s.extrapolation), y);
  }
  return y;
}

/// Sets how long `dim` becomes; what is made for each place of it has to fit.
static LogicalResult setLength(NodeImport &n, Axis &axis, int64_t dim, double length) {
  constexpr auto most = static_cast<double>(1 << 24);
  if (!(axis.scale > 0) || !(length >= 0 && length < most) || axis.from < 1) {
    return n.error() << "dimension " << dim << " of " << axis.from << " elements would become "
                     << length;
  }
  axis.to = static_cast<int64_t>(length);
  return success();
}

LogicalResult dsc::importResize(NodeImport &n) {
  Value x = n.input(0);
  if (!x) {
    return n.error() << "the operand is missing";
  }
  int64_t rank = Emitter::shapeOf(x).size();
  Settings s{n.stringAttr("mode", "nearest"),
             n.stringAttr("coordinate_transformation_mode", "half_pixel"),
             n.stringAttr("nearest_mode", "round_prefer_floor"),
             n.floatAttr("cubic_coeff_a", -0.75),
             n.floatAttr("extrapolation_value", 0),
             n.intAttr("antialias", 0) != 0,
             n.intAttr("exclude_outside", 0) != 0};
  if (s.mode != "nearest" && s.mode != "linear" && s.mode != "cubic") {
    return n.error() << "mode is '" << s.mode << "'";
  }
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (auto given = n.intsAttr("axes")) {
    FailureOr<SmallVector<int64_t>> checked = n.axes(*given, rank);
    if (failed(checked)) {
      return failure();
    }
    axes = *checked;
  }
  bool bySizes = n.hasInput(3) && Emitter::typeOf(n.input(3)).getNumElements() > 0;
  FailureOr<SmallVector<double>> given = bySizes ? n.constantNumbers(3, "sizes")
                                                 : n.constantNumbers(2, "scales"),
                                 roi = SmallVector<double>();
  if (n.hasInput(1) && s.coordinates == "tf_crop_and_resize") {
    roi = n.constantNumbers(1, "roi");
  }
  if (failed(given) || failed(roi)) {
    return failure();
  }
  if (given->size() != axes.size() || (!roi->empty() && roi->size() != 2 * axes.size())) {
    return n.error() << "sizes, scales or roi do not have an entry for each of " << axes.size()
                     << " axes";
  }
  std::string policy = n.stringAttr("keep_aspect_ratio_policy", "stretch");
  SmallVector<Axis> settings;
  double common = 0;
  for (auto [i, dim] : llvm::enumerate(axes)) {
    Axis axis;
    axis.from = Emitter::shapeOf(x)[dim];
    axis.scale = bySizes ? (*given)[i] / static_cast<double>(axis.from) : (*given)[i];
    double length = bySizes ? (*given)[i] : std::floor(axis.scale * static_cast<double>(axis.from));
    if (failed(setLength(n, axis, dim, length))) {
      return failure();
    }
    if (!roi->empty()) {
      axis.roiStart = (*roi)[i];
      axis.roiEnd = (*roi)[i + axes.size()];
    }
    common = i == 0                    ? axis.scale
             : policy == "not_smaller" ? std::max(common, axis.scale)
                                       : std::min(common, axis.scale);
    settings.push_back(axis);
  }
  for (auto [axis, dim] : llvm::zip_equal(settings, axes)) {
    if (bySizes && policy != "stretch") {
      axis.scale = common;
      double length = std::floor(common * static_cast<double>(axis.from) + 0.5);
      if (failed(setLength(n, axis, dim, length))) {
        return failure();
      }
    }
    if (axis.scale == 1 && axis.to == axis.from && axis.roiStart == 0 && axis.roiEnd == 1) {
      continue;
    }
    if (s.mode != "nearest" && (!Emitter::isFloat(x) || axis.to * axis.from > (int64_t(1) << 24))) {
      return n.refuse("interpolation of integers, or of very long axes");
    }
    x = resizeAxis(n, x, dim, axis, s);
    if (!x) {
      return failure();
    }
  }
  return n.result(x);
}
