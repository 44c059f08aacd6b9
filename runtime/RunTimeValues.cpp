// Learning rate, betas, seed, accumulation.

#include "runtime/RunTimeValues.h"

#include <cmath>
#include <map>

using namespace dsc;

static Status checkRange(const RunTimeValue &spec, const GlobalSpec *global, double value,
                         const std::string &text) {
  auto wrong = [&](const std::string &what) {
    return Status::user(spec.flag + " " + text + ": " + what);
  };
  if (spec.minimum &&
      (value < *spec.minimum || (spec.exclusiveMinimum && value == *spec.minimum))) {
    return wrong(
        format("must be %s %g", spec.exclusiveMinimum ? "above" : "at least", *spec.minimum));
  }
  if (spec.maximum &&
      (value > *spec.maximum || (spec.exclusiveMaximum && value == *spec.maximum))) {
    return wrong(
        format("must be %s %g", spec.exclusiveMaximum ? "below" : "at most", *spec.maximum));
  }
  if (global && !isFloat(global->dtype) &&
      (value != std::floor(value) || std::fabs(value) > 0x1p53)) {
    return wrong("must be an integer");
  }
  if (global && global->dtype == DSC_F32 && !std::isfinite(static_cast<float>(value))) {
    return wrong("is too large");
  }
  return {};
}

Result<RunTimeValues> RunTimeValues::parse(const Manifest &manifest, const CommandLine &line) {
  RunTimeValues result;
  result.manifest = &manifest;
  // Values that share a flag take its comma-separated parts in the table's order.
  std::map<std::string, std::vector<std::string>> parts;
  std::map<std::string, size_t> sharing, taken;
  for (const RunTimeValue &spec : manifest.runTimeValues) {
    ++sharing[spec.flag];
  }
  for (const auto &[flag, count] : sharing) {
    if (flag.empty() || !line.has(flag)) {
      continue;
    }
    std::string text = line.text(flag);
    std::vector<std::string> &list = parts[flag];
    for (size_t begin = 0, comma; begin <= text.size(); begin = comma + 1) {
      comma = std::min(text.find(',', begin), text.size());
      list.push_back(text.substr(begin, comma - begin));
    }
    if (list.size() != count) {
      return Status::user(format("%s %s: has %zu values and the program takes %zu", flag.c_str(),
                                 text.c_str(), list.size(), count));
    }
  }
  result.scheduleText = line.text("--schedule", manifest.schedule);
  Result<Schedule> schedule = Schedule::parse(result.scheduleText);
  if (schedule.failed()) {
    return schedule.status().in("--schedule");
  }
  result.curve = *schedule;
  bool hasSeed = false, hasAccumulate = false;
  for (const RunTimeValue &spec : manifest.runTimeValues) {
    double value = spec.defaultValue;
    if (auto list = parts.find(spec.flag); list != parts.end()) {
      const std::string &text = list->second[taken[spec.flag]++];
      std::optional<double> number = parseNumber(text);
      if (!number) {
        return Status::user(spec.flag + " " + text + ": is not a finite number");
      }
      value = *number;
      DSC_RETURN_IF_FAILED(checkRange(spec, manifest.global(spec.global), value, text));
    }
    if (spec.name == "seed") {
      hasSeed = true;
      result.seedValue = static_cast<int64_t>(value);
    }
    if (spec.name == "accumulate") {
      hasAccumulate = true;
      result.microBatches = static_cast<int64_t>(value);
    }
    result.entries.emplace_back(spec.name, value);
  }
  if (!hasSeed) {
    Result<int64_t> seed = line.integer("--seed", 0, 0);
    if (seed.failed()) {
      return seed.status();
    }
    result.seedValue = *seed;
  }
  if (!hasAccumulate) {
    Result<int64_t> count =
        line.integer("--accumulate", manifest.accumulate ? manifest.accumulate : 1, 1);
    if (count.failed()) {
      return count.status();
    }
    result.microBatches = *count;
  }
  const auto planned = static_cast<long long>(manifest.accumulate);
  if (result.microBatches < 1 || (planned && result.microBatches > planned)) {
    return Status::user(
        format("--accumulate %lld: the program was compiled for at most %lld; compile "
               "again with --accumulate=N or --accumulate=any",
               static_cast<long long>(result.microBatches), planned));
  }
  if (result.microBatches > 1 && !manifest.hasEntry("micro")) {
    return Status::user(
        "--accumulate: the program was compiled without accumulation; compile again "
        "with --accumulate=N or --accumulate=any");
  }
  return result;
}

double RunTimeValues::learningRate(int64_t step, int64_t steps) const {
  for (const auto &[name, value] : entries) {
    if (name == "lr") {
      return curve.rate(value, step, steps);
    }
  }
  return 0;
}

Status RunTimeValues::applyStep(Session &session, int64_t step, int64_t steps) const {
  if (auto betas = curve.betas(step, steps)) {
    DSC_RETURN_IF_FAILED(session.setRunTime("rt.beta1", betas->first));
    DSC_RETURN_IF_FAILED(session.setRunTime("rt.beta2", betas->second));
  }
  return session.setRunTime("rt.lr", learningRate(step, steps));
}

Status RunTimeValues::apply(Session &session) const {
  for (size_t i = 0; i < entries.size(); ++i) {
    DSC_RETURN_IF_FAILED(session.setRunTime(manifest->runTimeValues[i].global, entries[i].second));
  }
  DSC_RETURN_IF_FAILED(session.setRunTime("rt.seed", static_cast<double>(seedValue)));
  return session.setRunTime("rt.micro_batches", static_cast<double>(microBatches));
}
