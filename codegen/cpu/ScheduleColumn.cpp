// Column and row_column kernels. A launch over blocks of rows adds each block's terms into its part
// of the scratch, row by row; a second one adds the blocks, in order. Which block a row is in, and
// with it every bit, depends on the shape.

#include "codegen/EmitElementwise.h"
#include "codegen/cpu/RowPasses.h"
#include "codegen/cpu/Schedules.h"

#include "ir/CpuTarget.h"
#include "runtime/abi.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;

// Columns that one unit of a launch without row reductions covers, where there are many; multiples
// of DSC_LANES.
static constexpr int64_t kPartialColumns = 2048, kFinalColumns = 256;

namespace {
class ColumnSchedule {
public:
  ColumnSchedule(const KernelSpace &space, ModuleOp module, StringRef name)
      : space_(space), kernel_(space.kernel()), module_(module), name_(name),
        blocks_(makeCpuTarget()->columnBlocks(space.rows(), space.columns())),
        rowsPerBlock_(llvm::divideCeil(std::max<int64_t>(space.rows(), 1), blocks_)) {}

  FailureOr<SmallVector<KernelLaunch>> emit();

private:
  LogicalResult emitPartial(int64_t stage, bool storeResults);
  LogicalResult emitFinal(int64_t stage, bool isLast);
  LogicalResult emitRemaining(int64_t stage);
  /// The scratch of the reductions that are finished by launches of `stage`, as memory of their
  /// element types.
  SmallVector<PartialSums> partialsOf(BodyEmitter &body, int64_t stage);
  /// Makes sums of finished stages readable as buffers.
  void useFinishedSums(BodyEmitter &body, int64_t stage);
  func::FuncOp begin(StringRef suffix, int64_t stage);
  Value viewOf(BodyEmitter &body, ReduceOp reduce);
  void addLaunch(func::FuncOp function, int64_t units, int64_t bytes) {
    launches_.push_back({function.getSymName().str(), units, launchGrain(kernel_, bytes)});
  }

  const KernelSpace &space_;
  KernelOp kernel_;
  ModuleOp module_;
  StringRef name_;
  int64_t blocks_, rowsPerBlock_;
  SmallVector<KernelLaunch> launches_;
};
} // namespace

static Type elementOf(Value tensor) { return getElementTypeOrSelf(tensor.getType()); }

func::FuncOp ColumnSchedule::begin(StringRef suffix, int64_t stage) {
  std::string name = (name_ + "_" + suffix).str();
  if (stage > 0) {
    name += std::to_string(stage + 1);
  }
  return createKernelFunction(module_, name, kernel_);
}

Value ColumnSchedule::viewOf(BodyEmitter &body, ReduceOp reduce) {
  VectorBuilder &b = body.b;
  int64_t widest = 1, position = 0;
  for (int64_t i = 0, n = space_.columnReductions().size(); i < n; ++i) {
    ReduceOp each = space_.columnReductions()[i];
    widest = std::max(widest, elementBytes(computeType(elementOf(each.getY()))));
    position = each == reduce ? i : position;
  }
  int64_t elements = blocks_ * space_.columns();
  auto type = MemRefType::get({elements}, memoryType(computeType(elementOf(reduce.getY()))));
  return b.create<memref::ViewOp>(type, body.scratch(),
                                  b.index(position * dsc_align(elements * widest)), ValueRange());
}

SmallVector<PartialSums> ColumnSchedule::partialsOf(BodyEmitter &body, int64_t stage) {
  SmallVector<PartialSums> partials;
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) == stage + 1) {
      partials.push_back({reduce, viewOf(body, reduce), body.b.index(0)});
    }
  }
  return partials;
}

void ColumnSchedule::useFinishedSums(BodyEmitter &body, int64_t stage) {
  for (ReduceOp reduce : space_.columnReductions()) {
    if (space_.columnStage(reduce) <= stage) {
      body.useBuffer(reduce, viewOf(body, reduce)); // the first block's part holds the sum
    }
  }
}

LogicalResult ColumnSchedule::emitPartial(int64_t stage, bool storeResults) {
  BodyEmitter body(space_, begin("partial", stage));
  VectorBuilder &b = body.b;
  bool failed = mlir::failed(body.beginKernel());
  useFinishedSums(body, stage);
  SmallVector<PartialSums> partials = partialsOf(body, stage);
  RowPasses passes(body, stage, storeResults);
  int64_t columns = space_.columns(), full = columns / DSC_LANES * DSC_LANES;
  int64_t tiles = passes.hasRowReductions()
                      ? 1
                      : std::max<int64_t>(1, llvm::divideCeil(columns, kPartialColumns));

  b.loop(body.begin(), body.end(), 1, [&](Value unit) {
    Value block = b.divIndex(unit, tiles);
    ColumnRange range = body.allColumns();
    if (tiles > 1) {
      Value tile = b.remIndex(unit, tiles);
      range.lower = b.mulIndex(tile, kPartialColumns);
      range.fullUpper =
          b.minIndex(b.addIndex(range.lower, b.index(kPartialColumns)), b.index(full));
      range.tailCondition = b.cmpi(arith::CmpIPredicate::eq, tile, b.index(tiles - 1));
    }
    SmallVector<PartialSums> mine = partials;
    for (PartialSums &partial : mine) {
      partial.offset = b.mulIndex(block, columns);
    }
    failed |=
        mlir::failed(body.forColumns(range, {}, [&](ValueRange) -> FailureOr<SmallVector<Value>> {
          for (PartialSums partial : mine) {
            Type element = elementOf(partial.reduce.getX()), stored = computeType(element);
            Value neutral =
                neutralElement(b, partial.reduce.getKind(), element, b.vectorOf(stored));
            b.storeVector(stored, neutral, partial.memory,
                          b.addIndex(partial.offset, body.column()), body.mask());
          }
          return SmallVector<Value>();
        }));
    Value first = b.mulIndex(block, rowsPerBlock_);
    Value last = b.minIndex(b.addIndex(first, b.index(rowsPerBlock_)), b.index(space_.rows()));
    b.loop(first, last, 1,
           [&](Value row) { failed = failed || mlir::failed(passes.emitRow(row, range, mine)); });
  });
  if (failed) {
    return failure();
  }
  int64_t units = columns == 0 ? 0 : blocks_ * tiles;
  addLaunch(body.b.getInsertionBlock()->getParent()->getParentOfType<func::FuncOp>(), units,
            bytesPerElement(space_) * rowsPerBlock_ * std::min(columns, kPartialColumns));
  return success();
}

