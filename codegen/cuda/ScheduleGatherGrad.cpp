// The gradient of gather (of an embedding): sums over the positions that name a row of the table,
// in the order of positions. A first launch sorts positions by the row they name: a warp of threads
// counts those that come before its own. A second one gives each block a few rows of the table.

#include "codegen/EmitElementwise.h"
#include "codegen/cuda/EmitLoops.h"
#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Schedules.h"
#include "ir/CudaTarget.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;
using arith::CmpIPredicate;

// Rows of the table that a block sums one after the other, fewer than a warp has threads.
static constexpr int64_t kBlockRows = 8;
// Positions that a block compares its own with at a time.
static constexpr int64_t kTileKeys = 2048;
// Positions that a thread has in flight.
static constexpr int64_t kUnroll = 16;

namespace {
class GatherGradSchedule {
public:
  GatherGradSchedule(KernelOp kernel, GatherGradOp op, ModuleOp module, StringRef name)
      : kernel_(kernel), op_(op), module_(module), name_(name) {
    auto table = cast<RankedTensorType>(op.getDdata().getType()).getShape();
    size_ = table[op.getAxis()];
    outer_ = elementCount(table, 0, op.getAxis());
    inner_ = elementCount(table, op.getAxis() + 1, table.size());
    indices_ = cast<RankedTensorType>(op.getIndices().getType()).getNumElements();
  }

  SmallVector<KernelLaunch> emit() {
    // Scratch: the sorted positions, then the rows that they name.
    return {emitSort(), emitSums()};
  }

private:
  KernelLaunch emitSort();
  KernelLaunch emitSums();
  gpu::GPUFuncOp begin(StringRef suffix, int64_t threads) {
    return createKernelFunction(module_, (name_ + suffix).str(), kernel_, threads);
  }
  Value scratchOf(gpu::GPUFuncOp function) {
    return function.getArgument(kernel_.getInputs().size() + kernel_.getNumResults());
  }

  KernelOp kernel_;
  GatherGradOp op_;
  ModuleOp module_;
  StringRef name_;
  int64_t size_, outer_, inner_, indices_;
};
} // namespace

// A warp's threads have a position each; the warps of a block share the work of counting those
// before them. What is compared is row * positions + position, which no two positions share.
KernelLaunch GatherGradSchedule::emitSort() {
  gpu::GPUFuncOp function = begin("_sort", kBlockThreads);
  LoopKernel kernel(kernel_, function, kBlockThreads);
  CudaBuilder &b = kernel.b;
  constexpr int64_t warps = kBlockThreads / kWarp, keysOfWarp = kTileKeys / warps, lanes = 4;
  Type i32 = b.getI32Type();
  bool isNarrow = size_ < (1ll << 32) / indices_;
  Type keyType = isNarrow ? i32 : b.getI64Type();
  Value scratch = scratchOf(function);
  auto rowAt = [&](Value position) { return kernel.loadIndex(1, position, size_); };
  auto keyAt = [&](Value position, Value row) {
    Value wideRow = b.create<arith::IndexCastUIOp>(keyType, row);
    Value wide = b.create<arith::IndexCastUIOp>(keyType, position);
    return b.add(b.mul(wideRow, b.constantInt(keyType, indices_)), wide);
  };
  Value last = b.index(indices_ - 1);
  Value lane = b.remIndex(b.threadIndex(), kWarp), warp = b.divIndex(b.threadIndex(), kWarp);
  Value mine = b.addIndex(b.mulIndex(b.blockIndex(), kWarp), lane);
  Value position = b.create<arith::MinUIOp>(mine, last), row = rowAt(position);
  Value key = keyAt(position, row);
  Value tile = b.sharedBuffer(keyType, kTileKeys), counts = b.sharedBuffer(i32, kBlockThreads);
  int64_t tiles = llvm::divideCeil(indices_, kTileKeys);
  Value rank = b.loop(
      b.index(0), b.index(tiles), 1, b.constantInt(i32, 0), [&](Value number, ValueRange rank) {
        Value first = b.addIndex(b.mulIndex(number, kTileKeys), b.threadIndex());
        SmallVector<Value> keys;
        for (int64_t i = 0; i < kTileKeys; i += kBlockThreads) {
          // Behind the end: a row that comes after all others.
          Value at = b.addIndex(first, b.index(i)), inside = b.create<arith::MinUIOp>(at, last);
          keys.push_back(b.select(b.cmpi(CmpIPredicate::ule, at, last),
                                  keyAt(inside, rowAt(inside)),
                                  b.constantInt(keyType, size_ * indices_)));
        }
        b.barrier();
        for (auto [i, each] : llvm::enumerate(keys)) {
          b.storeStored(each, tile, b.addIndex(b.threadIndex(), b.index(i * kBlockThreads)));
        }
        b.barrier();
        Value begin = b.mulIndex(warp, keysOfWarp);
        Value counted =
            b.loop(b.index(0), b.index(keysOfWarp), lanes, rank[0], [&](Value i, ValueRange sum) {
              Value others =
                  b.loadStored(VectorType::get({lanes}, keyType), tile, b.addIndex(begin, i));
              Value next = sum[0];
              for (int64_t k = 0; k < lanes; ++k) {
                Value isBefore = b.cmpi(CmpIPredicate::ult, b.extractLane(others, k), key);
                next = b.add(next, b.create<arith::ExtUIOp>(i32, isBefore));
              }
              return SmallVector<Value>{next};
            })[0];
        return SmallVector<Value>{counted};
      })[0];
  b.storeStored(rank, counts, b.threadIndex());
  b.barrier();
  Value stores = b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::eq, warp, b.index(0)),
                                         b.cmpi(CmpIPredicate::ule, mine, last));
  b.ifThen(stores, [&] {
    Value sum = rank;
    for (int64_t i = 1; i < warps; ++i) {
      sum = b.add(sum, b.loadStored(i32, counts, b.addIndex(lane, b.index(i * kWarp))));
    }
    Value place = b.create<arith::IndexCastUIOp>(b.getIndexType(), sum);
    b.storeStored(b.create<arith::IndexCastUIOp>(i32, position), scratch, place);
    b.storeStored(b.create<arith::IndexCastUIOp>(i32, row), scratch,
                  b.addIndex(place, b.index(indices_)));
  });
  return {function.getName().str(), static_cast<int64_t>(llvm::divideCeil(indices_, kWarp)),
          kBlockThreads};
}

