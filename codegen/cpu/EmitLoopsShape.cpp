// Data movement: transpose, slice and broadcast as one strided copy, pad, concat.

#include "codegen/LoopGeometry.h"
#include "codegen/cpu/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;

// Long contiguous runs are cut to this many elements a unit; transposes work on tiles of lines of
// one cache line each.
static constexpr int64_t kRun = 4096, kTile = 16, kTileDepth = 64;

static LoopUnits emitTransposedCopy(LoopKernel &kernel, const StridedCopy &copy,
                                    size_t contiguous) {
  VectorBuilder &b = kernel.b;
  // Units: all dimensions but the last, `contiguous` (the one that is contiguous in the operand) in
  // tiles.
  SmallVector<int64_t> outer(copy.dims), resultStrides = rowMajorStrides(copy.dims);
  int64_t last = outer.pop_back_val(), lines = outer[contiguous];
  outer[contiguous] = llvm::divideCeil(lines, kTile);
  kernel.forUnits([&](Value unit) {
    SmallVector<Value> at = b.delinearize(unit, outer);
    Value first = b.mulIndex(at[contiguous], kTile),
          end = b.minIndex(b.addIndex(first, b.index(kTile)), b.index(lines));
    Value from = b.index(copy.base), to = b.index(0);
    for (size_t i = 0; i < outer.size(); ++i) {
      if (i != contiguous) {
        from = b.addIndex(from, b.mulIndex(at[i], copy.strides[i]));
        to = b.addIndex(to, b.mulIndex(at[i], resultStrides[i]));
      }
    }
    b.loop(b.index(0), b.index(last), kTileDepth, [&](Value block) {
      Value blockEnd = b.minIndex(b.addIndex(block, b.index(kTileDepth)), b.index(last));
      b.loop(first, end, 1, [&](Value line) {
        Value lineFrom = b.addIndex(from, line),
              lineTo = b.addIndex(to, b.mulIndex(line, resultStrides[contiguous]));
        b.loop(block, blockEnd, 1, [&](Value i) {
          Value value =
              kernel.loadStored(0, b.addIndex(lineFrom, b.mulIndex(i, copy.strides.back())));
          kernel.storeStored(value, b.addIndex(lineTo, i));
        });
      });
    });
  });
  return {elementCount(outer), kTile * last * 8};
}

static LoopUnits emitCopy(LoopKernel &kernel, StridedCopy copy) {
  VectorBuilder &b = kernel.b;
  int64_t last = copy.dims.back(), stride = copy.strides.back();
  if (stride != 0 && stride != 1) {
    auto unit = llvm::find(copy.strides, 1);
    if (unit != copy.strides.end()) {
      return emitTransposedCopy(kernel, copy, unit - copy.strides.begin());
    }
  }
  // One long run is cut into pieces that fit its length.
  if (copy.dims.size() == 1 && last > kRun && last % kRun == 0) {
    copy.dims = {last / kRun, kRun};
    copy.strides = {stride * kRun, stride};
    last = kRun;
  }
  ArrayRef<int64_t> outer = ArrayRef(copy.dims).drop_back();
  kernel.forUnits([&](Value unit) {
    Value from = b.index(copy.base), to = b.mulIndex(unit, last);
    if (!outer.empty()) {
      for (auto [coordinate, step] : llvm::zip(b.delinearize(unit, outer), copy.strides)) {
        from = b.create<arith::AddIOp>(from, b.mulIndex(coordinate, step));
      }
    }
    if (stride == 1) {
      kernel.copyRun(0, from, to, last);
    } else if (stride == 0) {
      kernel.fillRun(kernel.loadStored(0, from), to, last);
    } else {
      b.loop(last, [&](Value i) {
        Value place = b.create<arith::AddIOp>(from, b.mulIndex(i, stride));
        kernel.storeStored(kernel.loadStored(0, place), b.addIndex(to, i));
      });
    }
  });
  return {elementCount(outer), last * 8};
}

static LoopUnits emitPad(LoopKernel &kernel, PadOp op) {
  CpuBuilder &b = kernel.b;
  ArrayRef<int64_t> from = kernel.operandShape(0), to = kernel.resultShape();
  double fill = op.getValue().convertToDouble();
  Value value = b.storedConstant(kernel.resultElement(), fill);
  int64_t last = to.empty() ? 1 : to.back();
  ArrayRef<int64_t> outer = to.empty() ? to : to.drop_back();
  SmallVector<int64_t> strides = rowMajorStrides(from);
  kernel.forUnits([&](Value unit) {
    Value start = b.mulIndex(unit, last);
    kernel.fillRun(value, start, last);
    if (elementCount(from) == 0) {
      return;
    }
    // Whether the row holds a row of the operand, and which.
    Value inside = b.constantInt(b.getI1Type(), 1), source = b.index(0);
    if (!outer.empty()) {
      for (auto [i, coordinate] : llvm::enumerate(b.delinearize(unit, outer))) {
        int64_t step = op.getInterior()[i] + 1;
        Value moved = b.create<arith::SubIOp>(coordinate, b.index(op.getLow()[i]));
        Value position = b.divIndex(moved, step); // of a negative number: far above every size
        inside =
            b.create<arith::AndIOp>(inside, b.cmpi(CmpIPredicate::ult, position, b.index(from[i])));
        if (step > 1) {
          inside = b.create<arith::AndIOp>(
              inside, b.cmpi(CmpIPredicate::eq, b.remIndex(moved, step), b.index(0)));
        }
        source = b.addIndex(source, b.mulIndex(position, strides[i]));
      }
    }
    b.ifThen(inside, [&] {
      int64_t low = to.empty() ? 0 : op.getLow().back(),
              step = to.empty() ? 1 : op.getInterior().back() + 1;
      int64_t count = from.empty() ? 1 : from.back();
      Value target = b.addIndex(start, b.index(low));
      if (step == 1) {
        return kernel.copyRun(0, source, target, count);
      }
      b.loop(count, [&](Value i) {
        kernel.storeStored(kernel.loadStored(0, b.addIndex(source, i)),
                           b.addIndex(target, b.mulIndex(i, step)));
      });
    });
  });
  return {elementCount(outer), last * 8};
}

static LoopUnits emitConcat(LoopKernel &kernel, ConcatOp op) {
  VectorBuilder &b = kernel.b;
  ArrayRef<int64_t> to = kernel.resultShape();
  int64_t axis = op.getAxis(), outer = elementCount(to, 0, axis),
          inner = elementCount(to, axis + 1, to.size());
  int64_t row = to[axis] * inner, pieces = op->getNumOperands();
  // A unit is one operand's run of one outer index.
  kernel.forUnits([&](Value unit) {
    Value index = b.divIndex(unit, pieces), piece = b.remIndex(unit, pieces);
    int64_t position = 0;
    for (int64_t i = 0; i < pieces; ++i) {
      int64_t run = kernel.operandShape(i)[axis] * inner;
      b.ifThen(b.cmpi(CmpIPredicate::eq, piece, b.index(i)), [&] {
        Value target = b.addIndex(b.mulIndex(index, row), b.index(position));
        kernel.copyRun(i, b.mulIndex(index, run), target, run);
      });
      position += run;
    }
  });
  return {outer * pieces, std::max<int64_t>(1, row * 8 / pieces)};
}

std::optional<LoopUnits> dsc::emitShapeLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<LoopUnits>>(kernel.op())
      .Case([&](TransposeOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](SliceOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](BroadcastOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](PadOp op) { return emitPad(kernel, op); })
      .Case([&](ConcatOp op) { return emitConcat(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
