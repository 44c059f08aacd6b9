// Copies as kernels: how the plan gives a value a second place.

#ifndef DSC_PASSES_MEMORY_COPYKERNEL_H
#define DSC_PASSES_MEMORY_COPYKERNEL_H

#include "ir/Dialect.h"

namespace dsc {

/// A kernel before `before` that copies `value`, so that it also stands in a place of its own.
mlir::Value insertCopy(mlir::Value value, mlir::Operation *before);

/// Afterwards every part of a dsc.pack in `entry` is the whole of a value that its op writes where
/// the pack lies: a part that is a view of something larger, an argument, a global, a part of
/// another pack, a result of the entry or a matrix product with an accumulator is copied.
void copyUnplaceableParts(mlir::func::FuncOp entry);

} // namespace dsc

#endif // DSC_PASSES_MEMORY_COPYKERNEL_H
