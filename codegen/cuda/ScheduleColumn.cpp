// Column and row_column kernels. A launch over blocks of rows leaves each block's sums in its part
// of the scratch; a second one adds the blocks. Rows of a block are dealt to its groups of threads
// in turn, groups are added by halves: a tree that follows from the shape.

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/RowEmitter.h"
#include "codegen/cuda/Schedules.h"

#include "codegen/EmitElementwise.h"
#include "ir/CudaTarget.h"
#include "runtime/abi.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;
using arith::CmpIPredicate;

// Blocks from which on several threads share the sum of one column.
static constexpr int64_t kManyBlocks = 16, kFinalGroups = 8;
// Blocks whose sums a thread has in flight.
static constexpr int64_t kFinalUnroll = 4;
// Shared memory for the sums of a block's groups.
static constexpr int64_t kGroupBytes = 32 << 10;
// Threads that a multiprocessor has room for with 64 and with 128 registers each, and what of those
// rows and sums may take.
static constexpr int64_t kManyThreads = 1024, kFewRegisters = 32;
static constexpr int64_t kLightThreads = 512, kLightRegisters = 80;
// What rows and sums may take of the 255 registers of a thread.
static constexpr int64_t kMostRegisters = 176;

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

/// The type of a reduction's partial results.
static Type partialType(ReduceOp reduce) { return computeType(elementOf(reduce.getY())); }

namespace {
class ColumnSchedule {
public:
  ColumnSchedule(const KernelSpace &space, ModuleOp module, StringRef name)
      : space_(space), kernel_(space.kernel()), module_(module), name_(name),
        blocks_(makeCudaTarget()->columnBlocks(space.rows(), space.columns())),
        rowsPerBlock_(llvm::divideCeil(std::max<int64_t>(space.rows(), 1), blocks_)) {}

  FailureOr<SmallVector<KernelLaunch>> emit();

private:
  LogicalResult emitPartial(int64_t stage, bool storeResults);
  LogicalResult emitFinal(int64_t stage, bool isLast);
  LogicalResult emitRemaining(int64_t stage);
  LogicalResult emitResultsOfColumns(cuda::BodyEmitter &body, int64_t stage, Value stores);
  void storePartials(cuda::BodyEmitter &body, RowEmitter &emitter, const RowLayout &layout,
                     Value block, ArrayRef<Value> sums);
  /// Groups of threads that each hold sums, and the thread's place among them.
  struct Groups {
    int64_t count, size;
    Value group, member;
  };
  /// Adds `sums[i]`, partial results of `reduces[i]`, of all groups by halves of the groups. The
  /// first group's threads then hold the results.
  void addGroups(CudaBuilder &b, ArrayRef<ReduceOp> reduces, MutableArrayRef<Value> sums,
                 const Groups &groups);
  void addLaunch(gpu::GPUFuncOp function, int64_t blocks, int64_t threads) {
    launches_.push_back({function.getName().str(), space_.columns() == 0 ? 0 : blocks, threads});
  }
  gpu::GPUFuncOp begin(StringRef suffix, int64_t stage, int64_t threads,
                       int64_t residentBlocks = 1);
  Value viewOf(cuda::BodyEmitter &body, ReduceOp reduce);
  void useFinishedSums(cuda::BodyEmitter &body, int64_t stage);

  const KernelSpace &space_;
  KernelOp kernel_;
  ModuleOp module_;
  StringRef name_;
  int64_t blocks_, rowsPerBlock_;
  SmallVector<KernelLaunch> launches_;
};
} // namespace

gpu::GPUFuncOp ColumnSchedule::begin(StringRef suffix, int64_t stage, int64_t threads,
                                     int64_t residentBlocks) {
  std::string name = (name_ + "_" + suffix).str();
  if (stage > 0) {
    name += std::to_string(stage + 1);
  }
  return createKernelFunction(module_, name, kernel_, threads, residentBlocks);
}

Value ColumnSchedule::viewOf(cuda::BodyEmitter &body, ReduceOp reduce) {
  int64_t widest = 1, position = 0;
  for (int64_t i = 0, n = space_.columnReductions().size(); i < n; ++i) {
    ReduceOp each = space_.columnReductions()[i];
    widest = std::max(widest, elementBytes(partialType(each)));
    position = each == reduce ? i : position;
  }
  int64_t offset = position * dsc_align(blocks_ * space_.columns() * widest);
  if (offset == 0) {
    return body.scratch();
  }
  CudaBuilder &b = body.b;
  Value bytes = b.create<LLVM::ConstantOp>(b.getI64Type(), b.getI64IntegerAttr(offset));
  return b.create<LLVM::GEPOp>(body.scratch().getType(), b.getI8Type(), body.scratch(),
                               ArrayRef<LLVM::GEPArg>{bytes});
}

