// The command `lr`: the learning rates of a run that was not started, as a table, as JSON, or as a
// curve. They are those that the program will compute (Schedule.h).

#ifndef DSC_RUNTIME_LEARNINGRATES_H
#define DSC_RUNTIME_LEARNINGRATES_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

#include <functional>
#include <string>

namespace dsc {

/// The learning rates of a run of `steps`, at most 21 rows, the first and the last step among them.
std::string learningRateTable(const std::string &schedule, int64_t steps,
                              const std::function<double(int64_t)> &rateOfStep);

/// The same as a picture: an SVG file with axes, that browsers show.
std::string learningRateCurve(const std::string &schedule, int64_t steps,
                              const std::function<double(int64_t)> &rateOfStep);

Status runLearningRates(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_LEARNINGRATES_H
