// The learning rate over a run.

#include "runtime/Schedule.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

using namespace dsc;

Result<Schedule> Schedule::parse(const std::string &text) {
  auto wrong = [&](const std::string &what) {
    return Status::user("schedule \"" + text + "\": " + what);
  };
  Schedule schedule;
  std::istringstream items(text);
  std::string item;
  std::getline(items, item, ',');
  if (item == "linear") {
    schedule.kind = Kind::Linear;
  } else if (item == "cosine") {
    schedule.kind = Kind::Cosine;
  } else if (item != "constant") {
    return wrong("\"" + item + "\" is not constant, linear or cosine");
  }
  while (std::getline(items, item, ',')) {
    size_t equals = std::min(item.find('='), item.size());
    std::string key = item.substr(0, equals);
    std::string value = equals < item.size() ? item.substr(equals + 1) : "";
    char *rest = nullptr;
    double number = std::strtod(value.c_str(), &rest);
    bool decays = schedule.kind != Kind::Constant;
    double *target = key == "warmup"            ? &schedule.warmup
                     : decays && key == "total" ? &schedule.total
                     : decays && key == "end"   ? &schedule.end
                                                : nullptr;
    if (!target) {
      return wrong("\"" + key + "\" is not one of its keys: warmup" +
                   (decays ? ", total, end" : ""));
    }
    if (value.empty() || *rest || !std::isfinite(number) || number < 0) {
      return wrong(item + ": is not key=number of at least 0");
    }
    if (target == &schedule.end ? number > 1 : number >= 1 && number != std::floor(number)) {
      return wrong(item + (target == &schedule.end ? ": is a factor, at most 1"
                                                   : ": is neither steps nor a fraction below 1"));
    }
    *target = number;
  }
  return schedule;
}

double Schedule::factor(int64_t step, int64_t steps) const {
  auto run = static_cast<double>(std::max<int64_t>(steps, 1));
  auto length = [&](double value) { return value < 1 ? std::floor(value * run) : value; };
  auto now = static_cast<double>(step);
  double begin = length(warmup), finish = total > 0 ? length(total) : run;
  if (now < begin) {
    return now / begin;
  }
  if (kind == Kind::Constant) {
    return 1;
  }
  double done = finish > begin ? std::min(std::max((now - begin) / (finish - begin), 0.0), 1.0) : 1;
  double shape = kind == Kind::Linear ? 1 - done : 0.5 * (1 + std::cos(M_PI * done));
  return end + (1 - end) * shape;
}
