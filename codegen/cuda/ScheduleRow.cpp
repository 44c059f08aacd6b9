// Row kernels: short rows share a block, longer ones have one each.

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/RowEmitter.h"
#include "codegen/cuda/Schedules.h"

#include "ir/Options.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::cuda;

// Rows of more vectors than this are kept in shared memory from pass to pass.
static constexpr int64_t kMostVectors = 2048;
// Vectors of such a row that a thread has in flight.
static constexpr int64_t kSharedUnroll = 4;
// Shared memory that a block may have, and that a multiprocessor has, with what each block takes of
// it beside what it asks for.
struct SharedMemory {
  int64_t block, multiprocessor;
};
static constexpr int64_t kOwnBytes = 2 << 10;

static SharedMemory sharedMemoryOf(StringRef arch) {
  return llvm::StringSwitch<SharedMemory>(arch.drop_while([](char c) { return !isdigit(c); }))
      .Cases("90", "90a", "100", "100a", "103", "103a", SharedMemory{227 << 10, 228 << 10})
      .Cases("80", "87", SharedMemory{163 << 10, 164 << 10})
      .Cases("86", "89", "120", "120a", "121", "121a", SharedMemory{99 << 10, 100 << 10})
      .Default({0, 0});
}

/// Blocks of rows of `bytes` that a multiprocessor holds, up to two; 0 where a block does not fit.
static int64_t blocksInShared(ModuleOp module, int64_t bytes) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  SharedMemory memory = sharedMemoryOf(succeeded(options) ? StringRef(options->arch) : "");
  int64_t taken = bytes + kOwnBytes;
  return taken > memory.block ? 0 : std::min<int64_t>(memory.multiprocessor / taken, 2);
}

FailureOr<SmallVector<KernelLaunch>> cuda::scheduleRow(const KernelSpace &space, ModuleOp module,
                                                       StringRef name) {
  KernelOp kernel = space.kernel();
  if (!space.columnReductions().empty()) {
    return space.columnReductions().front()->emitOpError("reduces rows in a kernel of kind row");
  }
  RowLayout layout = layoutRows(space);
  int64_t bytes = cuda::BodyEmitter::rowBytes(space), resident = 1;
  bool isShared = false;
  if (layout.vectors > kMostVectors && !space.rowReductions().empty()) {
    // Two blocks then share a multiprocessor: one loads or stores while the other computes.
    int64_t blocks = blocksInShared(module, bytes);
    isShared = blocks > 0;
    layout.inRegisters &= !isShared;
    layout.unroll = isShared ? kSharedUnroll : layout.unroll;
    resident = std::max<int64_t>(blocks, 1);
  }
  gpu::GPUFuncOp function =
      createKernelFunction(module, name, kernel, layout.blockThreads(), resident);
  cuda::BodyEmitter body(space, function, layout.lanes);
  if (isShared) {
    body.keepRowsInShared();
  }
  if (failed(body.beginKernel()) || failed(emitBlockRows(body, layout, /*columnStage=*/0))) {
    return failure();
  }
  return SmallVector<KernelLaunch>{
      {name.str(), static_cast<int64_t>(llvm::divideCeil(space.rows(), layout.rows)),
       kernel.getOwnedChunks() ? layout.rows : layout.blockThreads(), isShared ? bytes : 0}};
}
