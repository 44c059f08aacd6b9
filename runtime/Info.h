// The command `info`.
// Says what was compiled and how: the manifest in words, or as it is with --json. Beside it, the
// command `lr`: the learning rates of a run that was not started.

#ifndef DSC_RUNTIME_INFO_H
#define DSC_RUNTIME_INFO_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

#include <functional>
#include <string>

namespace dsc {

/// What `info` prints: the program, its options, data, parameters and planned memory.
std::string describe(const Executable &executable);

/// The learning rates of a run of `steps`, at most 21 rows, the first and the last step among them.
std::string learningRateTable(const std::string &schedule, int64_t steps,
                              const std::function<double(int64_t)> &rateOfStep);

Status runInfo(Executable &executable, const CommandLine &line);
Status runLearningRates(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_INFO_H
