// The learning rate's schedule in the program, so that it counts applied updates, which the device
// alone knows.

#ifndef DSC_PASSES_AUTODIFF_APPENDSCHEDULE_H
#define DSC_PASSES_AUTODIFF_APPENDSCHEDULE_H

#include "passes/autodiff/TrainingGlobals.h"

namespace dsc {

/// What a schedule gives an update: the learning rate is `offset` + `factor` times that of the
/// parameter's group. f32 scalars.
struct ScheduledNumbers {
  mlir::Value offset, factor;
  mlir::Value beta1, beta2; // null where the optimizer has none
};

/// Appends the evaluation of `rt.schedule` at the `applied` updates so far (f32 scalar); the
/// table's meaning is that of runtime/abi.h.
ScheduledNumbers appendSchedule(ValueBuilder &b, TrainingGlobals &globals, mlir::Value applied);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_APPENDSCHEDULE_H
