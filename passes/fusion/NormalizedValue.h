// The last step of a norm, once its statistics are known: (x - mean) rstd gamma + beta. One place,
// because expanding a norm and computing only its result again must give the same bits.

#ifndef DSC_PASSES_FUSION_NORMALIZEDVALUE_H
#define DSC_PASSES_FUSION_NORMALIZEDVALUE_H

#include "passes/autodiff/ValueBuilder.h"

namespace dsc {

/// `centered` * rstd * gamma + beta, in the type of statistics and shapes that broadcast; gamma and
/// beta may be null.
mlir::Value scaleNormalized(ValueBuilder &b, mlir::Value centered, mlir::Value rstd,
                            mlir::Value gamma, mlir::Value beta);

/// What a norm's first result is computed from once its statistics are known.
struct NormalizedParts {
  mlir::Value x, mean, rstd, gamma, beta; // mean, gamma and beta null where the norm has none
};

/// The parts of the first result of a layer_norm, rms_norm or batch_norm; nothing for other ops,
/// and where statistics are rounded on their way out of the op.
std::optional<NormalizedParts> normalizedParts(mlir::Operation *norm);

/// The first result of `norm` computed from `parts`, which take the place of its own.
mlir::Value normalizedFrom(ValueBuilder &b, mlir::Operation *norm, const NormalizedParts &parts);

/// The shape in which a value for each channel broadcasts to images of type `x`.
llvm::SmallVector<int64_t> channelShape(mlir::RankedTensorType x, ConvLayout layout);

} // namespace dsc

#endif // DSC_PASSES_FUSION_NORMALIZEDVALUE_H
