// Which values of an entry a rank has its own chunks of only. An analysis: it changes nothing.

#ifndef DSC_IR_OWNERSHIP_H
#define DSC_IR_OWNERSHIP_H

#include "ir/Dialect.h"

#include "llvm/ADT/DenseMap.h"

namespace dsc {

/// Own chunks come from reduce_scatter and from sharded globals, pass through ops that work row by
/// row, and end in all_gather. What such ops alone read, masks for one, need not be whole either.
class Ownership {
public:
  explicit Ownership(mlir::func::FuncOp entry);

  /// The chunks of which `value` has the rank's own only; 0 where it is whole.
  int64_t chunksOf(mlir::Value value) const { return chunks.lookup(value); }
  /// The chunks of which `op` computes the rank's own only; 0 where it computes all it has.
  int64_t chunksOf(mlir::Operation *op) const {
    return op->getNumResults() ? chunksOf(op->getResult(0)) : 0;
  }

private:
  llvm::DenseMap<mlir::Value, int64_t> chunks;
};

/// The same of one value of an entry after fusion, from what made it.
int64_t ownedChunks(mlir::Value value);

/// Error: an op of `entry` reads chunks that the rank does not have.
mlir::LogicalResult verifyOwnership(mlir::func::FuncOp entry);

} // namespace dsc

#endif // DSC_IR_OWNERSHIP_H
