// Loss scaling for fp16, as ops: the scale and what decides about it are state on the device, so
// that the host waits for nothing.

#ifndef DSC_PASSES_AUTODIFF_LOSSSCALE_H
#define DSC_PASSES_AUTODIFF_LOSSSCALE_H

#include "passes/autodiff/TrainingGlobals.h"

namespace dsc {

/// Whether a program of these options scales its loss.
inline bool scalesLoss(const CompileOptions &options) { return options.precision == "fp16"; }

/// The factor of this step's gradients, f32: rt.loss_scale, or state.loss_scale where that is 0.
mlir::Value currentLossScale(ValueBuilder &b, TrainingGlobals &globals);

/// Moves the dynamic scale by what this step's gradients were, as DeepSpeed's ZeRO optimizers do
/// (deepspeed.runtime.fp16.loss_scaler.DynamicLossScaler.update_scale, 0.16.6 and later).
/// `overflow` (i1): a gradient is not finite. Returns an i1: overflow at the minimal scale,
/// training cannot go on.
mlir::Value updateLossScale(ValueBuilder &b, TrainingGlobals &globals, mlir::Value overflow);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_LOSSSCALE_H
