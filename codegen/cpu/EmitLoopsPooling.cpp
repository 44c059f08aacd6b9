// Max and average pooling and their gradients, in both layouts. Gradients gather in window order: a
// unit is one channel's plane of one image.

#include "codegen/cpu/EmitElementwise.h"
#include "codegen/cpu/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

namespace {

/// Planes of an image and where their elements lie.
struct Planes {
  int64_t images, channels;
  SmallVector<int64_t> spatial;
  bool channelsLast;

  Planes(ArrayRef<int64_t> shape, ConvLayout layout)
      : images(shape[0]), channelsLast(layout == ConvLayout::channels_last) {
    channels = channelsLast ? shape.back() : shape[1];
    spatial.assign(shape.begin() + (channelsLast ? 1 : 2), shape.end() - (channelsLast ? 1 : 0));
  }
  int64_t points() const { return elementCount(spatial); }
  int64_t step() const { return channelsLast ? channels : 1; }

  /// Offset of the first element of plane `plane`, counted as image * channels + channel.
  Value start(VectorBuilder &b, Value plane) const {
    if (!channelsLast) {
      return b.mulIndex(plane, points());
    }
    Value image = b.divIndex(plane, channels), channel = b.remIndex(plane, channels);
    return b.addIndex(b.mulIndex(image, points() * channels), channel);
  }
};

/// Windows of a pooling op, over the padded input.
class Windows {
public:
  template <typename Op>
  Windows(Op op, ArrayRef<int64_t> image, ArrayRef<int64_t> padsCeil, bool countPads)
      : input(image, op.getLayout()), window(op.getWindow()), strides(op.getStrides()),
        dilations(op.getDilations()), begin(op.getPadsBegin()), end(op.getPadsEnd()),
        ceil(padsCeil), countPads(countPads) {}

  /// Runs `body` for each element of the window of output point `at`, in order: the element's flat
  /// index within the plane (clamped), whether it is inside the image, and whether an average
  /// counts it.
  SmallVector<Value>
  forWindow(VectorBuilder &b, ValueRange at, ValueRange carried,
            llvm::function_ref<SmallVector<Value>(Value, Value, Value, ValueRange)> body) const {
    return b.loop(
        b.index(0), b.index(elementCount(window)), 1, carried, [&](Value flat, ValueRange now) {
          Value index = b.index(0), inside = b.constantInt(b.getI1Type(), 1), counted = inside;
          for (auto [i, offset] : llvm::enumerate(b.delinearize(flat, window))) {
            Value padded =
                b.addIndex(b.mulIndex(at[i], strides[i]), b.mulIndex(offset, dilations[i]));
            Value position = b.create<arith::SubIOp>(padded, b.index(begin[i]));
            inside = b.create<arith::AndIOp>(
                inside, b.cmpi(CmpIPredicate::ult, position, b.index(input.spatial[i])));
            int64_t limit = begin[i] + input.spatial[i] + end[i] - (ceil.empty() ? 0 : ceil[i]);
            counted = b.create<arith::AndIOp>(counted,
                                              b.cmpi(CmpIPredicate::ult, padded, b.index(limit)));
            Value clamped = b.create<arith::MaxSIOp>(position, b.index(0));
            clamped = b.create<arith::MinSIOp>(clamped, b.index(input.spatial[i] - 1));
            index = b.addIndex(b.mulIndex(index, input.spatial[i]), clamped);
          }
          return body(index, inside, countPads ? counted : inside, now);
        });
  }

  Planes input;
  ArrayRef<int64_t> window, strides, dilations, begin, end, ceil;
  bool countPads;
};

} // namespace

/// Runs `body` for each output point of each of the call's planes.
static LoopUnits
forPlanes(LoopKernel &kernel, const Windows &windows, const Planes &output,
          llvm::function_ref<void(Value inputStart)> prepare,
          llvm::function_ref<void(Value inputStart, Value outputOffset, ValueRange at)> body) {
  VectorBuilder &b = kernel.b;
  kernel.forUnits([&](Value plane) {
    Value inputStart = windows.input.start(b, plane), outputStart = output.start(b, plane);
    prepare(inputStart);
    b.loop(output.points(), [&](Value point) {
      Value offset = b.addIndex(outputStart, b.mulIndex(point, output.step()));
      body(inputStart, offset, b.delinearize(point, output.spatial));
    });
  });
  return {output.images * output.channels, output.points() * elementCount(windows.window) * 8};
}

static void zeroPlane(LoopKernel &kernel, const Planes &planes, Value start) {
  VectorBuilder &b = kernel.b;
  Value zero = b.constant(storageType(kernel.resultElement()), 0);
  if (planes.step() == 1) {
    return kernel.fillRun(zero, start, planes.points());
  }
  b.loop(planes.points(), [&](Value i) {
    kernel.storeStored(zero, b.addIndex(start, b.mulIndex(i, planes.step())));
  });
}

/// dx[offset] += value
static void accumulate(LoopKernel &kernel, Value offset, Value value) {
  VectorBuilder &b = kernel.b;
  Value old = b.loadScalar(kernel.resultElement(), kernel.resultMemory(), offset);
  kernel.store(b.add(old, value), offset);
}

