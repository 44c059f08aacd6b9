// Makes globals that store others: what the user knows as several weights becomes one matrix, a
// weight becomes a corner of a padded one.

#ifndef DSC_PASSES_RAISE_STORINGGLOBALS_H
#define DSC_PASSES_RAISE_STORINGGLOBALS_H

#include "ir/Storage.h"

namespace dsc {

/// A new global of zeros of `type`, in the role of `like` and in front of it. `name` is changed
/// where it is taken.
GlobalOp createStoringGlobal(GlobalOp like, llvm::StringRef name, mlir::RankedTensorType type);

/// Makes `part` a part of `storing`, its first element at `offsets`; dimension i of the part runs
/// along permutation[i]. Accesses of `part` are the caller's to replace.
void storeIn(GlobalOp part, GlobalOp storing, llvm::ArrayRef<int64_t> offsets,
             llvm::ArrayRef<int64_t> permutation);

/// One name for several: what differs in braces, "h.0.{q,k,v}.weight".
std::string commonName(llvm::ArrayRef<llvm::StringRef> names);

} // namespace dsc

#endif // DSC_PASSES_RAISE_STORINGGLOBALS_H
