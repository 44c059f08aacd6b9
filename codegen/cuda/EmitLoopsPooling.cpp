// Max and average pooling and their gradients, in both layouts. Gradients gather: a thread adds for
// one element of the image what the windows over it have for it, in the order of window offsets.

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;
using dsc::cuda::LoopKernel;

namespace {
/// A point of an image: its plane, its coordinates in it and its offset.
struct Point {
  Value plane, flat, offset;
  SmallVector<Value> at;
};
} // namespace

/// A thread for each point of `planes`, in the order in which they lie in memory.
static int64_t forPoints(LoopKernel &kernel, const Planes &planes,
                         llvm::function_ref<void(const Point &)> body) {
  cuda::CudaBuilder &b = kernel.b;
  int64_t points = planes.points();
  return kernel.forItems(planes.images * planes.channels * points, [&](Value item) {
    Point point;
    point.offset = item;
    if (planes.channelsLast) {
      Value pixel = b.divIndex(item, planes.channels);
      point.flat = b.remIndex(pixel, points);
      point.plane = b.addIndex(b.mulIndex(b.divIndex(pixel, points), planes.channels),
                               b.remIndex(item, planes.channels));
    } else {
      point.plane = b.divIndex(item, points);
      point.flat = b.remIndex(item, points);
    }
    point.at = b.delinearize(point.flat, planes.spatial);
    body(point);
  });
}

static int64_t emitMaxPool(LoopKernel &kernel, MaxPoolOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Windows windows(op, kernel.operandShape(0), {}, false);
  Planes output(kernel.resultShape(), op.getLayout());
  Type element = kernel.operandElement(0);
  return forPoints(kernel, output, [&](const Point &point) {
    Value start = windows.input.start(b, point.plane);
    Value lowest = neutralElement(b, ReduceKind::max, element, computeType(element));
    SmallVector<Value> first{lowest, b.index(-1)};
    auto visit = [&](Value index, Value inside, Value, ValueRange best) {
      Value value = kernel.load(0, b.addIndex(start, b.mulIndex(index, windows.input.step())));
      Value larger = emitIsBetter(b, element, /*isMax=*/true, /*last=*/false, value, best[0]);
      Value none = b.cmpi(CmpIPredicate::slt, best[1], b.index(0));
      Value takes = b.create<arith::AndIOp>(inside, b.create<arith::OrIOp>(none, larger));
      return SmallVector<Value>{b.select(takes, value, best[0]), b.select(takes, index, best[1])};
    };
    SmallVector<Value> best = windows.forWindow(b, point.at, first, visit);
    kernel.store(best[0], point.offset);
    kernel.store(b.create<arith::IndexCastOp>(computeType(kernel.resultElement(1)), best[1]),
                 point.offset, 1);
  });
}

static int64_t emitMaxPoolGrad(LoopKernel &kernel, MaxPoolGradOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Windows windows(op, kernel.resultShape(), {}, false);
  Planes output(kernel.operandShape(0), op.getLayout());
  Type type = computeType(kernel.resultElement());
  return forPoints(kernel, windows.input, [&](const Point &point) {
    Value start = output.start(b, point.plane);
    Value sum = windows.forCovering(
        b, output, point.at, b.constant(type, 0),
        [&](Value index, ValueRange, Value there, ValueRange sum) {
          Value offset = b.addIndex(start, b.mulIndex(index, output.step()));
          Value chosen = kernel.loadIndex(1, offset, windows.input.points());
          Value takes =
              b.create<arith::AndIOp>(there, b.cmpi(CmpIPredicate::eq, chosen, point.flat));
          return SmallVector<Value>{b.select(takes, b.add(sum[0], kernel.load(0, offset)), sum[0])};
        })[0];
    kernel.store(sum, point.offset);
  });
}

static int64_t emitAvgPool(LoopKernel &kernel, AvgPoolOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Windows windows(op, kernel.operandShape(0), ceilOf(op.getPadsCeil()), op.getCountIncludePad());
  Planes output(kernel.resultShape(), op.getLayout());
  Type type = computeType(kernel.operandElement(0));
  Value zero = b.constant(type, 0), one = b.constant(type, 1);
  return forPoints(kernel, output, [&](const Point &point) {
    Value start = windows.input.start(b, point.plane);
    auto visit = [&](Value index, Value inside, Value counted, ValueRange sums) {
      Value value = kernel.load(0, b.addIndex(start, b.mulIndex(index, windows.input.step())));
      return SmallVector<Value>{b.add(sums[0], b.select(inside, value, zero)),
                                b.add(sums[1], b.select(counted, one, zero))};
    };
    SmallVector<Value> sums = windows.forWindow(b, point.at, {zero, zero}, visit);
    kernel.store(b.div(sums[0], sums[1]), point.offset);
  });
}

static int64_t emitAvgPoolGrad(LoopKernel &kernel, AvgPoolGradOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Windows windows(op, kernel.resultShape(), ceilOf(op.getPadsCeil()), op.getCountIncludePad());
  Planes output(kernel.operandShape(0), op.getLayout());
  Type type = computeType(kernel.operandElement(0));
  Value zero = b.constant(type, 0), one = b.constant(type, 1);
  return forPoints(kernel, windows.input, [&](const Point &point) {
    Value start = output.start(b, point.plane);
    Value sum = windows.forCovering(
        b, output, point.at, zero, [&](Value index, ValueRange at, Value there, ValueRange sum) {
          Value count =
              windows.forWindow(b, at, zero, [&](Value, Value, Value counted, ValueRange sum) {
                return SmallVector<Value>{b.add(sum[0], b.select(counted, one, zero))};
              })[0];
          Value offset = b.addIndex(start, b.mulIndex(index, output.step()));
          Value part = b.div(kernel.load(0, offset), count);
          return SmallVector<Value>{b.select(there, b.add(sum[0], part), sum[0])};
        })[0];
    kernel.store(sum, point.offset);
  });
}

std::optional<int64_t> cuda::emitPoolingLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(kernel.op())
      .Case([&](MaxPoolOp op) { return emitMaxPool(kernel, op); })
      .Case([&](MaxPoolGradOp op) { return emitMaxPoolGrad(kernel, op); })
      .Case([&](AvgPoolOp op) { return emitAvgPool(kernel, op); })
      .Case([&](AvgPoolGradOp op) { return emitAvgPoolGrad(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
