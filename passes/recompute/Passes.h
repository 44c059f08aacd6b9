// The pass of the recompute phase: declaration and registration, generated from Passes.td.

#ifndef DSC_PASSES_RECOMPUTE_PASSES_H
#define DSC_PASSES_RECOMPUTE_PASSES_H

#include "ir/Dialect.h"

#include "mlir/Pass/Pass.h"

namespace dsc {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/recompute/Passes.h.inc"

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_PASSES_H
