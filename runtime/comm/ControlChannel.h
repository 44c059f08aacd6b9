// What ranks say to each other beside their data.
// Every rank keeps a TCP connection to rank 0 and a thread that serves it: signs of life with what
// the rank is doing, small exchanges, and agreement on when to stop or to save. The thread also
// judges: a rank that dies, goes silent or stands still ends all others within `timeout`, each with
// a message that names the rank, the step and the collective.

#ifndef DSC_RUNTIME_COMM_CONTROLCHANNEL_H
#define DSC_RUNTIME_COMM_CONTROLCHANNEL_H

#include "runtime/Json.h"
#include "runtime/comm/RankState.h"
#include "runtime/comm/Rendezvous.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace dsc {

/// What all ranks do at a boundary between two rounds.
struct Orders {
  /// The signal that ends the run, or 0.
  int stop = 0;
  bool save = false;
};

class ControlChannel {
public:
  using Clock = std::chrono::steady_clock;
  using Milliseconds = std::chrono::milliseconds;

  /// Meets the other ranks and starts the thread. `state` outlives the channel.
  static Result<std::unique_ptr<ControlChannel>> open(const RankLayout &layout, RankState &state,
                                                      Milliseconds timeout);
  ~ControlChannel();

  int rank() const { return layout.rank; }
  int ranks() const { return layout.ranks; }
  const std::vector<RankPlace> &places() const { return meeting.places; }
  /// An address of this machine that the other ranks reach.
  const std::string &address() const { return meeting.address; }
  /// "rank 2 (node7, process 1234)".
  std::string nameOf(int rank) const;

  /// Every rank's bytes to every rank. All ranks call exchange and gather in the same order.
  Result<std::vector<std::string>> exchange(const std::string &mine);
  /// Every rank's bytes to rank 0; the others get nothing back, once rank 0 has them all.
  Result<std::vector<std::string>> gather(const std::string &mine);

  /// Asks that all ranks stop because of `signal`, or save, at the next boundary that all can
  /// reach.
  void request(const Orders &orders);
  /// A boundary between rounds (steps, batches of an evaluation), which all ranks pass in the same
  /// sequence; the orders that were agreed on for this one. Waits while ranks agree.
  Orders passBoundary();

  /// The failure that ends this run, or success. Exit code 3, or that of a rank's own error.
  Status failure() const;
  /// Why what carries data broke: the channel knows best, but may need a moment. `reason` is told
  /// to all if it does not.
  Status explain(const std::string &reason);
  /// Called once, by the channel's thread, when a failure is known. Null takes that of `owner`
  /// back.
  void onFailure(const void *owner, std::function<void(const Status &)> callback);

  /// Tells how this rank ended. Rank 0 waits for the others, and returns what became of them.
  Status end(const Status &status);

private:
  ControlChannel(const RankLayout &layout, RankState &state, Milliseconds timeout)
      : layout(layout), state(state), timeout(timeout) {}

  /// What is known of another rank. Rank 0 has one for each; the others only one for rank 0.
  struct Peer {
    Clock::time_point heard = Clock::now();
    bool ended = false;
    int64_t step = 0;
    /// The collective that it waits for, as far as it told, and since when.
    std::string waitsFor;
    Clock::time_point waitsSince;
    std::deque<std::string> exchanged, gathered;
  };
  /// An agreement under way, at rank 0.
  struct Agreement {
    bool active = false;
    Orders orders, next;
    std::vector<int64_t> boundaries; ///< by rank; -1: not told yet
  };

  bool isFirst() const { return layout.rank == 0; }
  void run();
  void readFrom(int peer);
  void handle(int peer, const Message &message);
  void sendTo(int peer, char kind, const std::string &bytes);
  void sendToAll(char kind, const std::string &bytes);
  void beat(Clock::time_point now);
  void judge(Clock::time_point now);
  void lost(int peer);
  void fail(int rank, const std::string &what, ExitCode code = ExitCode::Rank);
  void startAgreement();
  void answerAgreement(int rank, int64_t boundary);
  void decide(int64_t boundary, const Orders &orders);
  template <typename Ready> void waitFor(std::unique_lock<std::mutex> &lock, Ready ready);
  void finishExchanges();
  std::string ownSituation() const;
  Json heartbeat() const;

  /// Silence or standing still for longer is a failure.
  Milliseconds patience() const { return timeout * 8 / 10; }
  /// What a failing run has to end by itself before the thread ends the process.
  Milliseconds grace() const { return timeout * 15 / 100; }
  Milliseconds interval() const;

  RankLayout layout;
  RankState &state;
  Milliseconds timeout;
  Meeting meeting;

  mutable std::mutex mutex;
  std::condition_variable changed;
  std::vector<Peer> peers;
  bool closing = false, ended = false;
  Status failed;
  Clock::time_point failedAt;
  /// Held while callbacks run, so that who takes one back knows that it does not.
  std::mutex callbackMutex;
  struct Callback {
    std::function<void(const Status &)> call;
    bool told = false;
  };
  std::map<const void *, Callback> callbacks; ///< by owner

  std::deque<std::vector<std::string>> results;
  int64_t gathersDone = 0;

  int64_t boundary = 0;
  bool frozen = false;
  std::map<int64_t, Orders> decided; ///< by boundary, those that are not passed yet
  Agreement agreement;

  Clock::time_point lastBeat, lastTick, movedAt;
  int64_t lastProgress = -1;
  const char *lastWait = nullptr;
  Clock::time_point waitsSince;
  Descriptor wakeUp;
  std::thread thread;
};

} // namespace dsc

#endif // DSC_RUNTIME_COMM_CONTROLCHANNEL_H
