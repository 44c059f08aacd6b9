// What a checkpoint says about itself.
// checkpoint.json of docs/checkpoints.md as plain structs: where the run stands, what it was run
// with, and each tensor with its checksum. The text carries a checksum of its own, so that what is
// read is what was written.

#ifndef DSC_RUNTIME_CHECKPOINT_CHECKPOINTMANIFEST_H
#define DSC_RUNTIME_CHECKPOINT_CHECKPOINTMANIFEST_H

#include "runtime/Device.h"
#include "runtime/Tensor.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dsc {

inline constexpr char manifestFile[] = "checkpoint.json";
inline constexpr char weightsFile[] = "weights.safetensors";
inline constexpr char optimizerFile[] = "optimizer.safetensors";
inline constexpr char rankBuffersFile[] = "rank-buffers.safetensors";

/// Where a run stands between two steps: what the host decides by, beside the program's state.
struct RunState {
  /// Steps done, skipped ones included; and the samples that they took from the stream.
  int64_t step = 0, samples = 0;
  int64_t skippedInRow = 0;
  /// The step of the last evaluation; -1: none.
  int64_t evaluatedAt = -1;
  /// The best evaluation so far, by `metric`, and how many came after it without being better.
  std::string metric;
  std::optional<double> best;
  int64_t bestStep = 0, evaluationsSinceBest = 0;
};

struct CheckpointTensor {
  std::string name, file;
  /// "trained", "buffer" or "state".
  std::string role;
  /// State that belongs to a parameter: its name and which kind, "exp_avg" for one.
  std::string of, kind;
  Dtype dtype = DSC_F32;
  Shape shape;
  uint32_t checksum = 0;
};

struct CheckpointManifest {
  RunState run;
  /// Why it was written: "schedule", "best", "signal", "request" or "end".
  std::string reason;
  /// Steps of the whole run, as far as was known.
  int64_t steps = 0;
  std::string model, version, compileCommand, programHash, weightsHash;
  /// Flags of run-time values with their text; a switch has an empty one.
  std::map<std::string, std::string> flags;
  /// Compile-time options.
  std::map<std::string, std::string> options;
  std::string dataPath, dataFingerprint;
  int64_t dataSamples = 0, samplesPerStep = 0;
  int64_t ranks = 1, zero = 0;
  AlgorithmChoices choices;
  std::vector<CheckpointTensor> tensors;

  const CheckpointTensor *find(const std::string &file, const std::string &name) const;
  /// As the file has it.
  std::string text() const;
};

/// Reads the text of a checkpoint.json; `path` is for messages. Error: it is damaged, of another
/// version, or no checkpoint's.
Result<CheckpointManifest> readCheckpointManifest(const std::string &path, std::string_view text);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_CHECKPOINTMANIFEST_H
