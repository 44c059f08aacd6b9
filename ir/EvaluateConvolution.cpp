// Evaluation of convolution and pooling: one walk over pairs of an image's element and a window's,
// whatever the layout.

#include "ir/Evaluate.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

namespace {
/// The geometry that convolutions and pools share.
struct Windows {
  template <typename OpT>
  Windows(OpT op, ArrayRef<int64_t> image, ArrayRef<int64_t> window, ArrayRef<int64_t> result)
      : layout(op.getLayout()), image(image), window(window), result(result),
        strides(op.getStrides()), dilations(op.getDilations()), begin(op.getPadsBegin()) {}

  int64_t channels(ArrayRef<int64_t> shape) const { return last() ? shape.back() : shape[1]; }
  ArrayRef<int64_t> spatial(ArrayRef<int64_t> shape) const {
    return last() ? shape.slice(1, shape.size() - 2) : shape.drop_front(2);
  }
  bool last() const { return layout == ConvLayout::channels_last; }

  /// Position of (sample, channel, spatial) in a tensor of `shape`; `plane` is the flat spatial
  /// index.
  int64_t at(ArrayRef<int64_t> shape, int64_t sample, int64_t channel, int64_t plane) const {
    int64_t planes = 1;
    for (int64_t size : spatial(shape)) {
      planes *= size;
    }
    return last() ? (sample * planes + plane) * shape.back() + channel
                  : (sample * shape[1] + channel) * planes + plane;
  }

  /// Calls visit(position in the result's plane, position in the window, position in the image's
  /// plane) for every element of every window; the image position is -1 in the padding, -2 past the
  /// padded end given by `paddedEnd`.
  void forEach(ArrayRef<int64_t> paddedEnd,
               llvm::function_ref<void(int64_t, int64_t, int64_t)> visit) const {
    ArrayRef<int64_t> size = spatial(image);
    forEachIndex(spatial(result), [&](int64_t y, ArrayRef<int64_t> p) {
      forEachIndex(window, [&](int64_t w, ArrayRef<int64_t> r) {
        int64_t x = 0;
        for (size_t i = 0; i < size.size(); ++i) {
          int64_t coordinate = p[i] * strides[i] + r[i] * dilations[i] - begin[i];
          bool inside = coordinate >= 0 && coordinate < size[i];
          if (coordinate >= size[i] + paddedEnd[i]) {
            x = -2;
          } else if (x != -2) {
            x = inside && x >= 0 ? x * size[i] + coordinate : -1;
          }
        }
        visit(y, w, x);
      });
    });
  }

  ConvLayout layout;
  ArrayRef<int64_t> image, window, result, strides, dilations, begin;
};
} // namespace

enum class ConvPart { Result, Image, Weight };

/// Adds up the products of two of (image, weight, result) into the third.
template <typename OpT>
static void convolve(OpT op, ConvPart part, EvaluatedTensor &x, EvaluatedTensor &w,
                     EvaluatedTensor &y) {
  Windows windows(op, x.shape(), {}, y.shape());
  windows.window = windows.spatial(w.shape());
  int64_t groups = op.getGroups(), outputs = w.shape()[0], each = windows.channels(w.shape());
  windows.forEach(op.getPadsEnd(), [&](int64_t py, int64_t tap, int64_t px) {
    for (int64_t n = 0; px >= 0 && n < x.shape()[0]; ++n) {
      for (int64_t o = 0; o < outputs; ++o) {
        for (int64_t c = 0; c < each; ++c) {
          double &xv = x.floats[windows.at(x.shape(), n, o / (outputs / groups) * each + c, px)];
          double &wv = w.floats[windows.at(w.shape(), o, c, tap)];
          double &yv = y.floats[windows.at(y.shape(), n, o, py)];
          switch (part) {
          case ConvPart::Result:
            yv += xv * wv;
            break;
          case ConvPart::Image:
            xv += yv * wv;
            break;
          case ConvPart::Weight:
            wv += xv * yv;
            break;
          }
        }
      }
    }
  });
}

static void evaluateMaxPool(MaxPoolOp op, const EvaluatedTensor &x, EvaluatedTensor &y,
                            EvaluatedTensor &index) {
  Windows windows(op, x.shape(), op.getWindow(), y.shape());
  std::fill(index.integers.begin(), index.integers.end(), -1);
  windows.forEach(op.getPadsEnd(), [&](int64_t py, int64_t, int64_t px) {
    for (int64_t n = 0; px >= 0 && n < x.shape()[0]; ++n) {
      for (int64_t c = 0; c < windows.channels(x.shape()); ++c) {
        int64_t to = windows.at(y.shape(), n, c, py), from = windows.at(x.shape(), n, c, px);
        bool better = index.integers[to] < 0;
        if (!better && x.isFloat()) {
          better = x.floats[from] > y.floats[to] ||
                   (std::isnan(x.floats[from]) && !std::isnan(y.floats[to]));
        } else if (!better) {
          better = x.integers[from] > y.integers[to];
        }
        if (better) {
          y.copyElement(to, x, from);
          index.integers[to] = px;
        }
      }
    }
  });
}

