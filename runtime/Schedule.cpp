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

//===----------------------------------------------------------------------===//
// Pieces
//===----------------------------------------------------------------------===//

static constexpr double endless = 1e300;

/// constant, linear and cosine, by steps: step s is the one behind k = s - 1 updates.
std::vector<Schedule::Piece> Schedule::plain(double steps) const {
  const double warm = length("warmup", steps), given = length("total", steps, steps);
  const double finish = given > 0 ? given : steps, end = value("end");
  Piece up;
  up.end = warm - 1;
  up.origin = -1;
  up.width = warm;
  up.factorSpan = 1;
  Piece rest;
  rest.begin = std::max(warm - 1, 0.0);
  rest.factor = kind == Kind::Constant || finish > warm ? 1 : end;
  if (kind != Kind::Constant && finish > warm) {
    rest.origin = warm - 1;
    rest.width = finish - warm;
    rest.limit = 1;
    const bool isLine = kind == Kind::Linear;
    rest.curve = isLine ? DSC_CURVE_LINEAR : DSC_CURVE_COSINE;
    rest.factor = isLine ? 1 : end;
    rest.factorSpan = isLine ? end - 1 : 1 - end;
  }
  return {up, rest};
}

/// DeepSpeed's schedules with warm-up; index i of its formulas is k - 1.
std::vector<Schedule::Piece> Schedule::warmed(double steps) const {
  const double width = std::max(2.0, length("warmup_num_steps", steps, 1000));
  const double total = length("total_num_steps", steps, steps);
  const bool isLog = value("warmup_type") != 0;
  // The way up: low + (high - low) gamma, with gamma = log(i + 1) / log(W) or i / W.
  Piece up;
  up.end = width + 1;
  up.origin = 1;
  up.curve = isLog ? DSC_CURVE_LOG : DSC_CURVE_LINEAR;
  up.width = isLog ? 1 : width;
  const double unit = isLog ? 1 / std::log(width) : 1;
  Piece rest;
  rest.begin = up.end;
  if (kind == Kind::WarmupCosineLR) {
    Piece first;
    first.end = up.begin = 1;
    up.factor = value("warmup_min_ratio");
    up.factorSpan = (1 - up.factor) * unit;
    rest.curve = DSC_CURVE_COSINE;
    rest.origin = width;
    rest.width = std::max(1.0, total - width);
    rest.limit = 1;
    rest.factor = value("cos_min_ratio");
    rest.factorSpan = 1 - rest.factor;
    return {first, up, rest};
  }
  // The upper end is a number, or the optimizer's rate.
  const double low = value("warmup_min_lr");
  const bool isGiven = values.count("warmup_max_lr") != 0;
  const double high = value("warmup_max_lr");
  auto between = [&](Piece &piece, double scale) {
    piece.rate = low;
    piece.rateSpan = (isGiven ? high - low : -low) * scale;
    piece.factorSpan = isGiven ? 0 : scale;
  };
  between(up, unit);
  if (kind == Kind::WarmupLR) {
    rest.rate = isGiven ? high : 0;
    rest.factor = isGiven ? 0 : 1;
  } else {
    between(rest, 1);
    rest.origin = total + 1;
    rest.width = -std::max(1.0, total - width);
  }
  return {up, rest};
}

std::vector<Schedule::Piece> Schedule::cycle(double steps) const {
  const double up = std::max(1.0, length("cycle_first_step_size", steps));
  const double down = length("cycle_second_step_size", steps, up);
  const double low = value("cycle_min_lr"), high = value("cycle_max_lr");
  const bool moves = value("cycle_momentum") != 0;
  const double least = value("cycle_min_mom"), most = value("cycle_max_mom");
  const double firstStairs = value("cycle_first_stair_count");
  Piece first, rise, fall, behind;
  for (Piece *piece : {&first, &rise, &fall, &behind}) {
    piece->rate = low;
    if (moves) {
      piece->beta1 = most;
      piece->beta2 = 0.99;
    }
  }
  // The constructor leaves the lower momentum, from which the first step jumps to near the upper.
  if (moves) {
    first.beta1 = least;
  }
  first.end = rise.begin = 1;
  rise.end = fall.begin = up + (down > 0 ? 1 : 0);
  rise.width = up;
  rise.stairs = firstStairs;
  fall.end = behind.begin = up + down + 1;
  fall.origin = up + down;
  fall.width = down > 0 ? -down : 1;
  fall.limit = down > 0 ? endless : 0;
  fall.stairs = value("cycle_second_stair_count", firstStairs);
  for (Piece *piece : {&rise, &fall}) {
    piece->rateSpan = high - low;
    piece->beta1Span = moves ? least - most : 0;
  }
  const double decayRate = value("decay_lr_rate"), decayStep = length("decay_step_size", steps);
  if (decayRate > 0 && decayStep > 0) {
    behind.curve = DSC_CURVE_INVERSE;
    behind.origin = up + down;
    behind.width = decayStep / decayRate;
    behind.rate = 0;
    behind.rateSpan = low;
  }
  return {first, rise, fall, behind};
}

