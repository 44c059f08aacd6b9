// The phases that passes/ implements, each as one function over a pass manager: the table of
// contents of the compiler.

#ifndef DSC_PASSES_PIPELINE_H
#define DSC_PASSES_PIPELINE_H

#include "ir/Phase.h"

#include "mlir/Pass/PassManager.h"

namespace dsc {

/// Adds the passes of `phase` (raise to memory). Options are read from the module's `dsc.options`.
void buildPhasePipeline(mlir::OpPassManager &manager, Phase phase);

} // namespace dsc

#endif // DSC_PASSES_PIPELINE_H
