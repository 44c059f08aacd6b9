//===- All passes of dsc, in pipeline order -----------------------------===//

#ifndef DSC_PASSES_TD
#define DSC_PASSES_TD

include "mlir/Pass/PassBase.td"

// raise

// autodiff

// precision

// recompute

// parallel

// fusion

// memory

#endif // DSC_PASSES_TD
