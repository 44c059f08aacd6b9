// Elementwise kernels: the last merged dimension is vectorised, all others are rows. Units are
// rows, or blocks of a row where rows are long.

#include "codegen/cpu/BodyEmitter.h"
#include "codegen/cpu/Schedules.h"

#include "runtime/abi.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;

// A multiple of DSC_LANES, so that only a row's last block has a tail.
static constexpr int64_t kBlock = 2048;

/// Elements of a unit: a chunk where ranks compute their own ones.
static int64_t blockElements(const KernelSpace &space) {
  int64_t chunks = space.kernel().getOwnedChunks();
  return chunks ? space.rows() * space.columns() / chunks : kBlock;
}

/// All results at the current columns: every load stands before the first store, as in-place
/// results need.
static LogicalResult emitResults(BodyEmitter &body) {
  SmallVector<Value> values;
  for (Value yielded : body.space().kernel().getBody().front().getTerminator()->getOperands()) {
    FailureOr<Value> value = body.get(yielded);
    if (failed(value)) {
      return failure();
    }
    values.push_back(*value);
  }
  for (auto [i, value] : llvm::enumerate(values)) {
    body.storeResult(i, value);
  }
  return success();
}

FailureOr<SmallVector<KernelLaunch>> dsc::scheduleElementwise(const KernelSpace &space,
                                                              ModuleOp module, StringRef name) {
  KernelOp kernel = space.kernel();
  func::FuncOp function = createKernelFunction(module, name, kernel);
  BodyEmitter body(space, function);
  VectorBuilder &b = body.b;
  int64_t columns = space.columns(), full = columns / DSC_LANES * DSC_LANES;
  int64_t block = blockElements(space);
  int64_t blocks = std::max<int64_t>(1, llvm::divideCeil(columns, block));

  bool failed = mlir::failed(body.beginKernel());
  b.loop(body.begin(), body.end(), 1, [&](Value unit) {
    ColumnRange range = body.allColumns();
    Value row = unit;
    if (blocks > 1) {
      row = space.rows() == 1 ? b.index(0) : b.divIndex(unit, blocks);
      Value place = space.rows() == 1 ? unit : b.remIndex(unit, blocks);
      range.lower = b.mulIndex(place, block);
      range.fullUpper = b.minIndex(b.addIndex(range.lower, b.index(block)), b.index(full));
      range.tailCondition = b.cmpi(arith::CmpIPredicate::eq, place, b.index(blocks - 1));
    }
    failed =
        failed || mlir::failed(body.beginRow(row)) ||
        mlir::failed(body.forColumns(range, {}, [&](ValueRange) -> FailureOr<SmallVector<Value>> {
          if (mlir::failed(emitResults(body))) {
            return failure();
          }
          return SmallVector<Value>();
        }));
  });
  if (failed) {
    return failure();
  }
  int64_t bytes = bytesPerElement(space) * std::min(columns, block);
  int64_t units = space.columns() == 0 ? 0 : space.rows() * blocks;
  return SmallVector<KernelLaunch>{{name.str(), units, launchGrain(kernel, bytes)}};
}
