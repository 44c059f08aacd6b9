// Gathers and scatters. Whatever adds adds in the order of positions, so results do not depend on
// threads.

#include "codegen/EmitElementwise.h"
#include "codegen/LoopGeometry.h"
#include "codegen/cpu/EmitLoops.h"
#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;

// Ranges of table rows that a gather's gradient is cut into: each reads all indices, which is
// little beside its rows.
static constexpr int64_t kTableRanges = 32;

static LoopUnits emitGather(LoopKernel &kernel, GatherOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0);
  int64_t axis = op.getAxis(), size = data[axis], outer = elementCount(data, 0, axis);
  int64_t inner = elementCount(data, axis + 1, data.size()),
          indices = elementCount(kernel.operandShape(1));
  kernel.forUnits([&](Value unit) {
    Value block = b.divIndex(unit, indices), position = b.remIndex(unit, indices);
    if (outer == 1) {
      block = b.index(0);
      position = unit;
    }
    Value index = kernel.loadIndex(1, position, size);
    Value from = b.mulIndex(b.addIndex(b.mulIndex(block, size), index), inner);
    kernel.copyRun(0, from, b.mulIndex(unit, inner), inner);
  });
  return {outer * indices, inner * 8};
}

// Floats of a range's sums on the stack, where the result is of a half type.
static constexpr int64_t kSumFloats = 65536;

/// As emitGatherGrad, for half types: sums are f32, for as many columns at a time as fit on the
/// stack, and rounded once.
static LoopUnits emitHalfGatherGrad(LoopKernel &kernel, GatherGradOp op) {
  CpuBuilder &b = kernel.b;
  ArrayRef<int64_t> table = kernel.resultShape();
  int64_t axis = op.getAxis(), size = table[axis], outer = elementCount(table, 0, axis);
  int64_t inner = elementCount(table, axis + 1, table.size()),
          indices = elementCount(kernel.operandShape(1));
  int64_t fewest = llvm::divideCeil(size * DSC_LANES, kSumFloats);
  int64_t ranges = std::min(size, std::max(kTableRanges, fewest)),
          perRange = llvm::divideCeil(size, ranges);
  int64_t width = std::min<int64_t>(llvm::alignTo(inner, DSC_LANES),
                                    llvm::alignDown(kSumFloats / perRange, DSC_LANES));
  Type element = kernel.resultElement(), f32 = b.getF32Type();
  Value sums = b.stackBuffer(f32, perRange * width);
  Value zero = b.constant(b.vectorOf(f32), 0);
  kernel.forUnits([&](Value unit) {
    Value block = b.divIndex(unit, ranges), low = b.mulIndex(b.remIndex(unit, ranges), perRange);
    Value high = b.minIndex(b.addIndex(low, b.index(perRange)), b.index(size)),
          base = b.mulIndex(block, size);
    auto sumOf = [&](Value row, Value column) {
      return b.addIndex(b.mulIndex(b.create<arith::SubIOp>(row, low), width), column);
    };
    auto columns = [&](Value first, int64_t count) {
      b.loop(low, high, 1, [&](Value row) {
        kernel.forVectors(count, [&](Value i, Value mask) {
          b.storeVector(f32, zero, sums, sumOf(row, i), mask);
        });
      });
      b.loop(indices, [&](Value position) {
        Value row = kernel.loadIndex(1, position, size);
        Value mine = b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::sge, row, low),
                                             b.cmpi(CmpIPredicate::slt, row, high));
        b.ifThen(mine, [&] {
          Value from = b.mulIndex(b.addIndex(b.mulIndex(block, indices), position), inner);
          from = b.addIndex(from, first);
          kernel.forVectors(count, [&](Value i, Value mask) {
            Value place = sumOf(row, i);
            Value term = b.loadVector(element, kernel.operandMemory(0), b.addIndex(from, i), mask);
            b.storeVector(f32, b.add(b.loadVector(f32, sums, place, mask), term), sums, place,
                          mask);
          });
        });
      });
      b.loop(low, high, 1, [&](Value row) {
        Value to = b.addIndex(b.mulIndex(b.addIndex(base, row), inner), first);
        kernel.forVectors(count, [&](Value i, Value mask) {
          b.storeVector(element, b.loadVector(f32, sums, sumOf(row, i), mask),
                        kernel.resultMemory(), b.addIndex(to, i), mask);
        });
      });
    };
    int64_t whole = inner / width * width;
    if (whole > 0) {
      b.loop(b.index(0), b.index(whole), width, [&](Value first) { columns(first, width); });
    }
    if (whole != inner) {
      columns(b.index(whole), inner - whole);
    }
  });
  return {outer * ranges, (perRange * inner + indices * inner / ranges) * 8};
}

