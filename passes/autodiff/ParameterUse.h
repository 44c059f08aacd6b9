// What a trained parameter is to the model: --no-decay=norm,bias asks for it.

#ifndef DSC_PASSES_AUTODIFF_PARAMETERUSE_H
#define DSC_PASSES_AUTODIFF_PARAMETERUSE_H

#include "ir/Dialect.h"

namespace dsc {

/// Gives the trained parameters that `forward` reads the attribute `dsc.use`, the words of
/// - norm: weights and biases of normalizations, and vectors that scale
/// - bias: vectors that are added, biases of normalizations too
/// that hold. Others (matrices, embeddings) get none.
void markParameterUses(mlir::ModuleOp module, mlir::func::FuncOp forward);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_PARAMETERUSE_H
