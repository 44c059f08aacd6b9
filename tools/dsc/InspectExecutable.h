// What `dsc inspect` reads by the runtime: executables and schedules. Apart from Inspect.cpp, since
// the runtime and the dialect both have roles of globals.

#ifndef DSC_TOOLS_DSC_INSPECTEXECUTABLE_H
#define DSC_TOOLS_DSC_INSPECTEXECUTABLE_H

#include <cstdint>
#include <string>

namespace dsc {

/// How `inspect` prints.
struct InspectOutput {
  bool json = false, jsonDiagnostics = false;
  int64_t steps = 1000; // --lr: length of the run
};

/// Whether `path` is a training executable, by its trailer.
bool isExecutable(const std::string &path);

/// Prints what `info` of the executable prints, or its manifest as JSON. Returns the exit code, as
/// the others do.
int inspectExecutable(const std::string &path, const InspectOutput &output);

/// Prints the learning rates of a run with the executable's own schedule, or with `schedule`.
int inspectExecutableRates(const std::string &path, const InspectOutput &output);
int printLearningRates(const std::string &schedule, double rate, const InspectOutput &output);

} // namespace dsc

#endif // DSC_TOOLS_DSC_INSPECTEXECUTABLE_H
