// Optimizer updates as vector operations, for kernels that run over a parameter's elements.

#ifndef DSC_CODEGEN_EMITOPTIMIZER_H
#define DSC_CODEGEN_EMITOPTIMIZER_H

#include "codegen/VectorBuilder.h"

namespace dsc {

/// What an update needs from its scalars only (bias corrections, step size), once for all elements.
llvm::SmallVector<mlir::Value> emitOptimizerInvariants(VectorBuilder &b, mlir::Operation *op,
                                                       mlir::ValueRange operands);

/// New values of the parameter and its state; the old ones where `ok` is false.
llvm::SmallVector<mlir::Value> emitOptimizer(VectorBuilder &b, mlir::Operation *op,
                                             mlir::ValueRange operands,
                                             mlir::ValueRange invariants);

} // namespace dsc

#endif // DSC_CODEGEN_EMITOPTIMIZER_H
