// Where the time from the process's start to the first step goes.
// Phases are stretches of the main thread's time under a name. One that begins inside another stops
// the other's clock, so that the seconds of all phases and of what is in none add up to the whole.

#ifndef DSC_RUNTIME_STARTTIMES_H
#define DSC_RUNTIME_STARTTIMES_H

#include <string>
#include <vector>

namespace dsc {

struct StartTime {
  std::string phase;
  double seconds;
};

/// Since the process was loaded.
double secondsSinceStart();

/// The phases so far, in the order in which they first began, then "other".
std::vector<StartTime> startTimes();

/// "driver 0.31, products 0.12, .. s", without what took less than 5 ms.
std::string startTimesText(const std::vector<StartTime> &times);

/// Makes what it is alive for part of `phase`, a literal. Of the main thread alone; on others it
/// does nothing.
class StartPhase {
public:
  explicit StartPhase(const char *phase);
  ~StartPhase();
  StartPhase(const StartPhase &) = delete;
  StartPhase &operator=(const StartPhase &) = delete;

private:
  const char *outer;
};

} // namespace dsc

#endif // DSC_RUNTIME_STARTTIMES_H
