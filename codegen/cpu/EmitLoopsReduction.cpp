// Reductions over any axes, arg reductions, running sums, and the chunks of the gradient norm. The
// order of additions follows from shape and axes: dimensions are merged by whether they are
// reduced, never by what else is in the program.

#include "codegen/EmitElementwise.h"
#include "codegen/LoopGeometry.h"
#include "codegen/cpu/EmitLoops.h"
#include "codegen/cpu/VectorSum.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;

/// Each result element from runs of contiguous elements.
static LoopUnits reduceRuns(LoopKernel &kernel, ReduceKind kind, SplitDims split) {
  VectorBuilder &b = kernel.b;
  Type element = kernel.operandElement(0);
  int64_t run = split.reduced.pop_back_val();
  split.reducedStrides.pop_back();
  int64_t runs = elementCount(split.reduced), units = elementCount(split.kept);
  kernel.forUnits([&](Value unit) {
    Value base = stridedOffset(b, unit, split.kept, split.keptStrides);
    VectorSum sum(b, kind, element);
    int64_t full = run / DSC_LANES * DSC_LANES;
    SmallVector<Value> slots =
        b.loop(b.index(0), b.index(runs), 1, sum.start(), [&](Value i, ValueRange slots) {
          Value from = b.addIndex(base, stridedOffset(b, i, split.reduced, split.reducedStrides));
          SmallVector<Value> next(slots);
          if (full > 0) {
            next = b.loop(b.index(0), b.index(full), DSC_LANES, next, [&](Value j, ValueRange now) {
              Value term =
                  b.loadVector(element, kernel.operandMemory(0), b.addIndex(from, j), Value());
              return sum.add(now, term, Value());
            });
          }
          if (full < run) {
            Value mask = b.maskOf(run - full);
            Value term = b.loadVector(element, kernel.operandMemory(0),
                                      b.addIndex(from, b.index(full)), mask);
            next = sum.add(next, term, mask);
          }
          return next;
        });
    Value total = sum.finish(slots, runs * llvm::divideCeil(run, DSC_LANES));
    kernel.store(b.extractLane(total, 0), unit);
  });
  return {units, run * runs * 4};
}

/// Several neighbouring result elements at a time, one vector of them, each summed in order.
static LoopUnits reduceColumns(LoopKernel &kernel, ReduceKind kind, SplitDims split) {
  VectorBuilder &b = kernel.b;
  Type element = kernel.operandElement(0);
  VectorType type = b.vectorOf(computeType(element));
  int64_t columns = split.kept.empty() ? 1 : split.kept.pop_back_val();
  if (!split.keptStrides.empty()) {
    split.keptStrides.pop_back();
  }
  int64_t vectors = llvm::divideCeil(columns, DSC_LANES), count = elementCount(split.reduced);
  kernel.forUnits([&](Value unit) {
    Value row = b.divIndex(unit, vectors),
          column = b.mulIndex(b.remIndex(unit, vectors), DSC_LANES);
    Value base = b.addIndex(stridedOffset(b, row, split.kept, split.keptStrides), column);
    // The last vector of a row may be short; its mask is not known when the code is made.
    Value left = b.create<arith::SubIOp>(b.index(columns), column);
    Value mask = columns % DSC_LANES == 0 ? Value() : b.maskBelow(left);
    Value start = neutralElement(b, kind, element, type);
    Value sum = b.loop(b.index(0), b.index(count), 1, start, [&](Value i, ValueRange sum) {
      Value from = b.addIndex(base, stridedOffset(b, i, split.reduced, split.reducedStrides));
      Value term = b.loadVector(element, kernel.operandMemory(0), from, mask);
      return SmallVector<Value>{emitCombine(b, kind, element, sum.front(), term)};
    })[0];
    Value to = b.addIndex(b.mulIndex(row, columns), column);
    b.storeVector(element, sum, kernel.resultMemory(), to, mask);
  });
  return {elementCount(split.kept) * vectors, count * DSC_LANES * 4};
}

