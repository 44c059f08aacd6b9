// Storing globals and their names.

#include "passes/raise/StoringGlobals.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace dsc;

GlobalOp dsc::createStoringGlobal(GlobalOp like, StringRef name, RankedTensorType type) {
  auto module = like->getParentOfType<ModuleOp>();
  std::string unique = name.str();
  for (int i = 1; module.lookupSymbol(unique); ++i) {
    unique = (name + "." + Twine(i)).str();
  }
  OpBuilder builder(like);
  auto zero = DenseElementsAttr::get(type, builder.getZeroAttr(type.getElementType()));
  return builder.create<GlobalOp>(like.getLoc(), builder.getStringAttr(unique), TypeAttr::get(type),
                                  like.getRoleAttr(), zero, SourceAttr(), ArrayAttr(), StringAttr(),
                                  FlatSymbolRefAttr(), StringAttr(), SlotAttr(), StorageAttr(),
                                  PlaceAttr(), UnitAttr());
}

void dsc::storeIn(GlobalOp part, GlobalOp storing, ArrayRef<int64_t> offsets,
                  ArrayRef<int64_t> permutation) {
  part.setStorageAttr(StorageAttr::get(
      part.getContext(), FlatSymbolRefAttr::get(storing.getSymNameAttr()), offsets, permutation));
}

std::string dsc::commonName(ArrayRef<StringRef> names) {
  SmallVector<SmallVector<StringRef>> split(names.size());
  for (auto [parts, name] : llvm::zip(split, names)) {
    name.split(parts, '.');
    if (parts.size() != split.front().size()) {
      return llvm::join(names, "+");
    }
  }
  std::string result;
  for (size_t i = 0; i < split.front().size(); ++i) {
    SmallVector<StringRef> here;
    for (ArrayRef<StringRef> parts : split) {
      here.push_back(parts[i]);
    }
    result += i == 0 ? "" : ".";
    result += llvm::all_equal(here) ? here.front().str() : "{" + llvm::join(here, ",") + "}";
  }
  return result;
}
