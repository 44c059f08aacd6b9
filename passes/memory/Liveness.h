// Who owns the storage of each value of an entry, and from where to where in the schedule it is
// needed. An analysis: it changes nothing.

#ifndef DSC_PASSES_MEMORY_LIVENESS_H
#define DSC_PASSES_MEMORY_LIVENESS_H

#include "ir/Dialect.h"

#include "llvm/ADT/DenseMap.h"

namespace dsc {

/// A value as a part of another's storage.
struct StorageView {
  mlir::Value root;   // whose storage it is: an op's own result, an argument, or a get_global
  int64_t offset = 0; // bytes from the root's start
};

/// Removes dsc.after: from here on the order of ops is the schedule.
void dropOrder(mlir::ModuleOp module);

/// Whether the result of `op`, a collective or a wait, lies where its operand does.
bool isInPlace(mlir::Operation *op);

/// Follows views (reshape, contiguous slice) and what works in place to the value that they show.
StorageView viewedValue(mlir::Value value);

/// Follows views to the value that owns the bytes. Parts of a dsc.pack lie in it, so it owns them
/// from the first part on; each part is the whole of a value (passes/memory/CopyKernel.h).
StorageView storageOf(mlir::Value value);

/// Bytes behind its result that the collective `op` may write: its target's room, for as many ranks
/// as the module is for.
int64_t roomBehind(mlir::Operation *op);

/// Whether `slice` selects one contiguous run of its operand's elements; then its offset in
/// elements is `offset`.
bool isContiguousSlice(SliceOp slice, int64_t &offset);

/// Positions and last uses in one entry. The schedule is the op order.
class EntryLiveness {
public:
  explicit EntryLiveness(mlir::func::FuncOp entry);

  int64_t position(mlir::Operation *op) const { return positions.lookup(op); }
  /// Position of the op that first writes to `root`; -1 for arguments.
  int64_t first(mlir::Value root) const;
  /// Position of the last op that reads `root` or a view of it; its own position where nothing
  /// does.
  int64_t last(mlir::Value root) const;
  /// Tells that `copy`, of `root`, was put right behind the op of `root` and took all its other
  /// uses. Positions stay those of before, the copy's is that of what it stands beside.
  void addCopyOf(mlir::Value root, mlir::Operation *copy);
  /// The same of a copy right before `store`, its only reader.
  void addCopyBefore(mlir::Operation *store, mlir::Operation *copy);
  /// Position of the return.
  int64_t end() const { return endPosition; }

private:
  llvm::DenseMap<mlir::Operation *, int64_t> positions;
  llvm::DenseMap<mlir::Value, int64_t> lastUse;
  llvm::DenseMap<mlir::Value, int64_t> firstPart; // of packs
  int64_t endPosition = 0;
};

} // namespace dsc

#endif // DSC_PASSES_MEMORY_LIVENESS_H
