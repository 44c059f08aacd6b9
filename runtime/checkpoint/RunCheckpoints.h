// When a run saves, what it keeps, and which evaluation was the best.
// The flags --save, --save-every, --keep, --best and --patience as one object of the training loop.
// Decisions follow from values that are equal on all ranks; rank 0 alone changes the folder.

#ifndef DSC_RUNTIME_CHECKPOINT_RUNCHECKPOINTS_H
#define DSC_RUNTIME_CHECKPOINT_RUNCHECKPOINTS_H

#include "runtime/CommandLine.h"
#include "runtime/Evaluate.h"
#include "runtime/checkpoint/CheckpointManifest.h"
#include "runtime/comm/Ranks.h"

#include <string>

namespace dsc {

class RunCheckpoints {
public:
  RunCheckpoints() = default;
  ~RunCheckpoints();
  RunCheckpoints(const RunCheckpoints &) = delete;
  RunCheckpoints &operator=(const RunCheckpoints &) = delete;

  Status readFlags(const Manifest &program, const CommandLine &line);

  /// Whether there is --save DIR.
  bool saves() const { return !directory.empty(); }
  const std::string &folder() const { return directory; }

  /// Takes note of the checkpoint that the run continues, which is not written again to the folder
  /// that it lies in. All ranks call it.
  void continueFrom(const std::string &resumed, const RunState &run);
  /// Makes the folder and checks that the run may save there: it is empty, or `resumed` (the path
  /// of a checkpoint) lies in it as the last one. Rank 0 calls it.
  Status prepareFolder(const std::string &resumed, const RunState &run, bool mayHoldFiles);
  /// Whether what a run of `steps` will keep fits on the disk. Rank 0 calls it.
  Status checkSpace(const Manifest &program, const RunState &run, int64_t steps,
                    int64_t stepsPerEpoch) const;
  /// Whether every rank sees the folder. All ranks call it; all fail where one does.
  Status checkSeen(Ranks &ranks) const;

  /// Whether the cadence has a checkpoint behind `step`.
  bool isDue(int64_t step, bool epochEnded) const {
    return everyEpoch ? epochEnded : everySteps > 0 && step % everySteps == 0;
  }
  /// Takes an evaluation into account; returns whether it is the best so far.
  bool consider(const Evaluation &evaluation, RunState &run) const;
  bool keepsBest() const { return hasBest; }
  /// Whether --patience is used up.
  bool isOver(const RunState &run) const {
    return patience > 0 && run.evaluationsSinceBest >= patience;
  }

  /// Writes a checkpoint unless this step's is there; then removes what --keep no longer covers.
  /// With `isBest`, "best" leads to it. Returns whether it wrote. All ranks call it.
  Result<bool> save(Session &session, Ranks &ranks, const CheckpointManifest &manifest,
                    bool isBest);
  /// "DIR/step-00000500".
  std::string pathOf(int64_t step) const;

private:
  void retire(int64_t newest, int64_t formerBest) const;

  std::string directory, metric = "loss";
  int64_t everySteps = 0, keep = 0, patience = 0;
  bool everyEpoch = false, hasBest = false;
  int64_t lastSaved = -1;
  int lock = -1;
};

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_RUNCHECKPOINTS_H