static LoopUnits emitGatherGrad(LoopKernel &kernel, GatherGradOp op) {
  if (kernel.resultElement().isF16() || kernel.resultElement().isBF16()) {
    return emitHalfGatherGrad(kernel, op);
  }
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> table = kernel.resultShape();
  int64_t axis = op.getAxis(), size = table[axis], outer = elementCount(table, 0, axis);
  int64_t inner = elementCount(table, axis + 1, table.size()),
          indices = elementCount(kernel.operandShape(1));
  int64_t ranges = std::min(size, kTableRanges), perRange = llvm::divideCeil(size, ranges);
  Type element = kernel.resultElement();
  Value memory = kernel.resultMemory(), zero = b.constant(memoryType(element), 0);
  kernel.forUnits([&](Value unit) {
    Value block = b.divIndex(unit, ranges), low = b.mulIndex(b.remIndex(unit, ranges), perRange);
    Value high = b.minIndex(b.addIndex(low, b.index(perRange)), b.index(size)),
          base = b.mulIndex(block, size);
    b.loop(low, high, 1, [&](Value row) {
      kernel.fillRun(zero, b.mulIndex(b.addIndex(base, row), inner), inner);
    });
    b.loop(indices, [&](Value position) {
      Value row = kernel.loadIndex(1, position, size);
      Value mine = b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::sge, row, low),
                                           b.cmpi(CmpIPredicate::slt, row, high));
      b.ifThen(mine, [&] {
        Value to = b.mulIndex(b.addIndex(base, row), inner);
        Value from = b.mulIndex(b.addIndex(b.mulIndex(block, indices), position), inner);
        kernel.forVectors(inner, [&](Value i, Value mask) {
          Value place = b.addIndex(to, i);
          Value term = b.loadVector(element, kernel.operandMemory(0), b.addIndex(from, i), mask);
          Value sum = b.add(b.loadVector(element, memory, place, mask), term);
          b.storeVector(element, sum, memory, place, mask);
        });
      });
    });
  });
  return {outer * ranges, (perRange * inner + indices * inner / ranges) * 8};
}

static LoopUnits emitGatherElements(LoopKernel &kernel, GatherElementsOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), to = kernel.resultShape();
  SmallVector<int64_t> strides = rowMajorStrides(data);
  kernel.forUnits([&](Value unit) {
    SmallVector<Value> at = b.delinearize(unit, to);
    at[op.getAxis()] = kernel.loadIndex(1, unit, data[op.getAxis()]);
    Value from = b.index(0);
    for (auto [coordinate, stride] : llvm::zip(at, strides)) {
      from = b.addIndex(from, b.mulIndex(coordinate, stride));
    }
    kernel.storeStored(kernel.loadStored(0, from), unit);
  });
  return {elementCount(to), 16};
}

/// The first element of the slice of `data` that index tuple `tuple` names; `leading` dimensions
/// come before the tuple's.
static Value tupleOffset(LoopKernel &kernel, Value tuple, int64_t width, ArrayRef<int64_t> data,
                         int64_t leading) {
  VectorBuilder &b = kernel.b;
  SmallVector<int64_t> strides = rowMajorStrides(data);
  Value offset = b.index(0), first = b.mulIndex(tuple, width);
  for (int64_t i = 0; i < width; ++i) {
    Value index = kernel.loadIndex(1, b.addIndex(first, b.index(i)), data[leading + i]);
    offset = b.addIndex(offset, b.mulIndex(index, strides[leading + i]));
  }
  return offset;
}