void ColumnSchedule::useFinishedSums(cuda::BodyEmitter &body, int64_t stage) {
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) <= stage) {
      body.useBuffer(reduce, viewOf(body, reduce), 0); // the first block's part holds the sum
    }
  }
}

void ColumnSchedule::addGroups(CudaBuilder &b, ArrayRef<ReduceOp> reduces,
                               MutableArrayRef<Value> sums, const Groups &groups) {
  if (reduces.empty()) {
    return;
  }
  // As many at a time as shared memory has room for.
  int64_t lanes = b.laneCount(), half = groups.count / 2, width = 1;
  Type widest = b.getI8Type();
  for (ReduceOp reduce : reduces) {
    Type type = storageType(partialType(reduce));
    int64_t bytes = type.getIntOrFloatBitWidth() / 8;
    widest = bytes > width ? type : widest;
    width = std::max(width, bytes);
  }
  int64_t each = half * groups.size * lanes;
  int64_t most = std::max<int64_t>(1, kGroupBytes / (each * width));
  most = std::min<int64_t>(most, reduces.size());
  Value buffer = b.sharedBuffer(widest, most * each);
  for (int64_t from = 0, count = reduces.size(); from < count; from += most) {
    int64_t to = std::min(from + most, count);
    auto placeOf = [&](int64_t i, Value group) {
      Value thread = b.addIndex(b.mulIndex(group, groups.size), groups.member);
      return b.addIndex(b.mulIndex(thread, lanes), b.index((i - from) * each));
    };
    for (int64_t below = half; below > 0; below /= 2) {
      b.barrier(); // the buffer may hold other sums
      Value isUpper =
          b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::uge, groups.group, b.index(below)),
                                  b.cmpi(CmpIPredicate::ult, groups.group, b.index(2 * below)));
      b.ifThen(isUpper, [&] {
        Value place = b.remIndex(groups.group, below);
        for (int64_t i = from; i < to; ++i) {
          ReduceOp reduce = reduces[i];
          b.storeVector(partialType(reduce), sums[i], buffer, placeOf(i, place));
        }
      });
      b.barrier();
      // Groups that have handed over their sums add too; nobody reads it.
      Value place = b.remIndex(groups.group, below);
      for (int64_t i = from; i < to; ++i) {
        ReduceOp reduce = reduces[i];
        Value other = b.loadVector(partialType(reduce), buffer, placeOf(i, place));
        sums[i] = emitCombine(b, reduce.getKind(), elementOf(reduce.getX()), sums[i], other);
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Blocks of rows
//===----------------------------------------------------------------------===//

LogicalResult ColumnSchedule::emitPartial(int64_t stage, bool storeResults) {
  RowLayout layout = layoutRows(space_);
  if (!layout.inRegisters && layout.rows > 1) {
    // The groups of a block add to sums of their own, which are theirs alone in registers only.
    if (layout.rowRegisters + layout.sumRegisters <= kMostRegisters) {
      layout.inRegisters = true;
    } else {
      layout.rows = 1;
    }
  }
  // Rows whose columns are not combined can be cut to tiles, a vector a thread.
  int64_t tiles = 1;
  bool combinesRows = false;
  for (ReduceOp reduce : space_.rowReductions()) {
    combinesRows |= space_.columnStage(reduce) <= stage;
  }
  if (!combinesRows && layout.rows == 1) {
    layout.threads = kBlockThreads;
    layout.rowRegisters /= layout.steps;
    layout.sumRegisters /= layout.steps;
    layout.steps = 1;
    layout.inRegisters = true;
    tiles = llvm::divideCeil(layout.vectors, layout.threads);
  }
  // Loads of a row are under way while the one before it is computed, where registers allow it.
  // (The assembler does that by itself where no store stands between them.)
  bool storesRows = storeResults && llvm::any_of(kernel_.getResults(), [&](Value result) {
                      return space_.access(result).variesOverRows();
                    });
  bool loadsAhead = layout.inRegisters && storesRows &&
                    2 * layout.rowRegisters + layout.sumRegisters <= kMostRegisters;
  // Left alone, the assembler takes registers for loads of all steps at once and leaves too few
  // threads to hide them.
  int64_t held = (loadsAhead ? 2 : 1) * layout.rowRegisters + layout.sumRegisters, threads = 0;
  if (layout.inRegisters && held <= kLightRegisters) {
    threads = held <= kFewRegisters ? kManyThreads : kLightThreads;
  }
  int64_t resident = std::max<int64_t>(1, threads / layout.blockThreads());
  gpu::GPUFuncOp function = begin("partial", stage, layout.blockThreads(), resident);
  cuda::BodyEmitter body(space_, function, layout.lanes);
  CudaBuilder &b = body.b;
  if (failed(body.beginKernel())) {
    return failure();
  }
  useFinishedSums(body, stage);
  ColumnSpan span = ColumnSpan::of(b, layout);
  Value block = b.blockIndex();
  if (tiles > 1) {
    span.isWhole = false;
    span.first =
        b.addIndex(b.mulIndex(b.remIndex(b.blockIndex(), tiles), layout.threads), span.first);
    block = b.divIndex(b.blockIndex(), tiles);
  }
  RowEmitter emitter(body, layout, span, stage, storeResults);

  SmallVector<Value> views;
  for (ReduceOp reduce : emitter.partials()) {
    views.push_back(viewOf(body, reduce));
  }
  Value part = b.mulIndex(block, space_.columns());
  auto addInMemory = [&](unsigned i, Value term) {
    ReduceOp reduce = emitter.partials()[i];
    Value place = b.addIndex(part, body.column());
    Value sum = b.loadVector(partialType(reduce), views[i], place);
    sum = emitCombine(b, reduce.getKind(), elementOf(reduce.getX()), sum, term);
    b.storeVector(partialType(reduce), sum, views[i], place);
  };
  if (!layout.inRegisters) {
    emitter.addInMemory(addInMemory);
    b.loop(span.first, b.index(layout.vectors), span.stride, [&](Value vector) {
      Value place = b.addIndex(part, b.mulIndex(vector, layout.lanes));
      for (auto [i, each] : llvm::enumerate(emitter.partials())) {
        ReduceOp reduce = each;
        Type type = partialType(reduce);
        Value neutral =
            neutralElement(b, reduce.getKind(), elementOf(reduce.getX()), b.vectorOf(type));
        b.storeVector(type, neutral, views[i], place);
      }
    });
  }

  bool failed = false;
  Value group = layout.rows == 1 ? b.index(0) : b.divIndex(b.threadIndex(), layout.threads);
  Value firstOfBlock = b.mulIndex(block, rowsPerBlock_), first = b.addIndex(firstOfBlock, group);
  Value end = b.index(rowsPerBlock_); // of the block's rows, from its first one
  if (blocks_ * rowsPerBlock_ != space_.rows()) {
    Value rows = b.index(space_.rows());
    Value left = b.create<arith::SubIOp>(rows, b.create<arith::MinUIOp>(firstOfBlock, rows));
    end = b.create<arith::MinUIOp>(left, end);
  }
  // Whole warps have as many turns as they have rows; where several rows share a warp, all take
  // part to the end, on the last row.
  bool allTakePart = layout.threads < kWarp &&
                     (rowsPerBlock_ % layout.rows != 0 || blocks_ * rowsPerBlock_ != space_.rows());
  Value turns = allTakePart || layout.rows == 1
                    ? end
                    : b.create<arith::SubIOp>(end, b.create<arith::MinUIOp>(group, end));
  SmallVector<Value> start = emitter.startSums();
  size_t sumCount = start.size();
  auto existing = [&](Value row) -> Value {
    return b.create<arith::MinUIOp>(row, b.index(space_.rows() - 1));
  };
  if (loadsAhead) {
    start.append(emitter.loadRow(existing(first)));
    emitter.forgetRow();
  }
  SmallVector<Value> sums =
      b.loop(b.index(0), turns, layout.rows, start, [&](Value i, ValueRange now) {
        SmallVector<Value> next(now.take_front(sumCount)), ahead;
        Value row = b.addIndex(first, i), valid;
        if (loadsAhead) {
          // Behind the last row once more that one, which is near.
          Value further = b.addIndex(i, b.index(layout.rows));
          Value isThere = b.cmpi(CmpIPredicate::ult, further, turns);
          Value after = b.addIndex(first, b.select(isThere, further, i));
          ahead = emitter.loadRow(allTakePart ? existing(after) : after);
          emitter.startFrom(SmallVector<Value>(now.drop_front(sumCount)));
        }
        if (allTakePart) {
          valid = b.cmpi(CmpIPredicate::ult, b.addIndex(group, i), end);
          row = existing(row);
        }
        if (layout.threads > kWarp) { // a row a turn
          emitter.setTurn(b.create<arith::AndIOp>(i, b.index(1)));
        }
        failed |= mlir::failed(emitter.emitRow(row, valid, next));
        next.append(ahead);
        return next;
      });
  sums.truncate(sumCount);
  if (failed) {
    return failure();
  }
  if (layout.inRegisters) {
    storePartials(body, emitter, layout, part, sums);
  }
  addLaunch(function, blocks_ * tiles, layout.blockThreads());
  return success();
}

void ColumnSchedule::storePartials(cuda::BodyEmitter &body, RowEmitter &emitter,
                                   const RowLayout &layout, Value part, ArrayRef<Value> sums) {
  CudaBuilder &b = body.b;
  int64_t steps = emitter.partials().empty() ? 0 : sums.size() / emitter.partials().size();
  SmallVector<Value> added(sums);
  Value isFirst;
  if (layout.rows > 1) {
    Groups groups{layout.rows, layout.threads, b.divIndex(b.threadIndex(), layout.threads),
                  b.remIndex(b.threadIndex(), layout.threads)};
    SmallVector<ReduceOp> reduces;
    for (ReduceOp reduce : emitter.partials()) {
      reduces.append(steps, reduce);
    }
    addGroups(b, reduces, added, groups);
    isFirst = b.cmpi(CmpIPredicate::eq, groups.group, b.index(0));
  }
  emitter.forgetRow();
  for (auto [i, each] : llvm::enumerate(emitter.partials())) {
    ReduceOp reduce = each;
    Value view = viewOf(body, reduce);
    for (int64_t step = 0; step < steps; ++step) {
      Value sum = added[i * steps + step], inside = emitter.useStep(step);
      Value place = b.addIndex(part, body.column());
      Value stores = !isFirst  ? inside
                     : !inside ? isFirst
                               : b.create<arith::AndIOp>(isFirst, inside).getResult();
      auto store = [&] { b.storeVector(partialType(reduce), sum, view, place); };
      if (stores) {
        b.ifThen(stores, store);
      } else {
        store();
      }
    }
  }
}

//===----------------------------------------------------------------------===//
// Sums of blocks
//===----------------------------------------------------------------------===//

LogicalResult ColumnSchedule::emitFinal(int64_t stage, bool isLast) {
  int64_t columns = space_.columns(), groups = blocks_ >= kManyBlocks ? kFinalGroups : 1;
  int64_t perBlock = kBlockThreads / groups;
  gpu::GPUFuncOp function = begin("final", stage, kBlockThreads);
  cuda::BodyEmitter body(space_, function, /*lanes=*/1);
  CudaBuilder &b = body.b;
  if (failed(body.beginKernel())) {
    return failure();
  }
  useFinishedSums(body, stage);
  if (failed(body.beginRow(b.index(0)))) {
    return failure();
  }
  Value member = b.remIndex(b.threadIndex(), perBlock);
  Value group = groups == 1 ? b.index(0) : b.divIndex(b.threadIndex(), perBlock);
  if (groups == 1) {
    member = b.threadIndex();
  }
  Value column = b.addIndex(b.mulIndex(b.blockIndex(), perBlock), member);
  Value stores = b.create<arith::AndIOp>(b.cmpi(CmpIPredicate::ult, column, b.index(columns)),
                                         b.cmpi(CmpIPredicate::eq, group, b.index(0)));
  column = b.create<arith::MinUIOp>(column, b.index(columns - 1));
  body.useVector(0, column, body.space().columns());
  SmallVector<ReduceOp> reduces;
  SmallVector<Value> views, sums;
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) == stage + 1) {
      Type type = partialType(reduce);
      reduces.push_back(reduce);
      views.push_back(viewOf(body, reduce));
      sums.push_back(
          neutralElement(b, reduce.getKind(), elementOf(reduce.getX()), b.vectorOf(type)));
    }
  }
  // The blocks of a thread in order, several of them in flight.
  int64_t round = groups * kFinalUnroll;
  SmallVector<Value> neutral = sums;
  sums = b.loop(b.index(0), b.index(blocks_), round, neutral, [&](Value first, ValueRange now) {
    SmallVector<Value> next(now), terms;
    for (int64_t k = 0; k < kFinalUnroll; ++k) {
      Value block = b.addIndex(b.addIndex(first, b.index(k * groups)), group), isThere;
      if (blocks_ % round != 0) {
        isThere = b.cmpi(CmpIPredicate::ult, block, b.index(blocks_));
        block = b.create<arith::MinUIOp>(block, b.index(blocks_ - 1));
      }
      Value place = b.addIndex(b.mulIndex(block, columns), column);
      for (auto [i, each] : llvm::enumerate(reduces)) {
        ReduceOp reduce = each;
        Value term = b.loadVector(partialType(reduce), views[i], place);
        terms.push_back(isThere ? b.select(isThere, term, neutral[i]) : term);
      }
    }
    for (auto [i, term] : llvm::enumerate(terms)) {
      ReduceOp reduce = reduces[i % reduces.size()];
      Value &sum = next[i % reduces.size()];
      sum = emitCombine(b, reduce.getKind(), elementOf(reduce.getX()), sum, term);
    }
    return next;
  });
  if (groups > 1) {
    addGroups(b, reduces, sums, {groups, perBlock, group, member});
  }
  SmallVector<std::pair<ReduceOp, Value>> finished;
  for (auto [each, sum] : llvm::zip_equal(reduces, sums)) {
    ReduceOp reduce = each;
    Value rounded = b.roundTo(elementOf(reduce.getX()), sum);
    body.setElementValue(reduce, rounded);
    finished.push_back({reduce, rounded});
  }
  if (!isLast) {
    b.ifThen(stores, [&] {
      for (auto [reduce, sum] : finished) {
        b.storeVector(partialType(reduce), sum, viewOf(body, reduce), column);
      }
    });
  }
  if (failed(emitResultsOfColumns(body, stage, stores))) {
    return failure();
  }
  addLaunch(function, llvm::divideCeil(columns, perBlock), kBlockThreads);
  return success();
}

