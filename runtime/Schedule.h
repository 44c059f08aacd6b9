// The learning rate over a run.
// NAME,key=value,..: `constant`, `linear` or `cosine` after a linear warm-up, or one of DeepSpeed's
// schedules by its own name, parameters and indices. Lengths are steps, or fractions of the run
// below 1. A total that is not given is the run's steps.

#ifndef DSC_RUNTIME_SCHEDULE_H
#define DSC_RUNTIME_SCHEDULE_H

#include "runtime/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace dsc {

class Schedule {
public:
  static Result<Schedule> parse(const std::string &text);

  /// The learning rate of step `step` (from 1) of a run of `steps`; `base` is the optimizer's.
  double rate(double base, int64_t step, int64_t steps) const;

  /// Adam's betas in step `step`, where the schedule moves them: OneCycle with cycle_momentum.
  std::optional<std::pair<double, double>> betas(int64_t step, int64_t steps) const;

  /// What --help says of --schedule.
  static const char *help();

private:
  enum class Kind {
    Constant,
    Linear,
    Cosine,
    WarmupLR,
    WarmupDecayLR,
    WarmupCosineLR,
    OneCycle,
    LRRangeTest,
  };
  struct KindSpec;
  static const KindSpec kinds[];

  Kind kind = Kind::Constant;
  /// By key, defaults included; a key without a default is absent unless given.
  std::map<std::string, double> values;

  double value(const char *key, double absent = 0) const;
  /// `key` in steps of a run of `steps`; `absent` where it is not given.
  double length(const char *key, double steps, double absent = 0) const;
  double plain(double base, double step, double steps) const;
  double warmed(double base, double update, double steps) const;
  /// How far update `update` (from 0) has come from the cycle's lower to its upper end, and how
  /// many updates lie behind the cycle.
  std::pair<double, double> cycle(double update, double steps) const;
};

} // namespace dsc

#endif // DSC_RUNTIME_SCHEDULE_H
