// The learning rate over a run.
// DeepSpeed's schedules: names, parameters, defaults, formulas and indices are those of its
// runtime/lr_schedules.py, version 0.19. It steps a schedule behind each update, so that update k
// (from 0) has the rate of index k - 1, and update 0 the one that its constructor leaves.

#include "runtime/Schedule.h"

#include "runtime/CommandLine.h"
#include "runtime/Names.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

using namespace dsc;

namespace {
enum class ValueKind {
  Length,   ///< steps, or a fraction of the run below 1
  Factor,   ///< in [0, 1]
  Number,   ///< at least 0
  Count,    ///< a whole number of at least 0
  Switch,   ///< true or false
  Warmup,   ///< log (1) or linear (0)
  Required, ///< a number without a default
};

struct KeySpec {
  const char *name;
  ValueKind kind;
  std::optional<double> absent = std::nullopt;
};
} // namespace

struct Schedule::KindSpec {
  const char *name;
  Kind kind;
  std::vector<KeySpec> keys;
};

const Schedule::KindSpec Schedule::kinds[] = {
    {"constant", Kind::Constant, {{"warmup", ValueKind::Length, 0}}},
    {"linear",
     Kind::Linear,
     {{"warmup", ValueKind::Length, 0},
      {"total", ValueKind::Length},
      {"end", ValueKind::Factor, 0}}},
    {"cosine",
     Kind::Cosine,
     {{"warmup", ValueKind::Length, 0},
      {"total", ValueKind::Length},
      {"end", ValueKind::Factor, 0}}},
    {"WarmupLR",
     Kind::WarmupLR,
     {{"warmup_min_lr", ValueKind::Number, 0},
      {"warmup_max_lr", ValueKind::Number},
      {"warmup_num_steps", ValueKind::Length, 1000},
      {"warmup_type", ValueKind::Warmup, 1}}},
    {"WarmupDecayLR",
     Kind::WarmupDecayLR,
     {{"total_num_steps", ValueKind::Length},
      {"warmup_min_lr", ValueKind::Number, 0},
      {"warmup_max_lr", ValueKind::Number, 0.001},
      {"warmup_num_steps", ValueKind::Length, 1000},
      {"warmup_type", ValueKind::Warmup, 1}}},
    {"WarmupCosineLR",
     Kind::WarmupCosineLR,
     {{"total_num_steps", ValueKind::Length},
      {"warmup_min_ratio", ValueKind::Factor, 0},
      {"warmup_num_steps", ValueKind::Length, 1000},
      {"cos_min_ratio", ValueKind::Factor, 1e-4},
      {"warmup_type", ValueKind::Warmup, 1}}},
    {"OneCycle",
     Kind::OneCycle,
     {{"cycle_min_lr", ValueKind::Required},
      {"cycle_max_lr", ValueKind::Required},
      {"decay_lr_rate", ValueKind::Number, 0},
      {"cycle_first_step_size", ValueKind::Length, 2000},
      {"cycle_second_step_size", ValueKind::Length},
      {"cycle_first_stair_count", ValueKind::Count, 0},
      {"cycle_second_stair_count", ValueKind::Count},
      {"decay_step_size", ValueKind::Length, 0},
      {"cycle_momentum", ValueKind::Switch, 1},
      {"cycle_min_mom", ValueKind::Factor, 0.8},
      {"cycle_max_mom", ValueKind::Factor, 0.9},
      {"decay_mom_rate", ValueKind::Number, 0}}},
    {"LRRangeTest",
     Kind::LRRangeTest,
     {{"lr_range_test_min_lr", ValueKind::Number, 1e-3},
      {"lr_range_test_step_size", ValueKind::Length, 2000},
      {"lr_range_test_step_rate", ValueKind::Number, 1},
      {"lr_range_test_staircase", ValueKind::Switch, 0}}},
};

const char *Schedule::help() {
  return "learning rate over the run: constant, linear or cosine, with warmup=, total=, end=; or "
         "DeepSpeed's WarmupLR, WarmupDecayLR, WarmupCosineLR, OneCycle, LRRangeTest with their "
         "parameters";
}

