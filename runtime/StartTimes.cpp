// Where the time from the process's start to the first step goes.

#include "runtime/StartTimes.h"

#include "runtime/Status.h"

#include <algorithm>
#include <chrono>
#include <thread>

using namespace dsc;

using Clock = std::chrono::steady_clock;

static const Clock::time_point processBegan = Clock::now();
static const std::thread::id mainThread = std::this_thread::get_id();

static double secondsBetween(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

namespace {
struct Phases {
  std::vector<StartTime> times;
  const char *current = nullptr;
  Clock::time_point since;

  /// Adds the time since the last change to the current phase and goes on with `next`.
  void change(const char *next) {
    const Clock::time_point now = Clock::now();
    if (current) {
      find(current).seconds += secondsBetween(since, now);
    }
    if (next) {
      find(next);
    }
    current = next;
    since = now;
  }

  StartTime &find(const char *phase) {
    auto found = std::find_if(times.begin(), times.end(),
                              [&](const StartTime &time) { return time.phase == phase; });
    return found == times.end() ? times.emplace_back(StartTime{phase, 0}) : *found;
  }
};
} // namespace

static Phases &phases() {
  static Phases all;
  return all;
}

double dsc::secondsSinceStart() { return secondsBetween(processBegan, Clock::now()); }

std::vector<StartTime> dsc::startTimes() {
  phases().change(phases().current);
  std::vector<StartTime> times = phases().times;
  double other = secondsSinceStart();
  for (const StartTime &time : times) {
    other -= time.seconds;
  }
  times.push_back({"other", std::max(other, 0.0)});
  return times;
}

std::string dsc::startTimesText(const std::vector<StartTime> &times) {
  std::string text;
  for (const StartTime &time : times) {
    if (time.seconds >= 5e-3) {
      text += format("%s%s %.2f", text.empty() ? "" : ", ", time.phase.c_str(), time.seconds);
    }
  }
  return text + (text.empty() ? "" : " s");
}

StartPhase::StartPhase(const char *phase) : outer(nullptr) {
  if (std::this_thread::get_id() == mainThread) {
    outer = phases().current;
    phases().change(phase);
  }
}

StartPhase::~StartPhase() {
  if (std::this_thread::get_id() == mainThread) {
    phases().change(outer);
  }
}
