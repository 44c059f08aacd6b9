// Copies of values that would need two places.

#include "passes/memory/CopyKernel.h"

#include "passes/memory/Liveness.h"

#include "ir/Ownership.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace dsc;

Value dsc::insertCopy(Value value, Operation *before) {
  OpBuilder builder(before);
  auto type = cast<RankedTensorType>(value.getType());
  auto kernel = builder.create<KernelOp>(value.getLoc(), TypeRange{type}, ValueRange{value},
                                         KernelKind::elementwise, type.getShape(), 0, 0,
                                         ArrayAttr(), ownedChunks(value));
  Block *block = builder.createBlock(&kernel.getBody(), {}, {type}, {value.getLoc()});
  builder.create<YieldOp>(value.getLoc(), block->getArguments());
  return kernel.getResult(0);
}

/// Whether the op that makes `root` may write it anywhere.
static bool hasFreePlace(Value root) {
  Operation *producer = root.getDefiningOp();
  if (!producer || isa<GetGlobalOp, PackOp>(producer)) {
    return false;
  }
  auto matmul = dyn_cast<MatmulOp>(producer);
  return !(matmul && matmul.getAccumulator());
}

void dsc::copyUnplaceableParts(func::FuncOp entry) {
  llvm::DenseSet<Value> taken;
  auto take = [&](Value value) {
    if (value) {
      taken.insert(viewedValue(value).root);
    }
  };
  for (Operation &op : entry.getBody().front()) {
    if (auto store = dyn_cast<SetGlobalOp>(op)) {
      take(store.getValue());
    } else if (isa<func::ReturnOp>(op)) {
      llvm::for_each(op.getOperands(), take);
    }
  }
  for (auto pack : llvm::to_vector(entry.getBody().front().getOps<PackOp>())) {
    for (OpOperand &part : pack->getOpOperands()) {
      StorageView view = viewedValue(part.get());
      bool whole =
          view.offset == 0 && tensorBytes(cast<RankedTensorType>(view.root.getType())) ==
                                  tensorBytes(cast<RankedTensorType>(part.get().getType()));
      if (!whole || !hasFreePlace(view.root) || !taken.insert(view.root).second) {
        part.set(insertCopy(part.get(), pack));
        taken.insert(part.get());
      }
    }
  }
}