static void evaluateMaxPoolGrad(MaxPoolGradOp op, const EvaluatedTensor &dy,
                                const EvaluatedTensor &index, EvaluatedTensor &dx) {
  Windows windows(op, dx.shape(), op.getWindow(), dy.shape());
  forEachIndex(windows.spatial(dy.shape()), [&](int64_t py, ArrayRef<int64_t>) {
    for (int64_t n = 0; n < dy.shape()[0]; ++n) {
      for (int64_t c = 0; c < windows.channels(dy.shape()); ++c) {
        int64_t from = windows.at(dy.shape(), n, c, py);
        dx.floats[windows.at(dx.shape(), n, c, index.integers[from])] += dy.floats[from];
      }
    }
  });
}

/// avg_pool where `backward` is false, its gradient else.
template <typename OpT>
static void evaluateAvgPool(OpT op, bool backward, EvaluatedTensor &image,
                            EvaluatedTensor &result) {
  Windows windows(op, image.shape(), op.getWindow(), result.shape());
  SmallVector<int64_t> paddedEnd(op.getPadsEnd());
  if (op.getPadsCeil()) {
    for (size_t i = 0; i < paddedEnd.size(); ++i) {
      paddedEnd[i] -= (*op.getPadsCeil())[i];
    }
  }
  std::vector<double> counts(
      result.size() / std::max<int64_t>(1, result.shape()[0] * windows.channels(result.shape())));
  auto isCounted = [&](int64_t px) { return px >= 0 || (px == -1 && op.getCountIncludePad()); };
  windows.forEach(paddedEnd, [&](int64_t py, int64_t, int64_t px) { counts[py] += isCounted(px); });
  windows.forEach(paddedEnd, [&](int64_t py, int64_t, int64_t px) {
    for (int64_t n = 0; px >= 0 && n < image.shape()[0]; ++n) {
      for (int64_t c = 0; c < windows.channels(image.shape()); ++c) {
        double &x = image.floats[windows.at(image.shape(), n, c, px)];
        double &y = result.floats[windows.at(result.shape(), n, c, py)];
        (backward ? x : y) += (backward ? y : x) / counts[py];
      }
    }
  });
}

bool dsc::evaluateConvolution(Operation *op, ArrayRef<EvaluatedTensor> operands,
                              std::vector<EvaluatedTensor> &results) {
  // The walk writes one of its tensors and reads the others; copies keep the operands as they are.
  if (auto conv = dyn_cast<ConvOp>(op)) {
    if (conv.getActivation() != Epilogue::none) {
      return false;
    }
    EvaluatedTensor x = operands[0], w = operands[1];
    convolve(conv, ConvPart::Result, x, w, results[0]);
    if (conv.getBias()) {
      Windows windows(conv, x.shape(), w.shape().drop_front(2), results[0].shape());
      forEachIndex(results[0].shape(), [&](int64_t i, ArrayRef<int64_t> index) {
        results[0].floats[i] += operands[2].floats[windows.last() ? index.back() : index[1]];
      });
    }
  } else if (auto grad = dyn_cast<ConvGradInputOp>(op)) {
    EvaluatedTensor dy = operands[0], w = operands[1];
    convolve(grad, ConvPart::Image, results[0], w, dy);
  } else if (auto grad = dyn_cast<ConvGradWeightOp>(op)) {
    EvaluatedTensor x = operands[0], dy = operands[1];
    convolve(grad, ConvPart::Weight, x, results[0], dy);
  } else if (auto pool = dyn_cast<MaxPoolOp>(op)) {
    evaluateMaxPool(pool, operands[0], results[0], results[1]);
  } else if (auto grad = dyn_cast<MaxPoolGradOp>(op)) {
    evaluateMaxPoolGrad(grad, operands[0], operands[1], results[0]);
  } else if (auto pool = dyn_cast<AvgPoolOp>(op)) {
    EvaluatedTensor x = operands[0];
    evaluateAvgPool(pool, /*backward=*/false, x, results[0]);
  } else if (auto grad = dyn_cast<AvgPoolGradOp>(op)) {
    EvaluatedTensor dy = operands[0];
    evaluateAvgPool(grad, /*backward=*/true, results[0], dy);
  } else {
    return false;
  }
  return true;
}
