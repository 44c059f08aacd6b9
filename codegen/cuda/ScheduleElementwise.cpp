// Elementwise kernels: a thread computes one vector of the last merged dimension. Memory is kept
// busy by the number of threads, so each has as few registers as it can.

#include "codegen/cuda/BodyEmitter.h"
#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/RowLayout.h"
#include "codegen/cuda/Schedules.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;

// Blocks of a kernel whose threads go on to further vectors: eight on each multiprocessor of the
// largest chips.
static constexpr int64_t kPersistentBlocks = 132 * 8;

/// Elements of a vector: a whole access of the widest element that varies over columns.
static int64_t vectorLanes(const KernelSpace &space) {
  int64_t widest = 1;
  auto count = [&](Value value) {
    if (space.access(value).variesOverColumns()) {
      widest = std::max(widest, elementBytes(getElementTypeOrSelf(value.getType())));
    }
  };
  llvm::for_each(space.kernel().getBody().getArguments(), count);
  llvm::for_each(space.kernel().getResults(), count);
  int64_t lanes = std::min<int64_t>(8, kAccessBytes / widest);
  const int64_t chunks = space.kernel().getOwnedChunks();
  const int64_t whole = chunks ? space.rows() * space.columns() / chunks : 0;
  while (lanes > 1 && (space.columns() % lanes != 0 || whole % lanes != 0)) {
    lanes /= 2;
  }
  return lanes;
}

/// All results at the current vector: every load stands before the first store, as in-place results
/// need.
static LogicalResult emitResults(cuda::BodyEmitter &body) {
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

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleElementwise(const KernelSpace &space,
                                                               ModuleOp module, StringRef name) {
  KernelOp kernel = space.kernel();
  int64_t lanes = vectorLanes(space), perRow = space.columns() / lanes;
  int64_t vectors = space.rows() * perRow;
  int64_t threads =
      std::min<int64_t>(kBlockThreads, llvm::alignTo(std::max<int64_t>(vectors, 1), kWarp));
  int64_t blocks = llvm::divideCeil(vectors, threads);
  // An update's factors are powers in f64: threads that compute them once are few and go on.
  bool isPersistent =
      llvm::any_of(kernel.getBody().front(), [](Operation &op) { return op.hasTrait<Update>(); });
  if (isPersistent) {
    blocks = std::min(blocks, kPersistentBlocks);
  }
  gpu::GPUFuncOp function = createKernelFunction(module, name, kernel, threads);
  cuda::BodyEmitter body(space, function, lanes);
  CudaBuilder &b = body.b;
  bool failed = mlir::failed(body.beginKernel());
  auto emitVector = [&](Value index) {
    Value row = space.rows() == 1 ? b.index(0) : b.divIndex(index, perRow);
    Value vector = space.rows() == 1 ? index : b.remIndex(index, perRow);
    failed = failed || mlir::failed(body.beginRow(row));
    body.useVector(0, b.mulIndex(vector, lanes), space.columns());
    failed = failed || mlir::failed(emitResults(body));
  };
  Value index = b.addIndex(b.mulIndex(b.blockIndex(), threads), b.threadIndex());
  const int64_t chunks = kernel.getOwnedChunks();
  const int64_t perChunk = chunks ? vectors / chunks : 0;
  const int64_t group = std::max<int64_t>(perChunk ? threads / perChunk : 0, 1);
  if (chunks) {
    // How many blocks there are depends on the ranks.
    cuda::OwnedChunks own = body.owned();
    b.loop(b.addIndex(b.mulIndex(own.begin, perChunk), index), b.mulIndex(own.end, perChunk),
           b.mulIndex(b.blockCount(), threads), emitVector);
    blocks = std::min<int64_t>(llvm::divideCeil(chunks, group),
                               isPersistent ? kPersistentBlocks : chunks);
  } else if (isPersistent) {
    b.loop(index, b.index(vectors), blocks * threads, emitVector);
  } else if (vectors % threads == 0) {
    emitVector(index);
  } else {
    b.ifThen(b.cmpi(arith::CmpIPredicate::ult, index, b.index(vectors)),
             [&] { emitVector(index); });
  }
  if (failed) {
    return failure();
  }
  return SmallVector<KernelLaunch>{{name.str(), blocks, chunks ? group : threads}};
}
