// Gathers and scatters; the gradient of gather has a schedule of its own.

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/EmitLoops.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;
using dsc::cuda::LoopKernel;

static int64_t emitGather(LoopKernel &kernel, GatherOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0);
  int64_t axis = op.getAxis(), size = data[axis], outer = elementCount(data, 0, axis);
  int64_t inner = elementCount(data, axis + 1, data.size());
  int64_t indices = elementCount(kernel.operandShape(1));
  int64_t lanes = kernel.copyLanes(0, {inner}), vectors = inner / lanes;
  return kernel.forItems(outer * indices * vectors, [&](Value item) {
    Value row = b.divIndex(item, vectors), column = b.mulIndex(b.remIndex(item, vectors), lanes);
    Value block = outer == 1 ? b.index(0) : b.divIndex(row, indices);
    Value position = outer == 1 ? row : b.remIndex(row, indices);
    Value index = kernel.loadIndex(1, position, size);
    Value from = b.mulIndex(b.addIndex(b.mulIndex(block, size), index), inner);
    kernel.storeStored(kernel.loadStored(0, b.addIndex(from, column), lanes),
                       b.mulIndex(item, lanes));
  });
}

static int64_t emitGatherElements(LoopKernel &kernel, GatherElementsOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), to = kernel.resultShape();
  SmallVector<int64_t> strides = rowMajorStrides(data);
  return kernel.forItems(elementCount(to), [&](Value item) {
    SmallVector<Value> at = b.delinearize(item, to);
    at[op.getAxis()] = kernel.loadIndex(1, item, data[op.getAxis()]);
    Value from = b.index(0);
    for (auto [coordinate, stride] : llvm::zip(at, strides)) {
      from = b.addIndex(from, b.mulIndex(coordinate, stride));
    }
    kernel.storeStored(kernel.loadStored(0, from), item);
  });
}

/// The first element of the slice of `data` that index tuple `tuple` names; `leading` dimensions
/// come before the tuple's.
static Value tupleOffset(LoopKernel &kernel, Value tuple, int64_t width, ArrayRef<int64_t> data,
                         int64_t leading) {
  cuda::CudaBuilder &b = kernel.b;
  SmallVector<int64_t> strides = rowMajorStrides(data);
  Value offset = b.index(0), first = b.mulIndex(tuple, width);
  for (int64_t i = 0; i < width; ++i) {
    Value index = kernel.loadIndex(1, b.addIndex(first, b.index(i)), data[leading + i]);
    offset = b.addIndex(offset, b.mulIndex(index, strides[leading + i]));
  }
  return offset;
}

static int64_t emitGatherNd(LoopKernel &kernel, GatherNdOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), indices = kernel.operandShape(1);
  int64_t batch = op.getBatchDims(), width = indices.back();
  int64_t tuples = elementCount(indices, 0, indices.size() - 1);
  int64_t batches = elementCount(indices, 0, batch);
  int64_t run = elementCount(data, batch + width, data.size());
  int64_t image = elementCount(data, batch, data.size());
  int64_t lanes = kernel.copyLanes(0, {run}), vectors = run / lanes;
  return kernel.forItems(tuples * vectors, [&](Value item) {
    Value tuple = b.divIndex(item, vectors);
    Value from = tupleOffset(kernel, tuple, width, data, batch);
    from = b.addIndex(from, b.mulIndex(b.divIndex(tuple, tuples / batches), image));
    from = b.addIndex(from, b.mulIndex(b.remIndex(item, vectors), lanes));
    kernel.storeStored(kernel.loadStored(0, from, lanes), b.mulIndex(item, lanes));
  });
}

/// A thread a line along the axis: first copied, then updated in order.
static int64_t emitScatterElements(LoopKernel &kernel, ScatterElementsOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), updates = kernel.operandShape(2);
  SmallVector<int64_t> strides = rowMajorStrides(data), updateStrides = rowMajorStrides(updates);
  int64_t axis = op.getAxis();
  SmallVector<int64_t> lines(data);
  lines[axis] = 1;
  return kernel.forItems(elementCount(lines), [&](Value item) {
    SmallVector<Value> at = b.delinearize(item, lines);
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
        Value place = b.addIndex(to, b.mulIndex(index, strides[axis]));
        Value old = b.loadScalar(kernel.resultElement(), kernel.resultMemory(), place);
        kernel.store(
            emitScatter(b, op.getKind(), kernel.resultElement(), old, kernel.load(2, source)),
            place);
      });
    });
  });
}

/// A thread an element of the result, which looks at all index tuples in order: several may name
/// its slice.
static int64_t emitScatterNd(LoopKernel &kernel, ScatterNdOp op) {
  cuda::CudaBuilder &b = kernel.b;
  ArrayRef<int64_t> data = kernel.operandShape(0), indices = kernel.operandShape(1);
  int64_t width = indices.back(), tuples = elementCount(indices, 0, indices.size() - 1);
  int64_t run = elementCount(data, width, data.size());
  Type element = kernel.resultElement();
  return kernel.forItems(elementCount(data), [&](Value item) {
    Value inSlice = b.remIndex(item, run);
    Value slice = b.create<arith::SubIOp>(item, inSlice);
    Value value = b.loop(
        b.index(0), b.index(tuples), 1, kernel.load(0, item), [&](Value tuple, ValueRange held) {
          Value isMine =
              b.cmpi(CmpIPredicate::eq, tupleOffset(kernel, tuple, width, data, 0), slice);
          Value update = kernel.load(2, b.addIndex(b.mulIndex(tuple, run), inSlice));
          Value next = emitScatter(b, op.getKind(), element, held[0], update);
          return SmallVector<Value>{b.select(isMine, next, held[0])};
        })[0];
    kernel.store(value, item);
  });
}

std::optional<int64_t> cuda::emitIndexingLoops(LoopKernel &kernel) {
  return llvm::TypeSwitch<Operation *, std::optional<int64_t>>(kernel.op())
      .Case([&](GatherOp op) { return emitGather(kernel, op); })
      .Case([&](GatherElementsOp op) { return emitGatherElements(kernel, op); })
      .Case([&](GatherNdOp op) { return emitGatherNd(kernel, op); })
      .Case([&](ScatterElementsOp op) { return emitScatterElements(kernel, op); })
      .Case([&](ScatterNdOp op) { return emitScatterNd(kernel, op); })
      .Default([](Operation *) { return std::nullopt; });
}
