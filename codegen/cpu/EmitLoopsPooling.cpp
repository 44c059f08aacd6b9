// Max and average pooling and their gradients, in both layouts. Gradients gather in window order: a
// unit is one channel's plane of one image.

#include "codegen/EmitElementwise.h"
#include "codegen/LoopGeometry.h"
#include "codegen/cpu/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;

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
  Value zero = b.constant(memoryType(kernel.resultElement()), 0);
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
      Value value = kernel.load(0, b.addIndex(inputStart, b.mulIndex(index, windows.input.step())));
      Value larger = emitIsBetter(b, element, /*isMax=*/true, /*last=*/false, value, best[0]);
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
