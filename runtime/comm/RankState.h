// What a rank is doing.
// Written by the threads that do it, without locks; read by the control channel, which tells others
// and judges whether the rank still moves.

#ifndef DSC_RUNTIME_COMM_RANKSTATE_H
#define DSC_RUNTIME_COMM_RANKSTATE_H

#include <atomic>
#include <cstdint>

namespace dsc {

/// Only computing has to make progress within --timeout: the rest may wait for disks.
enum class Activity : int { Starting, Computing, Saving, Ending };

struct RankState {
  std::atomic<int64_t> step{0};
  /// Grows with everything that is done.
  std::atomic<int64_t> progress{0};
  std::atomic<Activity> activity{Activity::Starting};
  /// The collective that is waited for, or null. The name must live on.
  std::atomic<const char *> waitsFor{nullptr};

  void moved() { progress.fetch_add(1, std::memory_order_relaxed); }
};

/// Another activity until the end of the scope.
class ActivityScope {
public:
  ActivityScope(RankState &state, Activity activity)
      : state(state), before(state.activity.exchange(activity)) {}
  ~ActivityScope() {
    state.moved();
    state.activity = before;
  }
  ActivityScope(const ActivityScope &) = delete;
  ActivityScope &operator=(const ActivityScope &) = delete;

private:
  RankState &state;
  Activity before;
};

} // namespace dsc

#endif // DSC_RUNTIME_COMM_RANKSTATE_H
