// Reductions over any axes, arg reductions, running sums, and the chunks of the gradient norm.
// Where a result's elements are contiguous a warp shares it, else a thread has one of several
// neighbours.

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/EmitLoops.h"
#include "codegen/cuda/RowEmitter.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;
using dsc::cuda::kWarp;
using dsc::cuda::LoopKernel;

/// Runs `body` in a warp for each of `count` items, with the thread's number in it; all threads of
/// the warp take part. Returns the number of blocks.
static int64_t forWarps(LoopKernel &kernel, int64_t count,
                        llvm::function_ref<void(Value item, Value lane)> body) {
  cuda::CudaBuilder &b = kernel.b;
  int64_t warps = kernel.threads() / kWarp;
  Value item = b.addIndex(b.mulIndex(b.blockIndex(), warps), b.divIndex(b.threadIndex(), kWarp));
  Value lane = b.remIndex(b.threadIndex(), kWarp);
  if (count % warps == 0) {
    body(item, lane);
  } else {
    b.ifThen(b.cmpi(CmpIPredicate::ult, item, b.index(count)), [&] { body(item, lane); });
  }
  return llvm::divideCeil(count, warps);
}

static Value combineWarp(cuda::CudaBuilder &b, ReduceKind kind, Type element, Value sum) {
  for (int64_t offset = kWarp / 2; offset > 0; offset /= 2) {
    sum = emitCombine(b, kind, element, sum, b.shuffleXor(sum, offset));
  }
  return sum;
}

static void storeFirst(LoopKernel &kernel, Value lane, Value value, Value at) {
  cuda::CudaBuilder &b = kernel.b;
  b.ifThen(b.cmpi(CmpIPredicate::eq, lane, b.index(0)), [&] { kernel.store(value, at); });
}

/// Each result element by a warp: thread t adds elements t, t + 32, .. of each run.
static int64_t reduceRuns(LoopKernel &kernel, ReduceKind kind, const SplitDims &split) {
  cuda::CudaBuilder &b = kernel.b;
  Type element = kernel.operandElement(0), type = computeType(element);
  int64_t count = elementCount(split.reduced);
  return forWarps(kernel, elementCount(split.kept), [&](Value item, Value lane) {
    Value base = stridedOffset(b, item, split.kept, split.keptStrides);
    Value sum = b.loop(
        lane, b.index(count), kWarp, neutralElement(b, kind, element, type),
        [&](Value i, ValueRange sum) {
          Value from = b.addIndex(base, stridedOffset(b, i, split.reduced, split.reducedStrides));
          return SmallVector<Value>{emitCombine(b, kind, element, sum[0], kernel.load(0, from))};
        })[0];
    storeFirst(kernel, lane, b.roundTo(element, combineWarp(b, kind, element, sum)), item);
  });
}

/// Each result element by a thread, in order; neighbours read neighbouring elements.
static int64_t reduceColumns(LoopKernel &kernel, ReduceKind kind, const SplitDims &split) {
  cuda::CudaBuilder &b = kernel.b;
  Type element = kernel.operandElement(0), type = computeType(element);
  int64_t count = elementCount(split.reduced);
  return kernel.forItems(elementCount(split.kept), [&](Value item) {
    Value base = stridedOffset(b, item, split.kept, split.keptStrides);
    Value sum = b.loop(
        b.index(0), b.index(count), 1, neutralElement(b, kind, element, type),
        [&](Value i, ValueRange sum) {
          Value from = b.addIndex(base, stridedOffset(b, i, split.reduced, split.reducedStrides));
          return SmallVector<Value>{emitCombine(b, kind, element, sum[0], kernel.load(0, from))};
        })[0];
    kernel.store(sum, item);
  });
}

static int64_t emitReduce(LoopKernel &kernel, ReduceOp op) {
  SplitDims split(kernel.operandShape(0), op.getAxes());
  return split.lastIsReduced ? reduceRuns(kernel, op.getKind(), split)
                             : reduceColumns(kernel, op.getKind(), split);
}

