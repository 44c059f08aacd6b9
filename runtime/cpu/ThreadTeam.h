// The threads that share a CPU op.
// One team for generated kernels and our matrix products: libgomp's pool, which libraries loaded
// later use as well. A second pool would fight the first for the cores. Work is dealt so that no
// value depends on the number of threads: pieces are independent and nothing is added across them.
// All calls come from the thread that started the team.

#ifndef DSC_RUNTIME_CPU_THREADTEAM_H
#define DSC_RUNTIME_CPU_THREADTEAM_H

#include "runtime/Status.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace dsc {

/// Cores of the process's affinity mask.
int coresOfProcess();

class ThreadTeam {
public:
  /// Bytes that each thread owns for packed operands and the like.
  static constexpr int64_t scratchBytesEach = int64_t(1) << 20;

  /// Sizes the team; 0 threads means all cores of the process's affinity mask. Loads libgomp,
  /// unless one thread is all there is.
  Status start(int threads);

  int threads() const { return count; }

  /// Calls `body(thread, threads)` once on each of at most `wanted` threads, and waits for all.
  template <typename Body> void run(int wanted, Body &&body) {
    wanted = std::min(wanted, count);
    if (wanted <= 1) {
      body(0, 1);
      return;
    }
    struct Call {
      ThreadTeam *team;
      std::remove_reference_t<Body> *body;
    } call{this, &body};
    parallel(
        [](void *data) {
          Call &call = *static_cast<Call *>(data);
          (*call.body)(call.team->threadNumber(), call.team->threadCount());
        },
        &call, wanted);
  }

  /// Inside run: waits until all threads of the run are here.
  void barrier(int threads) const {
    if (threads > 1) {
      waitForAll();
    }
  }

  /// Calls `body(begin, end)` on pieces of [0, units), each of at least `grain` units, at most one
  /// a thread: the same thread gets the same part of equal ranges, which keeps its caches useful.
  template <typename Body> void parallelFor(int64_t units, int64_t grain, Body &&body) {
    int64_t pieces = std::min<int64_t>(count, units / std::max<int64_t>(grain, 1));
    if (pieces <= 1) {
      if (units > 0) {
        body(int64_t(0), units);
      }
      return;
    }
    run(static_cast<int>(pieces), [&](int thread, int threads) {
      int64_t begin = units * thread / threads, end = units * (thread + 1) / threads;
      if (begin < end) {
        body(begin, end);
      }
    });
  }

  /// Calls `body(item, thread)` for [0, items), dealt one by one: for items of unequal cost.
  template <typename Body> void deal(int64_t items, Body &&body) {
    std::atomic<int64_t> next{0};
    run(static_cast<int>(std::min<int64_t>(items, count)), [&](int thread, int) {
      for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < items;) {
        body(item, thread);
      }
    });
  }

  /// The memory that `thread` owns; scratchBytesEach long, aligned to 64.
  void *scratch(int thread) const { return scratchOf[static_cast<size_t>(thread)].get(); }

private:
  void parallel(void (*body)(void *), void *data, int threads);
  int threadNumber() const { return getThreadNumber(); }
  int threadCount() const { return getThreadCount(); }
  void waitForAll() const;

  struct Free {
    void operator()(void *memory) const;
  };

  int count = 1;
  int (*getThreadNumber)() = nullptr;
  int (*getThreadCount)() = nullptr;
  std::vector<std::unique_ptr<void, Free>> scratchOf;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_THREADTEAM_H
