// Collectives between GPUs, by NCCL.
// They run on a stream of their own, in the order in which they were issued; events order them
// with the compute stream, and the host waits for none. Captured entries hold their collectives as
// nodes; what an entry leaves under way starts behind its graph and runs beside the next one. A
// thread watches what the GPU is in, and ends it when another rank is lost.

#ifndef DSC_RUNTIME_CUDA_NCCLCOMMUNICATOR_H
#define DSC_RUNTIME_CUDA_NCCLCOMMUNICATOR_H

#include "runtime/Communicator.h"
#include "runtime/comm/Ranks.h"
#include "runtime/cuda/CudaDriver.h"
#include "runtime/cuda/Nccl.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace dsc {

/// The collectives of a captured entry, in the order of their issue.
struct CapturedCollectives {
  struct Call {
    dsc_collective collective;
    const void *src;
    std::byte *base;
  };
  /// What the graph runs, and what starts once it has reached the place.
  std::vector<Call> inside, left;
  /// Of a graph that is captured for a profile: when each of `inside` ran.
  struct Times {
    CudaEvent begin{true}, end{true};
  };
  std::deque<Times> times;
};

class NcclCommunicator final : public Communicator {
public:
  /// Meets the other ranks; all of them call it, also one whose device failed for the reason
  /// `prepared`. `gpu` names this rank's GPU. Error: that of one of the ranks (an empty message
  /// where it is another's), or two ranks have one GPU. `ranks` and `driver` outlive it.
  static Result<std::unique_ptr<NcclCommunicator>> connect(const CudaDriver *driver, Ranks &ranks,
                                                           const Status &prepared);
  ~NcclCommunicator() override;

  int rank() const override { return ranksOfRun.rank(); }
  int ranks() const override { return ranksOfRun.count(); }
  Status plan(const dsc_collective &collective) override;
  Status issue(const dsc_collective &collective, const void *src, void *base) override;
  Status wait(int32_t id) override;
  Status waitAll() override;
  int64_t sentBytes(int32_t id) const override;
  int64_t sentChunks(int64_t chunks) const override;
  Traffic traffic() const override { return totals; }
  void startTimes() override;
  std::vector<CollectiveTime> stopTimes() override;

  /// From here to endCapture, issue and wait are for the entry that is being captured.
  void beginCapture(CapturedCollectives &entry, bool timed);
  /// Joins the streams that the capture went to with the compute stream.
  Status endCapture();
  /// Enqueues a replay by `graph` and what its entry leaves under way.
  Status launch(const CapturedCollectives &entry, const std::function<Status()> &graph);
  /// Takes the times of the last replay of `entry`, which is done. It began at `began` nanoseconds,
  /// when `origin` was recorded.
  Status collectTimes(const CapturedCollectives &entry, const CudaEvent &origin, int64_t began);

  /// Once a rank is lost, the reason why nothing goes on; success before.
  Status failure() const;
  /// What became of work on the GPU, which `status` tells from here; that a rank is gone is the
  /// better reason.
  Status explained(const Status &status) const;

private:
  using Call = CapturedCollectives::Call;
  using Times = CapturedCollectives::Times;
  using Lock = std::unique_lock<std::timed_mutex>;
  /// One collective. Of those that are left under way `ready` is recorded inside a graph and `done`
  /// outside; both events of all others on one side.
  struct Slot {
    const char *name = nullptr;
    CudaEvent ready, done;
    bool isLeft = false, isOut = false;
    int64_t sent = 0;
    Times leftTimes;
  };

  NcclCommunicator(const CudaDriver &driver, const NcclTable &nccl, Ranks &ranks)
      : driver(driver), nccl(nccl), ranksOfRun(ranks) {}
  Status open(const NcclId &id);
  Result<Lock> enter() const;
  Status start(const Call &call, Times *times, bool inGraph);
  Status enqueue(const Call &call);
  Status note(int64_t number);
  Status addTimes(const Call &call, const Times &of, const CudaEvent &origin, int64_t began);
  void count(const dsc_collective &collective);
  void watch();
  void observe();
  void end(const Status &status);

  const CudaDriver &driver;
  const NcclTable &nccl;
  Ranks &ranksOfRun;
  NcclComm *comm = nullptr;
  /// Collectives, and what tells the host which of them the GPU is in.
  CUstream stream = nullptr, notes = nullptr;
  std::map<int32_t, Slot> slots;
  CudaEvent joined, noted;
  Traffic totals;

  CapturedCollectives *capturing = nullptr;
  bool captureIsTimed = false;

  /// The numbers that notes are copied from, and the one that was written last: a collective's id
  /// plus one while the GPU is in it, else 0.
  static constexpr int64_t mostNotes = 1 << 12;
  DeviceMemory noteNumbers;
  PinnedMemory lastNote;
  /// Names of collectives by id, as far as there are notes; guarded by `mutex`.
  std::vector<const char *> names;
  const char *shown = nullptr; ///< what the watcher told to be waited for
  uint32_t shownNote = 0;

  bool takesTimes = false;
  std::vector<CollectiveTime> times;

  /// Held around all calls of NCCL and launches of graphs that hold its kernels.
  mutable std::timed_mutex calls;
  mutable std::mutex mutex;
  std::condition_variable changed;
  Status failed; ///< guarded by `mutex`, as what follows
  bool closing = false;
  bool isAborted = false; ///< the communicator is gone; guarded by `calls`
  std::thread watcher;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_NCCLCOMMUNICATOR_H
