// Globals that are parts of another one: strides of a part in its storage, and the parts of each
// storage. Where a user's tensor lies is said once, by `storage` on its global; everything that
// needs bytes asks here.

#ifndef DSC_IR_STORAGE_H
#define DSC_IR_STORAGE_H

#include "ir/Dialect.h"

#include "llvm/ADT/MapVector.h"

namespace dsc {

/// The elements of a part within the row-major elements of what stores it.
struct StoredPart {
  int64_t offset = 0; // of the part's first element
  llvm::SmallVector<int64_t> strides;
};

/// Where `part` lies in a tensor of `storing`'s shape. `part` must have `storage`; `storing` is the
/// type of the storing global, or of a tensor laid out like it (a gradient, a moment).
StoredPart storedPart(GlobalOp part, mlir::RankedTensorType storing);

/// Whether `global` is a tensor that users know, rather than state or a storage of the compiler's.
bool isUsersTensor(GlobalOp global);

/// The storing globals of `module` by name, each with its parts in the order of the module.
llvm::MapVector<mlir::StringAttr, llvm::SmallVector<GlobalOp>> storedParts(mlir::ModuleOp module);

/// Elements of `global` along dimension `dim` up to the end of its last part: what is behind is
/// padding. The dimension's size where `global` has no parts.
int64_t usedExtent(GlobalOp global, int64_t dim);

} // namespace dsc

#endif // DSC_IR_STORAGE_H
