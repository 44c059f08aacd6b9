// Learning rate, betas, seed, accumulation.

#include "runtime/RunTimeValues.h"

#include <cmath>
#include <cstring>
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
  Result<ParameterGroups> groups =
      ParameterGroups::parse(line.has("--group") ? line.list("--group") : manifest.groups,
                             line.text("--no-decay", manifest.noDecay));
  if (groups.failed()) {
    return groups.status();
  }
  result.parameterGroups = std::move(*groups);
  Result<std::vector<ParameterGroups::Numbers>> numbers = result.parameterGroups.assign(
      manifest.updates, {result.value("lr", 0), result.value("weight-decay", 0)});
  if (numbers.failed()) {
    return numbers.status();
  }
  result.numbers = std::move(*numbers);
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

double RunTimeValues::value(std::string_view name, double absent) const {
  for (const auto &[each, value] : entries) {
    if (each == name) {
      return value;
    }
  }
  return absent;
}

double RunTimeValues::learningRate(int64_t step, int64_t steps) const {
  return curve.rate(value("lr", 0), step, steps);
}

std::string RunTimeValues::groupsSummary() const {
  size_t all = 0, withoutDecay = 0, otherRate = 0, otherDecay = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const size_t count = manifest->updates[i].parameters.size();
    all += count;
    withoutDecay += numbers[i].weightDecay == 0 ? count : 0;
    otherRate += numbers[i].lr != value("lr", 0) ? count : 0;
    const bool isOther = numbers[i].weightDecay != value("weight-decay", 0);
    otherDecay += isOther && numbers[i].weightDecay != 0 ? count : 0;
  }
  return format(
      "groups: of %zu parameters %zu without weight decay, %zu with another one, %zu with "
      "a learning rate of their own",
      all, withoutDecay, otherDecay, otherRate);
}

/// Writes `number` into every element of `tensor`.
static Status fill(Session &session, const PlannedTensor &tensor, double number) {
  return session.writeElements(tensor, [&](std::byte *target, int64_t, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      storeFromDouble(tensor.dtype, target, i, number);
    }
    return Status();
  });
}

Status RunTimeValues::apply(Session &session, int64_t steps) const {
  for (size_t i = 0; i < entries.size(); ++i) {
    DSC_RETURN_IF_FAILED(session.setRunTime(manifest->runTimeValues[i].global, entries[i].second));
  }
  DSC_RETURN_IF_FAILED(session.setRunTime("rt.seed", static_cast<double>(seedValue)));
  DSC_RETURN_IF_FAILED(session.setRunTime("rt.micro_batches", static_cast<double>(microBatches)));
  // Betas change by differences from what the program holds, in f32.
  auto inProgram = [&](const char *name) {
    return static_cast<double>(static_cast<float>(value(name, 0)));
  };
  const Schedule::Table table = curve.table(steps, inProgram("beta1"), inProgram("beta2"));
  if (!manifest->scheduleTable.name.empty()) {
    DSC_RETURN_IF_FAILED(session.writeElements(
        manifest->scheduleTable, [&](std::byte *target, int64_t first, int64_t count) {
          std::memcpy(target, table.data() + first, static_cast<size_t>(count) * sizeof table[0]);
          return Status();
        }));
  }
  for (size_t i = 0; i < numbers.size(); ++i) {
    DSC_RETURN_IF_FAILED(fill(session, manifest->updates[i].lr, numbers[i].lr));
    DSC_RETURN_IF_FAILED(fill(session, manifest->updates[i].weightDecay, numbers[i].weightDecay));
  }
  return {};
}
