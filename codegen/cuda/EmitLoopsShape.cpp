// Data movement: transpose, slice and broadcast as one strided copy, pad, concat. Where runs allow,
// a thread copies 16 bytes; transposes go through tiles in shared memory.

#include "codegen/cuda/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;
using dsc::cuda::LoopKernel;

// Lines and columns of a tile; a row of the block's threads copies a line at a time.
static constexpr int64_t kTile = 32;

/// `contiguous`: the dimension that is contiguous in the operand, not the last one.
static int64_t emitTransposedCopy(LoopKernel &kernel, const StridedCopy &copy, size_t contiguous) {
  cuda::CudaBuilder &b = kernel.b;
  SmallVector<int64_t> tiles(copy.dims), resultStrides = rowMajorStrides(copy.dims);
  int64_t lines = copy.dims[contiguous], last = copy.dims.back();
  tiles[contiguous] = llvm::divideCeil(lines, kTile);
  tiles.back() = llvm::divideCeil(last, kTile);
  Value from = b.index(copy.base), to = b.index(0);
  SmallVector<Value> at = b.delinearize(b.blockIndex(), tiles);
  for (size_t i = 0; i + 1 < tiles.size(); ++i) {
    if (i != contiguous) {
      from = b.create<arith::AddIOp>(from, b.mulIndex(at[i], copy.strides[i]));
      to = b.addIndex(to, b.mulIndex(at[i], resultStrides[i]));
    }
  }
  Value firstLine = b.mulIndex(at[contiguous], kTile), firstColumn = b.mulIndex(at.back(), kTile);
  Value x = b.remIndex(b.threadIndex(), kTile), y = b.divIndex(b.threadIndex(), kTile);
  // One element more a line, so that the elements of a column lie in different banks.
  Value tile = b.sharedBuffer(kernel.operandElement(0), kTile * (kTile + 1));
  int64_t rows = kernel.threads() / kTile;
  bool whole = lines % kTile == 0 && last % kTile == 0;
  auto forRows = [&](Value inner, Value outer, int64_t innerSize, int64_t outerSize,
                     llvm::function_ref<void(Value inner, Value outer, Value row)> body) {
    for (int64_t i = 0; i < kTile; i += rows) {
      Value row = b.addIndex(y, b.index(i));
      Value innerAt = b.addIndex(inner, x), outerAt = b.addIndex(outer, row);
      auto emit = [&] { body(innerAt, outerAt, row); };
      if (whole) {
        emit();
      } else {
        b.ifThen(b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::ult, innerAt, b.index(innerSize)),
                                         b.cmpi(CmpIPredicate::ult, outerAt, b.index(outerSize))),
                 emit);
      }
    }
  };
  Type stored = storageType(kernel.operandElement(0));
  forRows(firstLine, firstColumn, lines, last, [&](Value line, Value column, Value row) {
    Value source =
        b.create<arith::AddIOp>(b.addIndex(from, line), b.mulIndex(column, copy.strides.back()));
    b.storeStored(kernel.loadStored(0, source), tile, b.addIndex(b.mulIndex(row, kTile + 1), x));
  });
  b.barrier();
  forRows(firstColumn, firstLine, last, lines, [&](Value column, Value line, Value row) {
    Value value = b.loadStored(stored, tile, b.addIndex(b.mulIndex(x, kTile + 1), row));
    Value target = b.addIndex(b.mulIndex(line, resultStrides[contiguous]), column);
    kernel.storeStored(value, b.addIndex(to, target));
  });
  return elementCount(tiles);
}

static int64_t emitCopy(LoopKernel &kernel, const StridedCopy &copy) {
  cuda::CudaBuilder &b = kernel.b;
  int64_t stride = copy.strides.back(), total = elementCount(copy.dims);
  auto unit = llvm::find(copy.strides, 1);
  if (stride != 0 && stride != 1 && unit != copy.strides.end()) {
    size_t contiguous = unit - copy.strides.begin();
    // Short sides would leave most of a tile empty.
    if (copy.dims[contiguous] >= 8 && copy.dims.back() >= 8) {
      return emitTransposedCopy(kernel, copy, contiguous);
    }
  }
  int64_t lanes = 1;
  if (stride == 1 || stride == 0) {
    SmallVector<int64_t> sizes{copy.dims.back()};
    if (stride == 1) {
      sizes.append(copy.strides.begin(), copy.strides.end() - 1);
      sizes.push_back(copy.base);
    }
    lanes = kernel.copyLanes(0, sizes);
  }
  return kernel.forItems(total / lanes, [&](Value item) {
    Value to = b.mulIndex(item, lanes);
    Value from =
        b.create<arith::AddIOp>(b.index(copy.base), stridedOffset(b, to, copy.dims, copy.strides));
    kernel.storeStored(stride == 0 ? kernel.repeat(kernel.loadStored(0, from), lanes)
                                   : kernel.loadStored(0, from, lanes),
                       to);
  });
}

static int64_t emitPad(LoopKernel &kernel, PadOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> from = kernel.operandShape(0), to = kernel.resultShape();
  SmallVector<int64_t> strides = rowMajorStrides(from);
  double fill = op.getValue().convertToDouble();
  // The last dimension in vectors, where its pads and runs allow.
  int64_t lanes = 1;
  if (!to.empty() && op.getInterior().back() == 0) {
    lanes = kernel.copyLanes(0, {to.back(), from.back(), op.getLow().back()});
  }
  Value value = kernel.repeat(b.constant(storageType(kernel.resultElement()), fill), lanes);
  return kernel.forItems(elementCount(to) / lanes, [&](Value item) {
    Value at = b.mulIndex(item, lanes), inside = b.constantInt(b.getI1Type(), 1);
    Value source = b.index(0);
    if (!to.empty()) {
      for (auto [i, coordinate] : llvm::enumerate(b.delinearize(at, to))) {
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
    Value loaded = value;
    if (elementCount(from) > 0) {
      source = b.select(inside, source, b.index(0));
      loaded = b.select(inside, kernel.loadStored(0, source, lanes), value);
    }
    kernel.storeStored(loaded, at);
  });
}

static int64_t emitConcat(LoopKernel &kernel, ConcatOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> to = kernel.resultShape();
  int64_t axis = op.getAxis(), inner = elementCount(to, axis + 1, to.size());
  int64_t row = to[axis] * inner;
  SmallVector<int64_t> runs;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    runs.push_back(kernel.operandShape(i)[axis] * inner);
  }
  int64_t lanes = kernel.copyLanes(0, runs);
  return kernel.forItems(elementCount(to) / lanes, [&](Value item) {
    Value at = b.mulIndex(item, lanes), outer = b.divIndex(at, row), place = b.remIndex(at, row);
    int64_t first = 0;
    for (auto [i, length] : llvm::enumerate(runs)) {
      int64_t run = length;
      unsigned operand = i;
      // Behind the operand's end, or before its start: far above its length.
      Value inRun = b.create<arith::SubIOp>(place, b.index(first));
      b.ifThen(b.cmpi(CmpIPredicate::ult, inRun, b.index(run)), [&] {
        Value from = b.addIndex(b.mulIndex(outer, run), inRun);
        kernel.storeStored(kernel.loadStored(operand, from, lanes), at);
      });
      first += run;
    }
  });
}

std::optional<int64_t> cuda::emitShapeLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(kernel.op())
      .Case([&](TransposeOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](SliceOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](BroadcastOp op) { return emitCopy(kernel, StridedCopy::of(op)); })
      .Case([&](PadOp op) { return emitPad(kernel, op); })
      .Case([&](ConcatOp op) { return emitConcat(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
