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
// Threads that a multiprocessor has room for with 128 registers each, and what of those rows and
// sums may take.
static constexpr int64_t kLightThreads = 512, kLightRegisters = 80;

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
  /// Adds `value`, of each of `groups` groups of `size` threads, by halves of the groups. The first
  /// group's threads then hold the result.
  Value addGroups(CudaBuilder &b, ReduceOp reduce, Value value, Value group, Value member,
                  int64_t groups, int64_t size, Value buffer);
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

Value ColumnSchedule::addGroups(CudaBuilder &b, ReduceOp reduce, Value value, Value group,
                                Value member, int64_t groups, int64_t size, Value buffer) {
  Type type = partialType(reduce), element = elementOf(reduce.getX());
  int64_t lanes = b.laneCount();
  auto placeOf = [&](Value of) {
    return b.mulIndex(b.addIndex(b.mulIndex(of, size), member), lanes);
  };
  b.barrier(); // the buffer may hold another sum
  b.storeVector(type, value, buffer, placeOf(group));
  for (int64_t half = groups / 2; half > 0; half /= 2) {
    b.barrier();
    b.ifThen(b.cmpi(CmpIPredicate::ult, group, b.index(half)), [&] {
      Value mine = b.loadVector(type, buffer, placeOf(group));
      Value other = b.loadVector(type, buffer, placeOf(b.addIndex(group, b.index(half))));
      b.storeVector(type, emitCombine(b, reduce.getKind(), element, mine, other), buffer,
                    placeOf(group));
    });
  }
  return b.loadVector(type, buffer, placeOf(group));
}

//===----------------------------------------------------------------------===//
// Blocks of rows
//===----------------------------------------------------------------------===//

LogicalResult ColumnSchedule::emitPartial(int64_t stage, bool storeResults) {
  RowLayout layout = layoutRows(space_);
  // Rows whose columns are not combined can be cut to tiles, a vector a thread.
  int64_t tiles = 1;
  bool combinesRows = false;
  for (ReduceOp reduce : space_.rowReductions()) {
    combinesRows |= space_.columnStage(reduce) <= stage;
  }
  if (!combinesRows && layout.rows == 1) {
    layout.threads = kBlockThreads;
    layout.steps = 1;
    layout.inRegisters = true;
    tiles = llvm::divideCeil(layout.vectors, layout.threads);
  }
  // Left alone, the assembler takes registers for loads of all steps at once and leaves too few
  // threads to hide them.
  bool isLight = layout.inRegisters && layout.rowRegisters + layout.sumRegisters <= kLightRegisters;
  int64_t resident = isLight ? std::max<int64_t>(1, kLightThreads / layout.blockThreads()) : 1;
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
  Value first = b.addIndex(b.mulIndex(block, rowsPerBlock_), group);
  bool allValid = rowsPerBlock_ % layout.rows == 0 && blocks_ * rowsPerBlock_ == space_.rows();
  SmallVector<Value> sums =
      b.loop(b.index(0), b.index(rowsPerBlock_), layout.rows, emitter.startSums(),
             [&](Value i, ValueRange now) {
               SmallVector<Value> next(now);
               Value row = b.addIndex(first, i), valid;
               if (!allValid) {
                 valid = b.create<arith::AndIOp>(
                     b.cmpi(CmpIPredicate::ult, row, b.index(space_.rows())),
                     b.cmpi(CmpIPredicate::ult, b.addIndex(group, i), b.index(rowsPerBlock_)));
                 row = b.create<arith::MinUIOp>(row, b.index(space_.rows() - 1));
               }
               failed |= mlir::failed(emitter.emitRow(row, valid, next));
               if (emitter.hasRowReductions() && layout.threads > kWarp) {
                 b.barrier(); // the next row uses the same shared memory
               }
               return next;
             });
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
  Value group, member, buffer, isFirst;
  if (layout.rows > 1) {
    group = b.divIndex(b.threadIndex(), layout.threads);
    member = b.remIndex(b.threadIndex(), layout.threads);
    isFirst = b.cmpi(CmpIPredicate::eq, group, b.index(0));
    // Of the widest type; one sum after the other goes through it.
    Type widest = b.getI8Type();
    for (ReduceOp reduce : emitter.partials()) {
      Type type = storageType(partialType(reduce));
      widest = type.getIntOrFloatBitWidth() > widest.getIntOrFloatBitWidth() ? type : widest;
    }
    buffer = b.sharedBuffer(widest, kBlockThreads * layout.lanes);
  }
  emitter.forgetRow();
  int64_t steps = emitter.partials().empty() ? 0 : sums.size() / emitter.partials().size();
  for (auto [i, each] : llvm::enumerate(emitter.partials())) {
    ReduceOp reduce = each;
    Value view = viewOf(body, reduce);
    for (int64_t step = 0; step < steps; ++step) {
      Value sum = sums[i * steps + step];
      if (layout.rows > 1) {
        sum = addGroups(b, reduce, sum, group, member, layout.rows, layout.threads, buffer);
      }
      Value inside = emitter.useStep(step);
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
  body.useVector(0, column);
  SmallVector<std::pair<ReduceOp, Value>> finished;
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) != stage + 1) {
      continue;
    }
    Type element = elementOf(reduce.getX()), type = partialType(reduce);
    Value view = viewOf(body, reduce);
    Value start = neutralElement(b, reduce.getKind(), element, b.vectorOf(type));
    Value sum = b.loop(group, b.index(blocks_), groups, start, [&](Value block, ValueRange sum) {
      Value place = b.addIndex(b.mulIndex(block, columns), column);
      return SmallVector<Value>{
          emitCombine(b, reduce.getKind(), element, sum.front(), b.loadVector(type, view, place))};
    })[0];
    if (groups > 1) {
      Value buffer = b.sharedBuffer(type, kBlockThreads);
      sum = addGroups(b, reduce, sum, group, member, groups, perBlock, buffer);
    }
    sum = b.roundTo(element, sum);
    body.setElementValue(reduce, sum);
    finished.push_back({reduce, sum});
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