static LoopUnits emitMaxPool(LoopKernel &kernel, MaxPoolOp op) {
  VectorBuilder &b = kernel.b;
  Windows windows(op, kernel.operandShape(0), {}, false);
  Planes output(kernel.resultShape(), op.getLayout());
  Type element = kernel.operandElement(0);
  auto body = [&](Value inputStart, Value offset, ValueRange at) {
    Value lowest = neutralElement(b, ReduceKind::max, element, computeType(element));
    SmallVector<Value> first{lowest, b.index(-1)};
    auto visit = [&](Value index, Value inside, Value, ValueRange best) {
      Value value = kernel.load(0, b.addIndex(inputStart, b.mulIndex(index, windows.input.step()))),
            larger;
      if (isa<FloatType>(element)) {
        Value isNan = b.cmpf(CmpFPredicate::UNO, value, value),
              held = b.cmpf(CmpFPredicate::ORD, best[0], best[0]);
        larger = b.create<arith::OrIOp>(b.cmpf(CmpFPredicate::OGT, value, best[0]),
                                        b.create<arith::AndIOp>(isNan, held));
      } else {
        larger = b.cmpi(isUnsignedElement(element) ? CmpIPredicate::ugt : CmpIPredicate::sgt, value,
                        best[0]);
      }
      Value none = b.cmpi(CmpIPredicate::slt, best[1], b.index(0));
      Value takes = b.create<arith::AndIOp>(inside, b.create<arith::OrIOp>(none, larger));
      return SmallVector<Value>{b.select(takes, value, best[0]), b.select(takes, index, best[1])};
    };
    SmallVector<Value> best = windows.forWindow(b, at, first, visit);
    kernel.store(best[0], offset);
    kernel.store(b.create<arith::IndexCastOp>(computeType(kernel.resultElement(1)), best[1]),
                 offset, 1);
  };
  return forPlanes(kernel, windows, output, [](Value) {}, body);
}

static LoopUnits emitMaxPoolGrad(LoopKernel &kernel, MaxPoolGradOp op) {
  VectorBuilder &b = kernel.b;
  Windows windows(op, kernel.resultShape(), {}, false);
  Planes output(kernel.operandShape(0), op.getLayout());
  auto body = [&](Value inputStart, Value offset, ValueRange) {
    Value index = kernel.loadIndex(1, offset, windows.input.points());
    accumulate(kernel, b.addIndex(inputStart, b.mulIndex(index, windows.input.step())),
               kernel.load(0, offset));
  };
  return forPlanes(
      kernel, windows, output, [&](Value start) { zeroPlane(kernel, windows.input, start); }, body);
}

static ArrayRef<int64_t> ceilOf(std::optional<ArrayRef<int64_t>> pads) {
  return pads ? *pads : ArrayRef<int64_t>();
}

static LoopUnits emitAvgPool(LoopKernel &kernel, AvgPoolOp op) {
  VectorBuilder &b = kernel.b;
  Windows windows(op, kernel.operandShape(0), ceilOf(op.getPadsCeil()), op.getCountIncludePad());
  Planes output(kernel.resultShape(), op.getLayout());
  Type type = computeType(kernel.operandElement(0));
  Value zero = b.constant(type, 0), one = b.constant(type, 1);
  auto body = [&](Value inputStart, Value offset, ValueRange at) {
    auto visit = [&](Value index, Value inside, Value counted, ValueRange sums) {
      Value value = kernel.load(0, b.addIndex(inputStart, b.mulIndex(index, windows.input.step())));
      return SmallVector<Value>{b.add(sums[0], b.select(inside, value, zero)),
                                b.add(sums[1], b.select(counted, one, zero))};
    };
    SmallVector<Value> sums = windows.forWindow(b, at, {zero, zero}, visit);
    kernel.store(b.div(sums[0], sums[1]), offset);
  };
  return forPlanes(kernel, windows, output, [](Value) {}, body);
}

static LoopUnits emitAvgPoolGrad(LoopKernel &kernel, AvgPoolGradOp op) {
  VectorBuilder &b = kernel.b;
  Windows windows(op, kernel.resultShape(), ceilOf(op.getPadsCeil()), op.getCountIncludePad());
  Planes output(kernel.operandShape(0), op.getLayout());
  Type type = computeType(kernel.operandElement(0));
  Value zero = b.constant(type, 0), one = b.constant(type, 1);
  auto body = [&](Value inputStart, Value offset, ValueRange at) {
    Value count = windows.forWindow(b, at, zero, [&](Value, Value, Value counted, ValueRange sum) {
      return SmallVector<Value>{b.add(sum[0], b.select(counted, one, zero))};
    })[0];
    Value part = b.div(kernel.load(0, offset), count);
    windows.forWindow(b, at, {}, [&](Value index, Value inside, Value, ValueRange) {
      b.ifThen(inside, [&] {
        accumulate(kernel, b.addIndex(inputStart, b.mulIndex(index, windows.input.step())), part);
      });
      return SmallVector<Value>();
    });
  };
  return forPlanes(
      kernel, windows, output, [&](Value start) { zeroPlane(kernel, windows.input, start); }, body);
}

std::optional<LoopUnits> dsc::emitPoolingLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<LoopUnits>>(kernel.op())
      .Case([&](MaxPoolOp op) { return emitMaxPool(kernel, op); })
      .Case([&](MaxPoolGradOp op) { return emitMaxPoolGrad(kernel, op); })
      .Case([&](AvgPoolOp op) { return emitAvgPool(kernel, op); })
      .Case([&](AvgPoolGradOp op) { return emitAvgPoolGrad(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
