// The training loop.
// Steps through the stream of samples, reports, evaluates, and always ends with weights on disk,
// whether it came to its end, was stopped by a signal or met bad data.

#ifndef DSC_RUNTIME_TRAIN_H
#define DSC_RUNTIME_TRAIN_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

class Ranks;

/// The command `train`.
Status runTrain(Executable &executable, const CommandLine &line, Ranks &ranks);

} // namespace dsc

#endif // DSC_RUNTIME_TRAIN_H
