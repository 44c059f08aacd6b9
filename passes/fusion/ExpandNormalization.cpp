// Softmax, layer norm, RMS norm and batch norm with their gradients become elementwise ops and
// reductions, in the type of statistics. Values that two passes over memory need are written twice
// where they are cheap: kernels of each pass then compute them from x instead of storing them.

#include "passes/Passes.h"
#include "passes/fusion/NormalizedValue.h"

#include "llvm/ADT/TypeSwitch.h"

namespace dsc {
#define GEN_PASS_DEF_EXPANDNORMALIZATION
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {
/// Arithmetic for one op: values in the type of statistics, results back in the op's.
class Expansion : public ValueBuilder {
public:
  Expansion(OpBuilder &builder, Operation *op) : ValueBuilder(builder, op->getLoc()), op(op) {}

  Value wide(Value x) { return cast(x, statisticsType(tensorType(x).getElementType())); }
  void replace(unsigned result, Value value) {
    Type element = tensorType(op->getResult(result)).getElementType();
    op->getResult(result).replaceAllUsesWith(cast(value, element));
  }
  Value sumOver(Value x, ArrayRef<int64_t> axes) { return reduce(ReduceKind::sum, x, axes); }

private:
  Operation *op;
};
} // namespace

static SmallVector<int64_t> axesFrom(Value x, int64_t axis) {
  return llvm::to_vector(llvm::seq<int64_t>(axis, tensorType(x).getRank()));
}

static double countOver(Value x, ArrayRef<int64_t> axes) {
  double count = 1;
  for (int64_t axis : axes) {
    count *= static_cast<double>(tensorType(x).getDimSize(axis));
  }
  return count;
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

// e^(x - max) / sum e^(x - max)
static void expand(Expansion &b, SoftmaxOp op) {
  SmallVector<int64_t> axes{static_cast<int64_t>(op.getAxis())};
  Value x = b.wide(op.getX());
  Value shifted = b.sub(x, b.reduce(ReduceKind::max, x, axes));
  Value e = b.create<ExpOp>(shifted, /*approximate=*/x != op.getX());
  b.replace(0, b.div(e, b.sumOver(e, axes)));
}

// x - max - log sum e^(x - max)
static void expand(Expansion &b, LogSoftmaxOp op) {
  SmallVector<int64_t> axes{static_cast<int64_t>(op.getAxis())};
  Value x = b.wide(op.getX());
  Value shifted = b.sub(x, b.reduce(ReduceKind::max, x, axes));
  Value e = b.create<ExpOp>(shifted, /*approximate=*/x != op.getX());
  b.replace(0, b.sub(shifted, b.create<LogOp>(b.sumOver(e, axes))));
}

//===----------------------------------------------------------------------===//
// Norms of rows
//===----------------------------------------------------------------------===//

// mean = sum(x) / n, rstd = 1 / sqrt(sum((x - mean)^2) / n + epsilon), y = (x - mean) rstd gamma +
// beta
static void expand(Expansion &b, LayerNormOp op) {
  SmallVector<int64_t> axes = axesFrom(op.getX(), op.getAxis());
  double n = countOver(op.getX(), axes);
  Value x = b.wide(op.getX());
  Value mean = b.div(b.sumOver(x, axes), n);
  Value centered = b.sub(x, mean);
  Value variance = b.div(b.sumOver(b.mul(centered, centered), axes), n);
  Value rstd = b.create<RsqrtOp>(b.add(variance, op.getEpsilon().convertToDouble()));
  Value gamma = op.getGamma() ? b.wide(op.getGamma()) : Value();
  Value beta = op.getBeta() ? b.wide(op.getBeta()) : Value();
  b.replace(0, scaleNormalized(b, centered, rstd, gamma, beta));
  b.replace(1, mean);
  b.replace(2, rstd);
}

// dx = rstd (g - mean(g) - xhat mean(g xhat)), xhat = (x - mean) rstd
static void expand(Expansion &b, LayerNormGradOp op) {
  SmallVector<int64_t> axes = axesFrom(op.getX(), op.getAxis());
  double n = countOver(op.getX(), axes);
  Value g = b.wide(op.getG());
  Value xhat = b.mul(b.sub(b.wide(op.getX()), op.getMean()), op.getRstd());
  Value meanG = b.div(b.sumOver(g, axes), n);
  Value slope = b.div(b.sumOver(b.mul(g, xhat), axes), n);
  b.replace(0, b.mul(b.sub(b.sub(g, meanG), b.mul(xhat, slope)), op.getRstd()));
}

// rstd = 1 / sqrt(sum(x^2) / n + epsilon), y = x rstd gamma
static void expand(Expansion &b, RmsNormOp op) {
  SmallVector<int64_t> axes = axesFrom(op.getX(), op.getAxis());
  Value x = b.wide(op.getX());
  Value square = b.div(b.sumOver(b.mul(x, x), axes), countOver(op.getX(), axes));
  Value rstd = b.create<RsqrtOp>(b.add(square, op.getEpsilon().convertToDouble()));
  Value gamma = op.getGamma() ? b.wide(op.getGamma()) : Value();
  b.replace(0, scaleNormalized(b, x, rstd, gamma, Value()));
  b.replace(1, rstd);
}

// dx = rstd (g - x rstd^2 mean(g x))
static void expand(Expansion &b, RmsNormGradOp op) {
  SmallVector<int64_t> axes = axesFrom(op.getX(), op.getAxis());
  Value x = b.wide(op.getX()), g = b.wide(op.getG()), rstd = op.getRstd();
  Value slope = b.div(b.sumOver(b.mul(g, x), axes), countOver(op.getX(), axes));
  slope = b.mul(slope, b.mul(rstd, rstd));
  b.replace(0, b.mul(b.sub(g, b.mul(x, slope)), rstd));
}

//===----------------------------------------------------------------------===//
// Batch norm
//===----------------------------------------------------------------------===//

namespace {
/// The dimensions over which batch norm takes statistics, and how a value for each channel
/// broadcasts to the image.
struct Channels {
  SmallVector<int64_t> axes, shape;

  Channels(RankedTensorType x, ConvLayout layout) : shape(channelShape(x, layout)) {
    int64_t channel = layout == ConvLayout::channels_last ? x.getRank() - 1 : 1;
    for (int64_t i = 0; i < x.getRank(); ++i) {
      if (i != channel) {
        axes.push_back(i);
      }
    }
  }
};
} // namespace

// mean and var over all but channels, rstd = 1 / sqrt(var + epsilon), y = (x - mean) rstd gamma +
// beta
static void expand(Expansion &b, BatchNormOp op) {
  Channels channels(tensorType(op.getX()), op.getLayout());
  double n = countOver(op.getX(), channels.axes);
  auto toImage = [&](Value v) { return b.reshape(b.wide(v), channels.shape); };
  Value x = b.wide(op.getX());
  Value mean = b.div(b.sumOver(x, channels.axes), n);
  auto centered = [&] { return b.sub(x, mean); };
  Value squares = centered();
  Value variance = b.div(b.sumOver(b.mul(squares, squares), channels.axes), n);
  Value rstd = b.create<RsqrtOp>(b.add(variance, op.getEpsilon().convertToDouble()));
  b.replace(0, scaleNormalized(b, centered(), rstd, toImage(op.getGamma()), toImage(op.getBeta())));
  ArrayRef<int64_t> vector = tensorType(op.getMean()).getShape();
  b.replace(1, b.reshape(mean, vector));
  b.replace(2, b.reshape(variance, vector));
  b.replace(3, b.reshape(rstd, vector));
}

// dbeta = sum(dy), dgamma = sum(dy xhat), dx = gamma rstd (dy - dbeta / n - xhat dgamma / n)
static void expand(Expansion &b, BatchNormGradOp op) {
  Channels channels(tensorType(op.getX()), op.getLayout());
  double n = countOver(op.getX(), channels.axes);
  auto toImage = [&](Value v) { return b.reshape(b.wide(v), channels.shape); };
  Value x = b.wide(op.getX()), dy = b.wide(op.getDy());
  Value mean = toImage(op.getMean()), rstd = toImage(op.getRstd());
  auto xhat = [&] { return b.mul(b.sub(x, mean), rstd); };
  Value dbeta = b.sumOver(dy, channels.axes), dgamma = b.sumOver(b.mul(dy, xhat()), channels.axes);
  Value centered = b.sub(b.sub(dy, b.div(dbeta, n)), b.mul(xhat(), b.div(dgamma, n)));
  b.replace(0, b.mul(centered, b.mul(toImage(op.getGamma()), rstd)));
  ArrayRef<int64_t> vector = tensorType(op.getGamma()).getShape();
  b.replace(1, b.reshape(dgamma, vector));
  b.replace(2, b.reshape(dbeta, vector));
}

namespace {
struct ExpandNormalization : public dsc::impl::ExpandNormalizationBase<ExpandNormalization> {
  void runOnOperation() override {
    SmallVector<Operation *> composites;
    getOperation().walk([&](Operation *op) {
      if (isa<SoftmaxOp, LogSoftmaxOp, LayerNormOp, LayerNormGradOp, RmsNormOp, RmsNormGradOp,
              BatchNormOp, BatchNormGradOp>(op)) {
        composites.push_back(op);
      }
    });
    for (Operation *op : composites) {
      OpBuilder builder(op);
      Expansion b(builder, op);
      llvm::TypeSwitch<Operation *>(op)
          .Case<SoftmaxOp, LogSoftmaxOp, LayerNormOp, LayerNormGradOp, RmsNormOp, RmsNormGradOp,
                BatchNormOp, BatchNormGradOp>([&](auto composite) { expand(b, composite); });
      op->erase();
    }
  }
};
} // namespace