/// Results that are known once the sums of `stage` are.
LogicalResult ColumnSchedule::emitResultsOfColumns(cuda::BodyEmitter &body, int64_t stage,
                                                   Value stores) {
  CudaBuilder &b = body.b;
  SmallVector<std::pair<unsigned, Value>> results;
  for (auto [i, yielded] :
       llvm::enumerate(kernel_.getBody().front().getTerminator()->getOperands())) {
    if (space_.isColumnResult(i) && space_.columnStage(yielded) == stage + 1) {
      FailureOr<Value> value = body.get(yielded);
      if (failed(value)) {
        return failure();
      }
      results.push_back({static_cast<unsigned>(i), *value});
    }
  }
  b.ifThen(stores, [&] {
    for (auto [i, value] : results) {
      if (space_.isFullResult(i)) {
        body.storeResult(i, value);
        continue;
      }
      unsigned result = i; // one element for all rows and columns
      Value single = value;
      b.ifThen(b.cmpi(CmpIPredicate::eq, body.column(), b.index(0)),
               [&] { body.storeRowResult(result, single); });
    }
  });
  return success();
}

/// Results over the rows that need the last sums: one more launch over the rows.
LogicalResult ColumnSchedule::emitRemaining(int64_t stage) {
  RowLayout layout = layoutRows(space_);
  gpu::GPUFuncOp function = begin("rows", 0, layout.blockThreads());
  cuda::BodyEmitter body(space_, function, layout.lanes);
  if (failed(body.beginKernel())) {
    return failure();
  }
  useFinishedSums(body, stage);
  if (failed(emitBlockRows(body, layout, stage))) {
    return failure();
  }
  addLaunch(function, llvm::divideCeil(space_.rows(), layout.rows), layout.blockThreads());
  return success();
}