KernelLaunch GatherGradSchedule::emitSums() {
  int64_t lanes = 8;
  while (inner_ % lanes != 0) {
    lanes /= 2;
  }
  int64_t vectors = inner_ / lanes;
  int64_t threads = std::min<int64_t>(kBlockThreads, llvm::alignTo(vectors, kWarp));
  int64_t tiles = llvm::divideCeil(vectors, threads);
  int64_t ranges = llvm::divideCeil(size_, kBlockRows);
  gpu::GPUFuncOp function = begin("_sum", threads);
  LoopKernel kernel(kernel_, function, threads);
  CudaBuilder &b = kernel.b;
  b.setLaneCount(lanes);
  Type i32 = b.getI32Type(), element = kernel.resultElement(), type = computeType(element);
  Value scratch = scratchOf(function);
  SmallVector<Value> at = b.delinearize(b.blockIndex(), {outer_, ranges, tiles});
  Value vector = b.addIndex(b.mulIndex(at[2], threads), b.threadIndex());
  Value inside = b.cmpi(CmpIPredicate::ult, vector, b.index(vectors));
  Value column = b.mulIndex(b.create<arith::MinUIOp>(vector, b.index(vectors - 1)), lanes);
  Value firstRow = b.mulIndex(at[1], kBlockRows);

  // The first sorted place whose row is `row` or later.
  auto lowerBound = [&](Value row) {
    Value wanted = b.create<arith::IndexCastOp>(i32, row);
    int64_t rounds = llvm::Log2_64_Ceil(indices_ + 1);
    return b.loop(
        b.index(0), b.index(rounds), 1, {b.index(0), b.index(indices_)},
        [&](Value, ValueRange range) {
          Value middle = b.divIndex(b.addIndex(range[0], range[1]), 2);
          Value open = b.cmpi(CmpIPredicate::ult, range[0], range[1]);
          Value place = b.create<arith::MinUIOp>(middle, b.index(indices_ - 1));
          Value held = b.loadStored(i32, scratch, b.addIndex(place, b.index(indices_)));
          Value goUp = b.create<arith::AndIOp>(open, b.cmpi(CmpIPredicate::slt, held, wanted));
          Value goDown = b.create<arith::AndIOp>(open, b.cmpi(CmpIPredicate::sge, held, wanted));
          return SmallVector<Value>{b.select(goUp, b.addIndex(middle, b.index(1)), range[0]),
                                    b.select(goDown, middle, range[1])};
        })[0];
  };
  Value zero = b.constant(b.vectorOf(type), 0);
  Value gradients = kernel.operandMemory(0);
  // Each thread of a warp searches for another row's begin; a search is a chain of loads.
  Value lane = b.remIndex(b.threadIndex(), kWarp);
  Value found = lowerBound(b.addIndex(firstRow, lane));
  b.loop(b.index(0), b.index(kBlockRows), 1, b.shuffleFrom(found, b.index(0)),
         [&](Value i, ValueRange carried) {
           Value row = b.addIndex(firstRow, i), begin = carried[0];
           Value end = b.shuffleFrom(found, b.addIndex(i, b.index(1)));
           Value sum = b.loop(begin, end, kUnroll, zero, [&](Value from, ValueRange sum) {
             SmallVector<Value> terms;
             for (int64_t k = 0; k < kUnroll; ++k) {
               Value place = b.addIndex(from, b.index(k));
               Value counts = b.cmpi(CmpIPredicate::ult, place, end);
               place = b.create<arith::MinUIOp>(place, b.index(indices_ - 1));
               Value position = b.create<arith::IndexCastUIOp>(b.getIndexType(),
                                                               b.loadStored(i32, scratch, place));
               Value source = b.mulIndex(b.addIndex(b.mulIndex(at[0], indices_), position), inner_);
               Value term = b.loadVector(element, gradients, b.addIndex(source, column));
               terms.push_back(b.select(counts, term, zero));
             }
             Value next = sum[0];
             for (Value term : terms) {
               next = b.add(next, term);
             }
             return SmallVector<Value>{next};
           })[0];
           Value stores =
               b.create<arith::AndIOp>(inside, b.cmpi(CmpIPredicate::ult, row, b.index(size_)));
           b.ifThen(stores, [&] {
             Value to = b.mulIndex(b.addIndex(b.mulIndex(at[0], size_), row), inner_);
             b.storeVector(element, sum, kernel.resultMemory(), b.addIndex(to, column));
           });
           return SmallVector<Value>{end};
         });
  return {function.getName().str(), outer_ * ranges * tiles, threads};
}

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleGatherGrad(KernelOp kernel, GatherGradOp op,
                                                              ModuleOp module, StringRef name) {
  int64_t needed = makeCudaTarget()->loopsScratchBytes(op);
  if (static_cast<int64_t>(kernel.getScratch()) < needed) {
    return kernel.emitOpError("has ")
           << kernel.getScratch() << " bytes of scratch, sorting its indices needs " << needed;
  }
  return GatherGradSchedule(kernel, op, module, name).emit();
}
