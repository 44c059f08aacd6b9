// The backward walk: from gradients of some values to gradients of others, by the table of rules.

#ifndef DSC_PASSES_AUTODIFF_BUILDBACKWARD_H
#define DSC_PASSES_AUTODIFF_BUILDBACKWARD_H

#include "passes/autodiff/GradTable.h"

namespace dsc {

struct ValueGradient {
  mlir::Value value;
  mlir::Value gradient;
};

/// Appends at `builder`'s insertion point the gradients of `leaves`, given those of the values in
/// `seeds`. All ops between them stand in one block, before the insertion point. Only ops on a path
/// from a leaf to a seed are visited. Contributions to a value are added in the order in which the
/// walk meets them, from the last op to the first, so the result depends on nothing but the
/// function. Leaves without a path to a seed are left out; the others come in the order in which
/// the walk finishes them. Fails, with an error at the op, where a rule is missing or refuses.
mlir::FailureOr<llvm::SmallVector<ValueGradient>> buildBackward(mlir::OpBuilder &builder,
                                                                llvm::ArrayRef<ValueGradient> seeds,
                                                                llvm::ArrayRef<mlir::Value> leaves);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_BUILDBACKWARD_H
