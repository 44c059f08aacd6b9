// The training loop's object: what a run has, from its flags to its log.
// Train.cpp has the loop, TrainStart.cpp what happens before the first step.

#ifndef DSC_RUNTIME_TRAINING_H
#define DSC_RUNTIME_TRAINING_H

#include "runtime/Dataset.h"
#include "runtime/EventFile.h"
#include "runtime/Log.h"
#include "runtime/Progress.h"
#include "runtime/RunTimeValues.h"
#include "runtime/Sampler.h"
#include "runtime/checkpoint/ResumeRules.h"
#include "runtime/checkpoint/RunCheckpoints.h"
#include "runtime/comm/Ranks.h"

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace dsc {

class Training {
public:
  Training(Executable &executable, const CommandLine &line, Ranks &ranks)
      : executable(executable), line(line), ranks(ranks) {}

  // Ranks agree on how each of these ended before they begin the next.

  /// Everything that a rank can check by itself; `facts` is what ranks must agree in.
  Status prepare(Facts &facts);
  /// The session, with weights, and where a run is continued with its state.
  Status makeSession();
  /// What takes all ranks once each of them has a session.
  Status fillSession();
  Status run();

private:
  Status findResumed();
  Status prepareData(Facts &facts);
  Status prepareLength();
  Status checkTrainBatch() const;
  Status prepareWeightsPath();
  Status checkFreeSpace() const;
  Status logStart();

  /// A step that runs or ran, and is not reported yet.
  struct Submitted {
    int64_t number = 0, epoch = 0, samples = 0;
  };
  Status readApplied();
  Status step(int64_t number);
  Status runMicroBatches(int64_t begin, bool withUpdate);
  Status profile(int64_t number);
  Status reportSteps(int open);
  Status report(const Submitted &step, const ScalarResults &results);
  Result<std::string> findNotFinite(const Submitted &step);
  Status reportSkipped(const Submitted &step, const ScalarResults &results);

  /// Whether the step that ended last was the first one to reach into another epoch.
  bool epochEnded() const;
  bool evaluationIsDue() const;
  Status passBoundary();
  Status evaluateNow();
  Status save(const char *reason);
  CheckpointManifest describe(const char *reason) const;
  Status finish(Status failure, double seconds);

  Executable &executable;
  CommandLine line; ///< with the flags of the checkpoint that is continued
  Ranks &ranks;
  RunTimeValues values;
  std::unique_ptr<Session> session;
  std::unique_ptr<Dataset> data, evalData;
  std::string dataFingerprint;
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<Progress> progress;
  RunLog log;
  EventFile events; ///< of --tensorboard
  RunCheckpoints checkpoints;
  /// The checkpoint that is continued, and its path; the path is empty where there is none.
  CheckpointManifest resumed;
  std::string resumedPath;
  ResumeChanges changes;
  std::string weightsPath; ///< of the weights at the end, without --save
  int64_t steps = 0, samplesPerStep = 0;
  int64_t evalSteps = 0; ///< 0 with evalEpochs false: at the end only
  bool evalEpochs = false;
  RunState state;
  int64_t applied = 0;     ///< updates so far, of steps that are reported: the schedule's time
  bool isBest = false;     ///< the evaluation of this step was the best so far
  bool saveFailed = false; ///< so that a full disk is not tried again at the end
  std::deque<Submitted> submitted;
};

} // namespace dsc

#endif // DSC_RUNTIME_TRAINING_H
