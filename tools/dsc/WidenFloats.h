// Turns the f32 of an imported module into f64, so that a check sees the program's arithmetic and
// not its rounding.

#ifndef DSC_TOOLS_DSC_WIDENFLOATS_H
#define DSC_TOOLS_DSC_WIDENFLOATS_H

#include "ir/Dialect.h"

namespace dsc {

/// Replaces f32 by f64 in every value, constant and global of `module`, which is at phase import.
/// Run-time values that the runner writes keep their types.
void widenFloats(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_TOOLS_DSC_WIDENFLOATS_H