/// The value of `text`; what is wrong with it otherwise.
static Result<double> readValue(ValueKind kind, const std::string &text) {
  if (kind == ValueKind::Switch) {
    return text == "true"    ? Result<double>(1)
           : text == "false" ? Result<double>(0)
                             : Status::user("is neither true nor false");
  }
  if (kind == ValueKind::Warmup) {
    return text == "log"      ? Result<double>(1)
           : text == "linear" ? Result<double>(0)
                              : Status::user("is neither log nor linear");
  }
  std::optional<double> number = parseNumber(text);
  if (!number || *number < 0) {
    return Status::user("is not key=number of at least 0");
  }
  if (kind == ValueKind::Factor && *number > 1) {
    return Status::user("is a factor, at most 1");
  }
  if (kind == ValueKind::Length && *number >= 1 && *number != std::floor(*number)) {
    return Status::user("is neither steps nor a fraction below 1");
  }
  if (kind == ValueKind::Count && *number != std::floor(*number)) {
    return Status::user("is not a whole number");
  }
  return *number;
}

Result<Schedule> Schedule::parse(const std::string &text) {
  auto wrong = [&](const std::string &what) {
    return Status::user("schedule \"" + text + "\": " + what);
  };
  std::istringstream items(text);
  std::string item;
  std::getline(items, item, ',');
  const KindSpec *spec = nullptr;
  std::vector<std::string> names;
  for (const KindSpec &candidate : kinds) {
    spec = item == candidate.name ? &candidate : spec;
    names.emplace_back(candidate.name);
  }
  if (!spec) {
    return wrong("\"" + item + "\" is not " + listed(names, "or") + nearestName(item, names));
  }
  Schedule schedule;
  schedule.kind = spec->kind;
  names.clear();
  for (const KeySpec &key : spec->keys) {
    names.emplace_back(key.name);
  }
  while (std::getline(items, item, ',')) {
    size_t equals = std::min(item.find('='), item.size());
    std::string name = item.substr(0, equals);
    auto key = std::find_if(spec->keys.begin(), spec->keys.end(),
                            [&](const KeySpec &candidate) { return name == candidate.name; });
    if (key == spec->keys.end()) {
      return wrong("\"" + name + "\" is not one of its keys: " + listed(names, "and") +
                   nearestName(name, names));
    }
    Result<double> value =
        readValue(key->kind, equals < item.size() ? item.substr(equals + 1) : "");
    if (value.failed()) {
      return wrong(item + ": " + value.status().message());
    }
    if (!schedule.values.emplace(name, *value).second) {
      return wrong("\"" + name + "\" is given twice");
    }
  }
  for (const KeySpec &key : spec->keys) {
    if (key.kind == ValueKind::Required && !schedule.values.count(key.name)) {
      return wrong("needs " + std::string(key.name) + "=NUMBER");
    }
    if (key.absent) {
      schedule.values.emplace(key.name, *key.absent);
    }
  }
  if (schedule.kind == Kind::OneCycle) {
    if (schedule.value("cycle_first_step_size") == 0) {
      return wrong("cycle_first_step_size is 0: the cycle has no way up");
    }
    if (schedule.value("cycle_max_mom") >= 1 || schedule.value("decay_mom_rate") > 0) {
      return wrong(schedule.value("decay_mom_rate") > 0
                       ? "decay_mom_rate lets beta1 grow past 1, where Adam diverges; leave it 0"
                       : "cycle_max_mom is a beta1, below 1");
    }
  }
  if (schedule.kind == Kind::LRRangeTest && schedule.value("lr_range_test_step_size") == 0) {
    return wrong("lr_range_test_step_size is 0: the rate has no steps to grow in");
  }
  return schedule;
}

double Schedule::value(const char *key, double absent) const {
  auto found = values.find(key);
  return found == values.end() ? absent : found->second;
}

double Schedule::length(const char *key, double steps, double absent) const {
  double given = value(key, absent);
  return given < 1 ? std::floor(given * steps) : given;
}

