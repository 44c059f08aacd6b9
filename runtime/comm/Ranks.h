// The ranks of a run, as its commands see them.
// One object for one rank and for many: who this rank is, agreement on how to begin, when to stop
// and when to save, and the communicator between the ranks' hosts.

#ifndef DSC_RUNTIME_COMM_RANKS_H
#define DSC_RUNTIME_COMM_RANKS_H

#include "runtime/Communicator.h"
#include "runtime/comm/ControlChannel.h"
#include "runtime/comm/RankLayout.h"
#include "runtime/comm/RankState.h"

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace dsc {

class GlooCommunicator;

/// What must be equal on all ranks: what it is called, and its value.
using Facts = std::vector<std::pair<std::string, std::string>>;

class Ranks {
public:
  /// One rank.
  Ranks();
  /// Meets the other ranks of `layout`, where there are any.
  static Result<std::unique_ptr<Ranks>> open(const RankLayout &layout,
                                             std::chrono::milliseconds timeout);
  ~Ranks();

  int rank() const { return layout.rank; }
  int count() const { return layout.ranks; }
  /// Rank 0 prints, logs and writes.
  bool isFirst() const { return layout.rank == 0; }
  /// "4 ranks from torchrun, 1 node".
  std::string summary() const { return layout.summary(); }
  /// "rank 2 (node7, process 1234): " before an error; nothing for rank 0.
  std::string errorPrefix() const;
  /// How many ranks of this machine share this rank's processors with it, itself included.
  int sharingProcessors() const { return sharing; }
  /// Ranks on this machine, and the place of this one among them.
  int onThisMachine() const { return layout.localRanks; }
  int placeOnMachine() const { return layout.localRank; }
  /// What exchanges the host's memory. Null with one rank.
  Communicator *communicator() const;
  RankState &state() { return rankState; }

  /// Brings together how the ranks prepared. If one failed, or if their facts differ, all of them
  /// fail: rank 0's message says which and in what, the others' are empty. A failure without a
  /// message is one because of another rank's.
  Status agree(const Status &prepared, const Facts &facts);

  /// Says that the failure with which this rank is about to end is that of all ranks, which each
  /// found by itself: from values that are equal on all.
  void failTogether() { failedTogether = true; }
  bool failsTogether() const { return failedTogether; }

  /// A boundary between rounds (steps, batches of an evaluation), the same sequence on all ranks.
  /// False once all of them stop here; then stopSignal says why.
  bool beginRound();
  int stopSignal() const { return stop; }
  /// Whether all ranks save now. Only right behind a boundary.
  bool takeSaveRequest();

  /// ControlChannel's; with one rank what was given.
  Result<std::vector<std::string>> exchange(const std::string &mine);
  Result<std::vector<std::string>> gather(const std::string &mine);

  /// ControlChannel's; with several ranks only.
  void onFailure(const void *owner, std::function<void(const Status &)> callback);
  Status explain(const std::string &reason);

  /// Ends the run for this rank; rank 0 waits for the others. Returns `status`, or what became of
  /// another rank meanwhile.
  Status end(const Status &status);

private:
  explicit Ranks(const RankLayout &layout);
  void place();

  RankLayout layout;
  RankState rankState;
  std::unique_ptr<ControlChannel> control;
  std::unique_ptr<GlooCommunicator> gloo;
  int sharing = 1, stop = 0;
  bool save = false, asked = false, failedTogether = false;
};

/// The first fact in which ranks differ, said for `names` of the ranks; empty if there is none.
std::string describeDifference(const std::vector<Facts> &facts,
                               const std::vector<std::string> &names);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_RANKS_H
