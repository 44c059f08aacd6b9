// The command `info`.
// Says what was compiled and how: the manifest in words, or as it is with --json. Beside it, the
// command `lr`: the learning rates of a run that was not started.

#ifndef DSC_RUNTIME_INFO_H
#define DSC_RUNTIME_INFO_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

Status runInfo(Executable &executable, const CommandLine &line);
Status runLearningRates(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_INFO_H
