// Learning rate, betas, seed, accumulation.
// Takes the run-time values from the command line, checked against the manifest's table, and
// writes them into the session. --seed and --accumulate exist for every program that can use them.

#ifndef DSC_RUNTIME_RUNTIMEVALUES_H
#define DSC_RUNTIME_RUNTIMEVALUES_H

#include "runtime/CommandLine.h"
#include "runtime/Schedule.h"
#include "runtime/Session.h"

#include <string>
#include <vector>

namespace dsc {

class RunTimeValues {
public:
  static Result<RunTimeValues> parse(const Manifest &manifest, const CommandLine &line);

  /// Micro-batches a step.
  int64_t accumulate() const { return microBatches; }
  int64_t seed() const { return seedValue; }
  /// The learning rate of step `step` (from 1) of a run of `steps`.
  double learningRate(int64_t step, int64_t steps) const;
  const std::string &schedule() const { return scheduleText; }
  /// Name and value of every entry of the manifest's table, in its order.
  const std::vector<std::pair<std::string, double>> &values() const { return entries; }

  /// Writes what step `step` (from 1) of a run of `steps` has of its own: the learning rate, and
  /// Adam's betas under a schedule that moves them.
  Status applyStep(Session &session, int64_t step, int64_t steps) const;

  /// Writes all of them, seed and accumulation included.
  Status apply(Session &session) const;

private:
  const Manifest *manifest = nullptr;
  std::vector<std::pair<std::string, double>> entries;
  int64_t microBatches = 1;
  int64_t seedValue = 0;
  std::string scheduleText;
  Schedule curve;
};

} // namespace dsc

#endif // DSC_RUNTIME_RUNTIMEVALUES_H
