// Strides of parts within the globals that store them.

#include "ir/Storage.h"

#include "ir/Evaluate.h"

using namespace mlir;
using namespace dsc;

StoredPart dsc::storedPart(GlobalOp part, RankedTensorType storing) {
  StorageAttr storage = *part.getStorage();
  SmallVector<int64_t> whole = rowMajorStrides(storing.getShape());
  StoredPart result;
  for (auto [stride, offset] : llvm::zip_equal(whole, storage.getOffsets())) {
    result.offset += stride * offset;
  }
  for (int64_t dim : storage.getPermutation()) {
    result.strides.push_back(whole[dim]);
  }
  return result;
}

bool dsc::isUsersTensor(GlobalOp global) {
  // Random initial weights (--init=random) have no source, but still the names of the file.
  return global.getSource() || global.getOnnxNames();
}

llvm::MapVector<StringAttr, SmallVector<GlobalOp>> dsc::storedParts(ModuleOp module) {
  llvm::MapVector<StringAttr, SmallVector<GlobalOp>> parts;
  for (auto global : module.getOps<GlobalOp>()) {
    if (std::optional<StorageAttr> storage = global.getStorage()) {
      parts[storage->getGlobal().getAttr()].push_back(global);
    }
  }
  return parts;
}

int64_t dsc::usedExtent(GlobalOp global, int64_t dim) {
  int64_t used = 0;
  bool stores = false;
  for (auto part : global->getParentOfType<ModuleOp>().getOps<GlobalOp>()) {
    std::optional<StorageAttr> storage = part.getStorage();
    if (!storage || storage->getGlobal().getAttr() != global.getSymNameAttr()) {
      continue;
    }
    stores = true;
    for (auto [i, along] : llvm::enumerate(storage->getPermutation())) {
      if (along == dim) {
        used = std::max(used, storage->getOffsets()[dim] + part.getTensorType().getDimSize(i));
      }
    }
  }
  return stores ? used : global.getTensorType().getDimSize(dim);
}
