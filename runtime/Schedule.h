// The learning rate over a run.
// NAME,key=value,..: `constant`, `linear` or `cosine`, after a linear warm-up. Lengths are steps,
// or fractions of the run below 1. The total defaults to the run's steps.

#ifndef DSC_RUNTIME_SCHEDULE_H
#define DSC_RUNTIME_SCHEDULE_H

#include "runtime/Status.h"

#include <cstdint>
#include <string>

namespace dsc {

class Schedule {
public:
  static Result<Schedule> parse(const std::string &text);

  /// The factor of the learning rate in step `step` (from 1) of a run of `steps`.
  double factor(int64_t step, int64_t steps) const;

private:
  enum class Kind { Constant, Linear, Cosine };
  Kind kind = Kind::Constant;
  double warmup = 0, total = 0; ///< steps, or fractions below 1; total 0 is the run's steps
  double end = 0;               ///< the factor at the total
};

} // namespace dsc

#endif // DSC_RUNTIME_SCHEDULE_H
