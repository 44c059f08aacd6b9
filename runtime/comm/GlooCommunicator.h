// Collectives over TCP, by Gloo's sends and receives.
// A thread of its own runs what was issued, in order, so that data moves while the program
// computes. Every rank exchanges with every other one directly: what a rank owns is added by it in
// rank order (RankOrderSum.h), and no byte is sent twice.

#ifndef DSC_RUNTIME_COMM_GLOOCOMMUNICATOR_H
#define DSC_RUNTIME_COMM_GLOOCOMMUNICATOR_H

#include "runtime/Communicator.h"
#include "runtime/comm/ControlChannel.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace gloo::transport {
class Context;
class Device;
class UnboundBuffer;
} // namespace gloo::transport

namespace dsc {

class GlooCommunicator final : public Communicator {
public:
  /// Connects each rank with each other one; all ranks call it. `control` and `state` outlive it.
  static Result<std::unique_ptr<GlooCommunicator>> connect(ControlChannel &control,
                                                           RankState &state);
  ~GlooCommunicator() override;

  int rank() const override { return control.rank(); }
  int ranks() const override { return control.ranks(); }
  Status issue(const dsc_collective &collective, const void *src, void *base) override;
  Status wait(int32_t id) override;
  Status waitAll() override;
  int64_t sentBytes(int32_t id) const override;
  Traffic traffic() const override;
  void startTimes() override;
  std::vector<CollectiveTime> stopTimes() override;

  /// Has all waiting end with `status`, and everything issued later.
  void abort(const Status &status);

private:
  using Clock = std::chrono::steady_clock;
  using Buffer = std::unique_ptr<gloo::transport::UnboundBuffer>;
  struct Request {
    dsc_collective collective;
    const void *src;
    std::byte *base;
    int64_t number;
  };
  class Transfer;

  GlooCommunicator(ControlChannel &control, RankState &state) : control(control), state(state) {}
  Status open();
  void serve();
  void carryOut(const Request &request, int64_t &sent);
  void reduceScatter(const Request &request, Transfer &transfer);
  void allGather(const Request &request, Transfer &transfer);
  void allReduce(const Request &request, Transfer &transfer);
  void pace(int64_t bytes);
  bool isAborted() const;
  std::unique_lock<std::mutex> locked() const { return std::unique_lock<std::mutex>(mutex); }
  Status failure(const char *name) const;

  ControlChannel &control;
  RankState &state;
  std::shared_ptr<gloo::transport::Device> device;
  std::shared_ptr<gloo::transport::Context> context;
  std::vector<std::byte> scratch;
  /// A test's bandwidth in bytes a second, 0 without one, and when the link is free again.
  double bandwidth = 0;
  Clock::time_point linkFree;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::deque<Request> requests;
  int64_t issued = 0, done = 0;
  /// Of the collectives that are out: the number of the last issue, and the name.
  std::map<int32_t, std::pair<int64_t, const char *>> out;
  std::map<int32_t, int64_t> sent;
  Status failed;
  bool closing = false;
  /// Buffers that the thread may be waiting on.
  std::vector<gloo::transport::UnboundBuffer *> active;
  Traffic totals;
  bool takesTimes = false;
  std::vector<CollectiveTime> times;
  Clock::time_point timesBegan;
  std::thread thread;
};

} // namespace dsc

#endif // DSC_RUNTIME_COMM_GLOOCOMMUNICATOR_H
