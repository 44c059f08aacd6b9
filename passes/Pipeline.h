// The phases that passes/ implements, each as one function over a pass manager: the table of
// contents of the compiler.

#ifndef DSC_PASSES_PIPELINE_H
#define DSC_PASSES_PIPELINE_H

#include "ir/Phase.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringMap.h"

namespace dsc {

/// The most rewrites that passes may make, by name without "dsc-" ("merge-products"); 0 leaves a
/// pass out. Only passes that improve the program can be bounded.
using PassLimits = llvm::StringMap<int64_t>;

/// Adds the passes of `phase` (raise to memory). Options are read from the module's `dsc.options`.
void buildPhasePipeline(mlir::OpPassManager &manager, Phase phase, const PassLimits &limits = {});

/// The names that PassLimits may hold, in the order in which the passes first run.
llvm::ArrayRef<llvm::StringRef> limitedPasses();

} // namespace dsc

#endif // DSC_PASSES_PIPELINE_H