double Schedule::plain(double base, double step, double steps) const {
  double begin = length("warmup", steps), finish = length("total", steps, steps);
  finish = finish > 0 ? finish : steps;
  if (step < begin) {
    return base * (step / begin);
  }
  if (kind == Kind::Constant) {
    return base;
  }
  double done =
      finish > begin ? std::min(std::max((step - begin) / (finish - begin), 0.0), 1.0) : 1;
  double shape = kind == Kind::Linear ? 1 - done : 0.5 * (1 + std::cos(M_PI * done));
  double end = value("end");
  return base * (end + (1 - end) * shape);
}

double Schedule::warmed(double base, double update, double steps) const {
  const double width = std::max(2.0, length("warmup_num_steps", steps, 1000));
  const double total = length("total_num_steps", steps, steps);
  const double index = update - 1;
  const double gamma = value("warmup_type") != 0
                           ? std::log(std::max(index, 0.0) + 1) / std::log(width)
                           : std::max(index, 0.0) / width;
  if (kind == Kind::WarmupCosineLR) {
    if (index < 0) {
      return 0;
    }
    double low = value("warmup_min_ratio"), floor = value("cos_min_ratio");
    if (index < width) {
      return base * (low + (1 - low) * gamma);
    }
    double done = std::min(1.0, (index - width + 1) / std::max(1.0, total - width));
    return base * (floor + (1 - floor) * (1 + std::cos(M_PI * done)) / 2);
  }
  double low = value("warmup_min_lr"), high = value("warmup_max_lr", base), share = 1;
  if (index < width) {
    share = gamma;
  } else if (kind == Kind::WarmupDecayLR) {
    share = std::max(0.0, (total - index) / std::max(1.0, total - width));
  }
  return low + (high - low) * share;
}

std::pair<double, double> Schedule::cycle(double update, double steps) const {
  const double up = std::max(1.0, length("cycle_first_step_size", steps));
  const double down = length("cycle_second_step_size", steps, up);
  if (update <= 0) {
    return {0, 0};
  }
  if (update - 1 >= up + down) {
    return {0, update - (up + down)};
  }
  const double now = std::fmod(update, up + down);
  const bool rises = now <= up;
  double share = rises ? now / up : (up + down - now) / down;
  const double first = value("cycle_first_stair_count");
  const double stairs = rises ? first : value("cycle_second_stair_count", first);
  return {stairs > 0 ? std::floor(stairs * share) / stairs : share, 0};
}

double Schedule::rate(double base, int64_t step, int64_t steps) const {
  const auto run = static_cast<double>(std::max<int64_t>(steps, 1));
  const auto update = static_cast<double>(step - 1);
  switch (kind) {
  case Kind::Constant:
  case Kind::Linear:
  case Kind::Cosine:
    return plain(base, static_cast<double>(step), run);
  case Kind::WarmupLR:
  case Kind::WarmupDecayLR:
  case Kind::WarmupCosineLR:
    return warmed(base, update, run);
  case Kind::OneCycle: {
    auto [share, behind] = cycle(update, run);
    double low = value("cycle_min_lr"), high = value("cycle_max_lr");
    double decayRate = value("decay_lr_rate"), decayStep = length("decay_step_size", run);
    if (behind > 0 && decayRate > 0 && decayStep > 0) {
      return low / (1 + decayRate * behind / decayStep);
    }
    return low + (high - low) * share;
  }
  case Kind::LRRangeTest: {
    double x = update / std::max(1.0, length("lr_range_test_step_size", run));
    x = value("lr_range_test_staircase") != 0 ? std::floor(x) : x;
    return value("lr_range_test_min_lr") * (1 + value("lr_range_test_step_rate") * x);
  }
  }
  return base;
}

std::optional<std::pair<double, double>> Schedule::betas(int64_t step, int64_t steps) const {
  if (kind != Kind::OneCycle || value("cycle_momentum") == 0) {
    return std::nullopt;
  }
  double low = value("cycle_min_mom"), high = value("cycle_max_mom");
  // The constructor leaves the lower one, from which the first step jumps to near the upper.
  if (step <= 1) {
    return std::pair{low, 0.99};
  }
  auto [share, behind] =
      cycle(static_cast<double>(step - 1), static_cast<double>(std::max<int64_t>(steps, 1)));
  return std::pair{behind > 0 ? high : high - (high - low) * share, 0.99};
}