std::vector<Schedule::Piece> Schedule::pieces(int64_t total) const {
  const auto steps = static_cast<double>(std::max<int64_t>(total, 1));
  switch (kind) {
  case Kind::Constant:
  case Kind::Linear:
  case Kind::Cosine:
    return plain(steps);
  case Kind::WarmupLR:
  case Kind::WarmupDecayLR:
  case Kind::WarmupCosineLR:
    return warmed(steps);
  case Kind::OneCycle:
    return cycle(steps);
  case Kind::LRRangeTest: {
    Piece only;
    only.width = std::max(1.0, length("lr_range_test_step_size", steps));
    only.stairs = value("lr_range_test_staircase") != 0 ? 1 : 0;
    only.rate = value("lr_range_test_min_lr");
    only.rateSpan = only.rate * value("lr_range_test_step_rate");
    return {only};
  }
  }
  return {};
}

/// curve(t) of piece `piece` behind k updates: the formula of abi.h, which programs compute.
static double shareOf(double k, double origin, double width, double stairs, double limit,
                      int curve) {
  double t = (k - origin) / width;
  t = stairs > 0 ? std::floor(t * stairs) / stairs : t;
  t = std::min(std::max(t, 0.0), limit);
  switch (curve) {
  case DSC_CURVE_COSINE:
    return (std::cos(t * M_PI) + 1) * 0.5;
  case DSC_CURVE_LOG:
    return std::log(t + 1);
  case DSC_CURVE_INVERSE:
    return 1 / (t + 1);
  default:
    return t;
  }
}

std::pair<Schedule::Piece, double> Schedule::at(int64_t step, int64_t steps) const {
  const auto k = static_cast<double>(step - 1);
  for (const Piece &piece : pieces(steps)) {
    if (k >= piece.begin && k < piece.end) {
      return {piece, shareOf(k, piece.origin, piece.width, piece.stairs, piece.limit, piece.curve)};
    }
  }
  return {};
}

double Schedule::rate(double base, int64_t step, int64_t steps) const {
  auto [piece, share] = at(step, steps);
  return piece.rate + piece.rateSpan * share + (piece.factor + piece.factorSpan * share) * base;
}

std::optional<std::pair<double, double>> Schedule::betas(int64_t step, int64_t steps) const {
  auto [piece, share] = at(step, steps);
  if (!piece.beta1) {
    return std::nullopt;
  }
  return std::pair{*piece.beta1 + piece.beta1Span * share, *piece.beta2};
}

Schedule::Table Schedule::table(int64_t steps, double beta1, double beta2) const {
  Table table = {};
  size_t column = 0;
  for (const Piece &piece : pieces(steps)) {
    const double numbers[DSC_SCHEDULE_ROWS] = {piece.begin,
                                               piece.end,
                                               static_cast<double>(piece.curve),
                                               piece.origin,
                                               piece.width,
                                               piece.stairs,
                                               piece.limit,
                                               piece.rate,
                                               piece.rateSpan,
                                               piece.factor - 1,
                                               piece.factorSpan,
                                               piece.beta1.value_or(beta1) - beta1,
                                               piece.beta1Span,
                                               piece.beta2.value_or(beta2) - beta2};
    for (size_t row = 0; row < DSC_SCHEDULE_ROWS; ++row) {
      table[row * DSC_SCHEDULE_PIECES + column] = numbers[row];
    }
    ++column;
  }
  return table;
}
