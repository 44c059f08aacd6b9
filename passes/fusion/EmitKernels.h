// Groups -> dsc.kernel ops: the body over the space's own dimensions, operands and results as views
// of their tensors.

#ifndef DSC_PASSES_FUSION_EMITKERNELS_H
#define DSC_PASSES_FUSION_EMITKERNELS_H

#include "passes/fusion/FusionRules.h"

namespace dsc {

/// Whether `op` stays at the top of an entry as it is: library calls, views and accesses of
/// globals.
bool staysOutside(mlir::Operation *op);

/// Rewrites `block`, from which `graph` was read, so that each fusable group is one kernel and
/// every op that can be no part of one is a `loops` kernel, in the order of the groups. `refused`
/// holds each group's reasons.
void emitKernels(mlir::Block &block, const FusionGraph &graph,
                 llvm::ArrayRef<llvm::SmallVector<std::string>> refused);

} // namespace dsc

#endif // DSC_PASSES_FUSION_EMITKERNELS_H
