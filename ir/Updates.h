// What the optimizer ops (trait Update) have in common.

#ifndef DSC_IR_UPDATES_H
#define DSC_IR_UPDATES_H

#include "ir/Dialect.h"

namespace dsc {

/// The operands of `update` that depend on its parameter's group or on the parameter as a whole:
/// learning rate, weight decay, LAMB's step size. Each is a scalar, or has one element a row.
llvm::SmallVector<mlir::Value> numbersOf(mlir::Operation *update);

} // namespace dsc

#endif // DSC_IR_UPDATES_H
