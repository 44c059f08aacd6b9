// Follows an integer value to the gathers that use it as an index.

#include "passes/autodiff/IndexBound.h"

#include "ir/Storage.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;

/// Rows of the table that an index may name; those that pad a stored parameter are none.
static int64_t rowsOf(dsc::GatherOp gather) {
  if (auto get = gather.getData().getDefiningOp<dsc::GetGlobalOp>()) {
    if (auto global = SymbolTable::lookupNearestSymbolFrom<dsc::GlobalOp>(get, get.getNameAttr())) {
      return dsc::usedExtent(global, gather.getAxis());
    }
  }
  return cast<RankedTensorType>(gather.getData().getType()).getDimSize(gather.getAxis());
}

int64_t dsc::indexBound(Value index) {
  auto type = dyn_cast<RankedTensorType>(index.getType());
  if (!type || !type.getElementType().isIntOrIndex()) {
    return 0;
  }
  int64_t bound = 0;
  llvm::SetVector<Value> values;
  values.insert(index);
  for (size_t i = 0; i < values.size(); ++i) {
    for (OpOperand &use : values[i].getUses()) {
      Operation *user = use.getOwner();
      if (auto gather = dyn_cast<GatherOp>(user); gather && use.get() == gather.getIndices()) {
        int64_t rows = rowsOf(gather);
        bound = bound == 0 ? rows : std::min(bound, rows);
      } else if (isa<ReshapeOp, CastOp, TransposeOp, BroadcastOp, SliceOp>(user) ||
                 (isa<SelectOp>(user) && use.getOperandNumber() != 0)) {
        values.insert(user->getResult(0));
      }
    }
  }
  return bound;
}