FailureOr<SmallVector<KernelLaunch>> ColumnSchedule::emit() {
  int64_t stages = space_.columnStages(), last = 0;
  for (auto [i, yielded] :
       llvm::enumerate(kernel_.getBody().front().getTerminator()->getOperands())) {
    last = std::max(last, space_.isColumnResult(i) ? 0 : space_.columnStage(yielded));
  }
  int64_t widest = 1, reductions = space_.columnReductions().size();
  for (ReduceOp reduce : space_.columnReductions()) {
    widest = std::max(widest, elementBytes(partialType(reduce)));
  }
  int64_t needed =
      makeCudaTarget()->columnScratchBytes(space_.rows(), space_.columns(), reductions, widest);
  if (static_cast<int64_t>(kernel_.getScratch()) < needed) {
    return kernel_.emitOpError("has ")
           << kernel_.getScratch() << " bytes of scratch, its column sums need " << needed;
  }
  for (int64_t stage = 0; stage < stages; ++stage) {
    bool isLast = stage + 1 == stages && last < stages;
    if (failed(emitPartial(stage, /*storeResults=*/isLast)) || failed(emitFinal(stage, isLast))) {
      return failure();
    }
  }
  if ((last == stages || stages == 0) && failed(emitRemaining(stages))) {
    return failure();
  }
  return launches_;
}

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleColumn(const KernelSpace &space, ModuleOp module,
                                                          StringRef name) {
  return ColumnSchedule(space, module, name).emit();
}
