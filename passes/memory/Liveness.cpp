// Storage roots and last uses.

#include "passes/memory/Liveness.h"

#include "ir/OpsOrder.h"
#include "ir/Target.h"

using namespace mlir;
using namespace dsc;

bool dsc::isContiguousSlice(SliceOp slice, int64_t &offset) {
  auto type = cast<RankedTensorType>(slice.getX().getType());
  // Contiguous: single elements, then one range, then whole dimensions.
  bool whole = true;
  int64_t stride = 1;
  offset = 0;
  for (int64_t i = type.getRank() - 1; i >= 0; --i) {
    int64_t size = slice.getSizes()[i];
    if (size != 1 && (slice.getSteps()[i] != 1 || !whole)) {
      return false;
    }
    whole = whole && size == type.getDimSize(i);
    offset += slice.getStarts()[i] * stride;
    stride *= type.getDimSize(i);
  }
  return true;
}

void dsc::dropOrder(ModuleOp module) {
  module.walk([](AfterOp op) {
    op.getY().replaceAllUsesWith(op.getX());
    op.erase();
  });
}

bool dsc::isInPlace(Operation *op) {
  if (auto gather = dyn_cast<AllGatherOp>(op)) {
    return !gather.getApart();
  }
  return isa<ReduceScatterOp, AllReduceOp, WaitOp>(op);
}

int64_t dsc::roomBehind(Operation *op) {
  auto maxRanks = op->getParentOfType<ModuleOp>()->getAttrOfType<IntegerAttr>("dsc.max_ranks");
  if (!isa<ReduceScatterOp, AllGatherOp>(op) || !maxRanks) {
    return 0;
  }
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  return targetOf(op)->sliceRoom(maxRanks.getInt()) *
         (tensorBytes(type) / std::max<int64_t>(type.getDimSize(0), 1));
}

StorageView dsc::viewedValue(Value value) {
  StorageView view{value, 0};
  while (Operation *op = view.root.getDefiningOp()) {
    int64_t offset = 0;
    if (auto reshape = dyn_cast<ReshapeOp>(op)) {
      view.root = reshape.getX();
    } else if (auto slice = dyn_cast<SliceOp>(op); slice && isContiguousSlice(slice, offset)) {
      view.offset +=
          offset * elementBytes(cast<RankedTensorType>(slice.getX().getType()).getElementType());
      view.root = slice.getX();
    } else if (isInPlace(op)) {
      view.root = op->getOperand(0);
    } else {
      break;
    }
  }
  return view;
}

/// The pack that `value` is a part of, behind reshapes too; its operand there.
static OpOperand *packedAs(Value value) {
  for (OpOperand &use : value.getUses()) {
    if (isa<PackOp>(use.getOwner())) {
      return &use;
    }
    if (auto reshape = dyn_cast<ReshapeOp>(use.getOwner())) {
      if (OpOperand *part = packedAs(reshape.getY())) {
        return part;
      }
    }
  }
  return nullptr;
}

StorageView dsc::storageOf(Value value) {
  StorageView view = viewedValue(value);
  if (OpOperand *part = packedAs(view.root)) {
    auto pack = cast<PackOp>(part->getOwner());
    Type element = cast<RankedTensorType>(pack.getResult().getType()).getElementType();
    view.root = pack.getResult();
    view.offset += pack.getOffsets()[part->getOperandNumber()] * elementBytes(element);
  }
  return view;
}

EntryLiveness::EntryLiveness(func::FuncOp entry) {
  // A bucket has hundreds of readers, each of which shows it: its uses are searched once.
  llvm::DenseMap<Value, Value> packs;
  auto storageRoot = [&](Value value) {
    Value root = viewedValue(value).root;
    auto [known, isNew] = packs.try_emplace(root);
    if (isNew) {
      known->second = storageOf(root).root;
    }
    return known->second;
  };
  for (Operation &op : entry.getBody().front()) {
    positions[&op] = endPosition++;
    if (auto pack = dyn_cast<PackOp>(op)) {
      int64_t &first = firstPart[pack.getResult()] = positions[&op];
      for (Value part : pack.getParts()) {
        first = std::min(first, positions.lookup(viewedValue(part).root.getDefiningOp()));
      }
    }
    for (Value operand : op.getOperands()) {
      lastUse[storageRoot(operand)] = positions[&op];
    }
  }
  --endPosition;
}

int64_t EntryLiveness::first(Value root) const {
  if (auto it = firstPart.find(root); it != firstPart.end()) {
    return it->second;
  }
  Operation *op = root.getDefiningOp();
  return op ? positions.lookup(op) : -1;
}

int64_t EntryLiveness::last(Value root) const {
  auto it = lastUse.find(root);
  return it == lastUse.end() ? first(root) : it->second;
}

void EntryLiveness::addCopyOf(Value root, Operation *copy) {
  int64_t at = root.getDefiningOp() ? positions.lookup(root.getDefiningOp()) : 0;
  positions[copy] = at;
  lastUse[copy->getResult(0)] = last(root);
  lastUse[root] = at;
}

void EntryLiveness::addCopyBefore(Operation *store, Operation *copy) {
  int64_t at = positions.lookup(store);
  positions[copy] = at;
  lastUse[copy->getResult(0)] = at;
}