LogicalResult ColumnSchedule::emitFinal(int64_t stage, bool isLast) {
  BodyEmitter body(space_, begin("final", stage));
  VectorBuilder &b = body.b;
  bool failed = mlir::failed(body.beginKernel());
  useFinishedSums(body, stage);
  SmallVector<PartialSums> partials = partialsOf(body, stage);
  int64_t columns = space_.columns(), full = columns / DSC_LANES * DSC_LANES;
  int64_t tiles = std::max<int64_t>(1, llvm::divideCeil(columns, kFinalColumns));
  failed |= mlir::failed(body.beginRow(b.index(0)));

  auto emitColumns = [&](ValueRange) -> FailureOr<SmallVector<Value>> {
    for (PartialSums partial : partials) {
      Type element = elementOf(partial.reduce.getX()), stored = computeType(element);
      Value first = b.loadVector(stored, partial.memory, body.column(), body.mask());
      SmallVector<Value> sum =
          b.loop(b.index(1), b.index(blocks_), 1, first, [&](Value block, ValueRange sum) {
            Value place = b.addIndex(b.mulIndex(block, columns), body.column());
            Value term = b.loadVector(stored, partial.memory, place, body.mask());
            return SmallVector<Value>{
                emitCombine(b, partial.reduce.getKind(), element, sum.front(), term)};
          });
      body.setElementValue(partial.reduce, b.roundTo(element, sum.front()));
      if (!isLast) {
        b.storeVector(stored, b.roundTo(element, sum.front()), partial.memory, body.column(),
                      body.mask());
      }
    }
    for (auto [i, yielded] :
         llvm::enumerate(kernel_.getBody().front().getTerminator()->getOperands())) {
      if (!space_.isColumnResult(i) || space_.columnStage(yielded) != stage + 1) {
        continue;
      }
      FailureOr<Value> value = body.get(yielded);
      if (mlir::failed(value)) {
        return failure();
      }
      if (space_.isFullResult(i)) {
        body.storeResult(i, *value);
      } else { // one element for all rows and columns
        unsigned result = i;
        b.ifThen(b.cmpi(arith::CmpIPredicate::eq, body.column(), b.index(0)),
                 [&] { body.storeRowResult(result, *value); });
      }
    }
    return SmallVector<Value>();
  };
  b.loop(body.begin(), body.end(), 1, [&](Value tile) {
    ColumnRange range = body.allColumns();
    if (tiles > 1) {
      range.lower = b.mulIndex(tile, kFinalColumns);
      range.fullUpper = b.minIndex(b.addIndex(range.lower, b.index(kFinalColumns)), b.index(full));
      range.tailCondition = b.cmpi(arith::CmpIPredicate::eq, tile, b.index(tiles - 1));
    }
    failed = failed || mlir::failed(body.forColumns(range, {}, emitColumns));
  });
  if (failed) {
    return failure();
  }
  addLaunch(body.b.getInsertionBlock()->getParent()->getParentOfType<func::FuncOp>(),
            columns == 0 ? 0 : tiles, blocks_ * 4 * std::min(columns, kFinalColumns));
  return success();
}

/// Results over the rows that need the last sums: one more launch over the rows.
LogicalResult ColumnSchedule::emitRemaining(int64_t stage) {
  BodyEmitter body(space_, begin("rows", 0));
  bool failed = mlir::failed(body.beginKernel());
  useFinishedSums(body, stage);
  RowPasses passes(body, stage, /*storeResults=*/true);
  body.b.loop(body.begin(), body.end(), 1, [&](Value row) {
    failed = failed || mlir::failed(passes.emitRow(row, body.allColumns(), {}));
  });
  if (failed) {
    return failure();
  }
  addLaunch(body.b.getInsertionBlock()->getParent()->getParentOfType<func::FuncOp>(), space_.rows(),
            bytesPerElement(space_) * space_.columns());
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
    widest = std::max(widest, elementBytes(computeType(elementOf(reduce.getY()))));
  }
  int64_t needed =
      makeCpuTarget()->columnScratchBytes(space_.rows(), space_.columns(), reductions, widest);
  if (static_cast<int64_t>(kernel_.getScratch()) < needed) {
    return kernel_.emitOpError("has ")
           << kernel_.getScratch() << " bytes of scratch, its column sums need " << needed;
  }
  for (int64_t stage = 0; stage < stages; ++stage) {
    bool storesRows = stage + 1 == stages && last < stages;
    if (failed(emitPartial(stage, storesRows)) ||
        failed(emitFinal(stage, stage + 1 == stages && last < stages))) {
      return failure();
    }
  }
  if ((last == stages || stages == 0) && failed(emitRemaining(stages))) {
    return failure();
  }
  return launches_;
}

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleColumn(const KernelSpace &space, ModuleOp module,
                                                         StringRef name) {
  return ColumnSchedule(space, module, name).emit();
}