static LoopUnits emitReduce(LoopKernel &kernel, ReduceOp op) {
  SplitDims split(kernel.operandShape(0), op.getAxes());
  return split.lastIsReduced ? reduceRuns(kernel, op.getKind(), split)
                             : reduceColumns(kernel, op.getKind(), split);
}

static LoopUnits emitArgReduce(LoopKernel &kernel, ArgReduceOp op) {
  VectorBuilder &b = kernel.b;
  Type element = kernel.operandElement(0);
  Lines lines(kernel.operandShape(0), op.getAxis());
  bool isMax = op.getKind() == ReduceKind::max, last = op.getSelectLast();
  kernel.forUnits([&](Value unit) {
    Value start = lines.start(b, unit);
    SmallVector<Value> first{kernel.load(0, start), b.index(0)};
    SmallVector<Value> best =
        b.loop(b.index(1), b.index(lines.size), 1, first, [&](Value i, ValueRange held) {
          Value value = kernel.load(0, b.addIndex(start, b.mulIndex(i, lines.inner)));
          Value better = emitIsBetter(b, element, isMax, last, value, held[0]);
          return SmallVector<Value>{b.select(better, value, held[0]), b.select(better, i, held[1])};
        });
    kernel.store(b.create<arith::IndexCastOp>(computeType(kernel.resultElement()), best[1]), unit);
  });
  return {lines.outer * lines.inner, lines.size * 8};
}

static LoopUnits emitCumulative(LoopKernel &kernel, CumulativeOp op) {
  VectorBuilder &b = kernel.b;
  Type element = kernel.operandElement(0);
  Lines lines(kernel.operandShape(0), op.getAxis());
  kernel.forUnits([&](Value unit) {
    Value start = lines.start(b, unit);
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
  return {lines.outer * lines.inner, lines.size * 8};
}

static LoopUnits emitChunkSquares(LoopKernel &kernel) {
  VectorBuilder &b = kernel.b;
  Type element = kernel.operandElement(0), wide = kernel.resultElement();
  int64_t elements = elementCount(kernel.operandShape(0)), chunks = dsc_chunks(elements);
  kernel.forUnits([&](Value unit) {
    VectorSum sum(b, ReduceKind::sum, wide);
    auto square = [&](Value place, Value mask) {
      Value x =
          emitCast(b, element, wide, b.loadVector(element, kernel.operandMemory(0), place, mask));
      return b.mul(x, x);
    };
    // A chunk is summed as if it were whole: missing elements are zeros.
    Value first = b.mulIndex(unit, DSC_CHUNK_ELEMENTS);
    SmallVector<Value> slots = b.loop(b.index(0), b.index(DSC_CHUNK_ELEMENTS), DSC_LANES,
                                      sum.start(), [&](Value i, ValueRange slots) {
                                        Value place = b.addIndex(first, i);
                                        if (elements % DSC_CHUNK_ELEMENTS == 0) {
                                          return sum.add(slots, square(place, Value()), Value());
                                        }
                                        Value left =
                                            b.create<arith::SubIOp>(b.index(elements), place);
                                        left = b.create<arith::MaxSIOp>(left, b.index(0));
                                        Value mask = b.maskBelow(left);
                                        return sum.add(slots, square(place, mask), mask);
                                      });
    kernel.store(b.extractLane(sum.finish(slots, DSC_CHUNK_ELEMENTS / DSC_LANES), 0), unit);
  });
  return {chunks, DSC_CHUNK_ELEMENTS * 4};
}

std::optional<LoopUnits> dsc::emitReductionLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<LoopUnits>>(kernel.op())
      .Case([&](ReduceOp op) { return emitReduce(kernel, op); })
      .Case([&](ArgReduceOp op) { return emitArgReduce(kernel, op); })
      .Case([&](CumulativeOp op) { return emitCumulative(kernel, op); })
      .Case([&](ChunkSquaresOp) { return emitChunkSquares(kernel); })
      .Default([](Operation *) { return std::nullopt; });
}
