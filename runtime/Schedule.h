// The learning rate over a run.
// NAME,key=value,..: `constant`, `linear` or `cosine` after a linear warm-up, or one of DeepSpeed's
// schedules by its own name, parameters and indices. Lengths are steps, or fractions of the run
// below 1. A total that is not given is the run's steps. Every schedule is a few pieces of one
// formula (abi.h): programs evaluate the table of them, `lr` and the log the same numbers here.

#ifndef DSC_RUNTIME_SCHEDULE_H
#define DSC_RUNTIME_SCHEDULE_H

#include "runtime/Status.h"
#include "runtime/abi.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dsc {

class Schedule {
public:
  static Result<Schedule> parse(const std::string &text);

  /// The learning rate of step `step` (from 1, skipped ones not counted) of a run of `steps`;
  /// `base` is that of the optimizer or of the parameter's group.
  double rate(double base, int64_t step, int64_t steps) const;

  /// Adam's betas in step `step`, where the schedule moves them: OneCycle with cycle_momentum.
  std::optional<std::pair<double, double>> betas(int64_t step, int64_t steps) const;

  /// The table of abi.h for a run of `steps` with an optimizer's betas.
  using Table = std::array<double, DSC_SCHEDULE_ROWS * DSC_SCHEDULE_PIECES>;
  Table table(int64_t steps, double beta1, double beta2) const;

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
  /// A column of the table, but that factor and betas are the numbers themselves.
  struct Piece {
    double begin = 0, end = 1e300;
    dsc_schedule_curve curve = DSC_CURVE_LINEAR;
    double origin = 0, width = 1, stairs = 0, limit = 1e300;
    double rate = 0, rateSpan = 0, factor = 0, factorSpan = 0;
    std::optional<double> beta1, beta2;
    double beta1Span = 0;
  };
  std::vector<Piece> pieces(int64_t steps) const;
  std::vector<Piece> plain(double steps) const;
  std::vector<Piece> warmed(double steps) const;
  std::vector<Piece> cycle(double steps) const;
  /// The piece of step `step`, and its share there.
  std::pair<Piece, double> at(int64_t step, int64_t steps) const;
};

} // namespace dsc

#endif // DSC_RUNTIME_SCHEDULE_H
