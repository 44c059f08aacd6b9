// The update part of a step: gradient norm, clipping, the predicate, and one optimizer op a
// parameter.

#ifndef DSC_PASSES_AUTODIFF_APPENDOPTIMIZER_H
#define DSC_PASSES_AUTODIFF_APPENDOPTIMIZER_H

#include "passes/autodiff/TrainingGlobals.h"

namespace dsc {

struct ParameterGradient {
  GlobalOp parameter;
  mlir::Value value;    // of the parameter before the update
  mlir::Value gradient; // averaged, not clipped
};

struct UpdateResult {
  mlir::Value norm; // global L2 norm of the gradients, unscaled
  mlir::Value ok;   // i1: loss and norm are finite, the update takes place
  // Where gradients are scaled: i1, they overflow at the smallest scale.
  mlir::Value scaleExhausted;
};

/// Appends the update of all parameters. Where `ok` is false nothing changes: the optimizer ops and
/// the step count are predicated on it; the caller predicates what else it writes. Gradients that
/// are `lossScale` times what they should be (null: 1) are unscaled on the way.
UpdateResult appendOptimizer(mlir::OpBuilder &builder, TrainingGlobals &globals,
                             const CompileOptions &options,
                             llvm::ArrayRef<ParameterGradient> parameters, mlir::Value loss,
                             mlir::Value lossScale);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_APPENDOPTIMIZER_H