static LoopUnits emitGatherNd(LoopKernel &kernel, GatherNdOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), indices = kernel.operandShape(1);
  int64_t batch = op.getBatchDims(), width = indices.back();
  int64_t tuples = elementCount(indices, 0, indices.size() - 1),
          batches = elementCount(indices, 0, batch);
  int64_t run = elementCount(data, batch + width, data.size()),
          image = elementCount(data, batch, data.size());
  kernel.forUnits([&](Value unit) {
    Value from = tupleOffset(kernel, unit, width, data, batch);
    from = b.addIndex(from, b.mulIndex(b.divIndex(unit, tuples / batches), image));
    kernel.copyRun(0, from, b.mulIndex(unit, run), run);
  });
  return {tuples, run * 8};
}

/// result[place] = result[place] combined with updates[from].
static void scatterOne(LoopKernel &kernel, ScatterKind kind, Value place, Value from) {
  VectorBuilder &b = kernel.b;
  Value old = b.loadScalar(kernel.resultElement(), kernel.resultMemory(), place);
  kernel.store(emitScatter(b, kind, kernel.resultElement(), old, kernel.load(2, from)), place);
}

static LoopUnits emitScatterElements(LoopKernel &kernel, ScatterElementsOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), updates = kernel.operandShape(2);
  SmallVector<int64_t> strides = rowMajorStrides(data), updateStrides = rowMajorStrides(updates);
  int64_t axis = op.getAxis();
  // Lines along the axis are independent; a unit is a line of the result: first copied, then
  // updated in order.
  SmallVector<int64_t> lines(data);
  lines[axis] = 1;
  kernel.forUnits([&](Value unit) {
    SmallVector<Value> at = b.delinearize(unit, lines);
    Value to = b.index(0), from = b.index(0), inside = b.constantInt(b.getI1Type(), 1);
    for (int64_t i = 0, rank = data.size(); i < rank; ++i) {
      if (i != axis) {
        to = b.addIndex(to, b.mulIndex(at[i], strides[i]));
        from = b.addIndex(from, b.mulIndex(at[i], updateStrides[i]));
        inside =
            b.create<arith::AndIOp>(inside, b.cmpi(CmpIPredicate::slt, at[i], b.index(updates[i])));
      }
    }
    b.loop(data[axis], [&](Value i) {
      Value place = b.addIndex(to, b.mulIndex(i, strides[axis]));
      kernel.storeStored(kernel.loadStored(0, place), place);
    });
    b.ifThen(inside, [&] {
      b.loop(updates[axis], [&](Value i) {
        Value source = b.addIndex(from, b.mulIndex(i, updateStrides[axis]));
        Value index = kernel.loadIndex(1, source, data[axis]);
        scatterOne(kernel, op.getKind(), b.addIndex(to, b.mulIndex(index, strides[axis])), source);
      });
    });
  });
  return {elementCount(lines), (data[axis] + updates[axis]) * 8};
}

static LoopUnits emitScatterNd(LoopKernel &kernel, ScatterNdOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), indices = kernel.operandShape(1);
  int64_t width = indices.back(), tuples = elementCount(indices, 0, indices.size() - 1);
  int64_t run = elementCount(data, width, data.size()), elements = elementCount(data);
  // Tuples may name one slice twice, so one unit does them all, in order.
  kernel.forUnits([&](Value) {
    kernel.copyRun(0, b.index(0), b.index(0), elements);
    b.loop(tuples, [&](Value tuple) {
      Value to = tupleOffset(kernel, tuple, width, data, 0), from = b.mulIndex(tuple, run);
      b.loop(run, [&](Value i) {
        scatterOne(kernel, op.getKind(), b.addIndex(to, i), b.addIndex(from, i));
      });
    });
  });
  return {1, elements * 8};
}

std::optional<LoopUnits> dsc::emitIndexingLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<LoopUnits>>(kernel.op())
      .Case([&](GatherOp op) { return emitGather(kernel, op); })
      .Case([&](GatherGradOp op) { return emitGatherGrad(kernel, op); })
      .Case([&](GatherElementsOp op) { return emitGatherElements(kernel, op); })
      .Case([&](GatherNdOp op) { return emitGatherNd(kernel, op); })
      .Case([&](ScatterElementsOp op) { return emitScatterElements(kernel, op); })
      .Case([&](ScatterNdOp op) { return emitScatterNd(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