static int64_t emitArgReduce(LoopKernel &kernel, ArgReduceOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Type element = kernel.operandElement(0), indexType = computeType(kernel.resultElement());
  Lines lines(kernel.operandShape(0), op.getAxis());
  bool isMax = op.getKind() == ReduceKind::max, last = op.getSelectLast();
  auto search = [&](Value start, Value first, int64_t step) {
    SmallVector<Value> held{kernel.load(0, b.addIndex(start, b.mulIndex(first, lines.inner))),
                            first};
    return b.loop(b.addIndex(first, b.index(step)), b.index(lines.size), step, held,
                  [&](Value i, ValueRange held) {
                    Value value = kernel.load(0, b.addIndex(start, b.mulIndex(i, lines.inner)));
                    Value better = emitIsBetter(b, element, isMax, last, value, held[0]);
                    return SmallVector<Value>{b.select(better, value, held[0]),
                                              b.select(better, i, held[1])};
                  });
  };
  auto store = [&](Value index, Value at) {
    kernel.store(b.create<arith::IndexCastOp>(indexType, index), at);
  };
  if (lines.inner != 1) {
    return kernel.forItems(lines.outer * lines.inner, [&](Value item) {
      store(search(lines.start(b, item), b.index(0), 1)[1], item);
    });
  }
  return forWarps(kernel, lines.outer, [&](Value item, Value lane) {
    // Threads behind the line's end look at its last element.
    Value first = b.create<arith::MinUIOp>(lane, b.index(lines.size - 1));
    SmallVector<Value> held = search(b.mulIndex(item, lines.size), first, kWarp);
    Value value = held[0], index = b.create<arith::IndexCastOp>(b.getI64Type(), held[1]);
    for (int64_t offset = kWarp / 2; offset > 0; offset /= 2) {
      Value otherValue = b.shuffleXor(value, offset), otherIndex = b.shuffleXor(index, offset);
      Value better = emitIsBetter(b, element, isMax, false, otherValue, value);
      Value worse = emitIsBetter(b, element, isMax, false, value, otherValue);
      Value wins = b.cmpi(last ? CmpIPredicate::sgt : CmpIPredicate::slt, otherIndex, index);
      Value takes = b.create<arith::OrIOp>(
          better, b.create<arith::AndIOp>(
                      wins, b.create<arith::XOrIOp>(worse, b.constantInt(b.getI1Type(), 1))));
      value = b.select(takes, otherValue, value);
      index = b.select(takes, otherIndex, index);
    }
    b.ifThen(b.cmpi(CmpIPredicate::eq, lane, b.index(0)),
             [&] { store(b.create<arith::IndexCastOp>(b.getIndexType(), index), item); });
  });
}

static int64_t emitCumulative(LoopKernel &kernel, CumulativeOp op) {
  cuda::CudaBuilder &b = kernel.b;
  Type element = kernel.operandElement(0);
  Lines lines(kernel.operandShape(0), op.getAxis());
  return kernel.forItems(lines.outer * lines.inner, [&](Value item) {
    Value start = lines.start(b, item);
    Value neutral = neutralElement(b, op.getKind(), element, computeType(element));
    b.loop(b.index(0), b.index(lines.size), 1, neutral, [&](Value step, ValueRange sum) {
      Value i = op.getReverse() ? b.create<arith::SubIOp>(b.index(lines.size - 1), step).getResult()
                                : step;
      Value place = b.addIndex(start, b.mulIndex(i, lines.inner));
      Value next = emitCombine(b, op.getKind(), element, sum.front(), kernel.load(0, place));
      kernel.store(op.getExclusive() ? sum.front() : next, place);
      return SmallVector<Value>{next};
    });
  });
}

/// A warp a chunk: thread t adds elements 4 t .. 4 t + 3 of each 128, the four apart. A chunk is
/// summed as if it were whole: missing elements are zeros.
static int64_t emitChunkSquares(LoopKernel &kernel) {
  cuda::CudaBuilder &b = kernel.b;
  constexpr int64_t lanes = 4, step = kWarp * lanes;
  Type element = kernel.operandElement(0), wide = kernel.resultElement();
  int64_t elements = elementCount(kernel.operandShape(0));
  return forWarps(kernel, dsc_chunks(elements), [&](Value chunk, Value lane) {
    b.setLaneCount(lanes);
    Value first = b.addIndex(b.mulIndex(chunk, DSC_CHUNK_ELEMENTS), b.mulIndex(lane, lanes));
    Value zero = b.constant(b.vectorOf(wide), 0), sum = zero;
    for (int64_t i = 0; i < DSC_CHUNK_ELEMENTS; i += step) {
      Value at = b.addIndex(first, b.index(i)), x;
      if (elements % lanes == 0) {
        Value inside = b.cmpi(CmpIPredicate::ult, at, b.index(elements));
        Value place = b.create<arith::MinUIOp>(at, b.index(elements - lanes));
        x = emitCast(b, element, wide, b.loadVector(element, kernel.operandMemory(0), place));
        x = elements % DSC_CHUNK_ELEMENTS == 0 ? x : b.select(inside, x, zero);
      } else {
        x = zero;
        for (int64_t j = 0; j < lanes; ++j) {
          Value place = b.addIndex(at, b.index(j));
          Value inside = b.cmpi(CmpIPredicate::ult, place, b.index(elements));
          place = b.create<arith::MinUIOp>(place, b.index(elements - 1));
          Value scalar = emitCast(b, element, wide, kernel.load(0, place));
          scalar = b.select(inside, scalar, b.constant(wide, 0));
          x = b.create<vector::InsertOp>(scalar, x, ArrayRef<int64_t>{j});
        }
      }
      sum = b.add(sum, b.mul(x, x));
    }
    Value total = cuda::combineLanes(b, ReduceKind::sum, wide, sum);
    b.setLaneCount(1);
    storeFirst(kernel, lane, combineWarp(b, ReduceKind::sum, wide, total), chunk);
  });
}

std::optional<int64_t> cuda::emitReductionLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(kernel.op())
      .Case([&](ReduceOp op) { return emitReduce(kernel, op); })
      .Case([&](ArgReduceOp op) { return emitArgReduce(kernel, op); })
      .Case([&](CumulativeOp op) { return emitCumulative(kernel, op); })
      .Case([&](ChunkSquaresOp) { return emitChunkSquares(kernel); })
      .Default([](Operation *) { return std::nullopt; });
}
