// Declarations and registration of all passes, generated from Passes.td.

#ifndef DSC_PASSES_PASSES_H
#define DSC_PASSES_PASSES_H

#include "ir/Dialect.h"
#include "ir/Target.h"

#include "mlir/Pass/Pass.h"

namespace dsc {

#define GEN_PASS_DECL
#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace dsc

#endif // DSC_PASSES_PASSES_H
