// Learning rate, betas, seed, accumulation.
// Takes the run-time values from the command line, checked against the manifest's table, and
// writes them into the session. --seed and --accumulate exist for every program that can use them.

#ifndef DSC_RUNTIME_RUNTIMEVALUES_H
#define DSC_RUNTIME_RUNTIMEVALUES_H

#include "runtime/CommandLine.h"
#include "runtime/ParameterGroups.h"
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
  /// The learning rate, outside of groups, of step `step` (from 1, skipped ones not counted) of a
  /// run of `steps`: what the program computes itself.
  double learningRate(int64_t step, int64_t steps) const;
  const std::string &schedule() const { return scheduleText; }
  /// Name and value of every entry of the manifest's table, in its order.
  const std::vector<std::pair<std::string, double>> &values() const { return entries; }

  const ParameterGroups &groups() const { return parameterGroups; }
  /// "groups: 12 of 28 parameters without weight decay, 2 with a learning rate of their own".
  std::string groupsSummary() const;

  /// Writes all of them, for a run of `steps`: seed and accumulation, the schedule's table and the
  /// numbers of groups included.
  Status apply(Session &session, int64_t steps) const;

private:
  const Manifest *manifest = nullptr;
  std::vector<std::pair<std::string, double>> entries;
  int64_t microBatches = 1;
  int64_t seedValue = 0;
  std::string scheduleText;
  Schedule curve;
  ParameterGroups parameterGroups;
  std::vector<ParameterGroups::Numbers> numbers; ///< of manifest->updates

  double value(std::string_view name, double absent) const;
};

} // namespace dsc

#endif // DSC_RUNTIME_RUNTIMEVALUES_H
