// Pass: fewer messages for the same numbers.

#include "passes/Passes.h"
#include "passes/autodiff/ValueBuilder.h"

#include "ir/Phase.h"

namespace dsc {
#define GEN_PASS_DEF_MERGECOLLECTIVES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

/// The op that reads a result of `op` first; null where none does.
static Operation *firstReader(Operation *op) {
  Operation *first = nullptr;
  for (Operation *user : op->getUsers()) {
    first = !first || user->isBeforeInBlock(first) ? user : first;
  }
  return first;
}

/// Puts one all-reduce in the place of `ops`, where the last of them stands.
static void mergeInto(ArrayRef<AllReduceOp> ops) {
  OpBuilder builder(ops.back());
  SmallVector<Location> locations;
  for (AllReduceOp op : ops) {
    locations.push_back(op.getLoc());
  }
  ValueBuilder b(builder, FusedLoc::get(builder.getContext(), locations));
  SmallVector<Value> parts;
  SmallVector<int64_t> offsets;
  int64_t offset = 0;
  for (AllReduceOp op : ops) {
    parts.push_back(op.getX());
    offsets.push_back(offset);
    offset += tensorType(op.getX()).getNumElements();
  }
  auto type = RankedTensorType::get({offset}, tensorType(parts[0]).getElementType());
  Value sum = b.create<AllReduceOp>(b.create<PackOp>(type, parts, offsets), IntegerAttr());
  offset = 0;
  for (AllReduceOp op : ops) {
    int64_t count = tensorType(op.getX()).getNumElements();
    Value part = b.create<SliceOp>(sum, ArrayRef<int64_t>{offset}, ArrayRef<int64_t>{count},
                                   ArrayRef<int64_t>{1});
    op.getY().replaceAllUsesWith(b.reshape(part, tensorType(op.getY()).getShape()));
    offset += count;
    op.erase();
  }
}

static void mergeSums(func::FuncOp entry) {
  SmallVector<AllReduceOp> open;
  auto close = [&] {
    if (open.size() > 1) {
      mergeInto(open);
    }
    open.clear();
  };
  for (auto op : llvm::to_vector(entry.getOps<AllReduceOp>())) {
    bool fits = llvm::all_of(open, [&](AllReduceOp other) {
      Operation *reader = firstReader(other);
      return tensorType(other.getX()).getElementType() == tensorType(op.getX()).getElementType() &&
             (!reader || op->isBeforeInBlock(reader));
    });
    if (!fits) {
      close();
    }
    open.push_back(op);
  }
  close();
}

/// Gathers of one sharded global become one as long as no more than `window` others come between
/// its readers; then its place is better given back.
static void mergeGathers(func::FuncOp entry, int64_t window) {
  struct Gathered {
    AllGatherOp op;
    int64_t lastRead = 0; // how many gathers there were
  };
  llvm::DenseMap<Attribute, Gathered> known; // by the global
  int64_t count = 0;
  for (auto gather : llvm::to_vector(entry.getOps<AllGatherOp>())) {
    auto get = gather.getX().getDefiningOp<GetGlobalOp>();
    if (!gather.getApart() || !get) {
      continue;
    }
    Gathered &last = known[get.getNameAttr().getAttr()];
    if (last.op && count - last.lastRead <= window) {
      gather.getY().replaceAllUsesWith(last.op.getY());
      gather.erase();
    } else {
      last.op = gather;
      ++count;
    }
    last.lastRead = count;
  }
}

namespace {
struct MergeCollectives : public dsc::impl::MergeCollectivesBase<MergeCollectives> {
  using MergeCollectivesBase::MergeCollectivesBase;

  void runOnOperation() override {
    for (func::FuncOp entry : entriesOf(getOperation())) {
      mergeSums(entry);
      mergeGathers(entry, window);
    }
  }
};
} // namespace
