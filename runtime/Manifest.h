// What a compiled program says about itself.
// The manifest of docs/executable-format.md as plain structs. Reading checks everything that the
// rest of the runtime relies on: versions, every tensor inside its space, roles and references.

#ifndef DSC_RUNTIME_MANIFEST_H
#define DSC_RUNTIME_MANIFEST_H

#include "runtime/Tensor.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsc {

/// A tensor at a planned place of a space.
struct PlannedTensor {
  std::string name;
  Dtype dtype = DSC_F32;
  Shape shape;
  dsc_space space = DSC_SPACE_IO;
  /// In bytes from the space's start, or the shard's.
  int64_t offset = 0;
  int64_t bytes = 0;
  /// The index in Manifest::shards of the sharded global that it lies in; -1: in none.
  int shard = -1;
  /// Element strides of padded or permuted storage; empty for a dense tensor.
  Shape strides;
};

enum class InputRole { Input, Labels, SampleWeight };

struct InputSpec : PlannedTensor {
  InputRole role = InputRole::Input;
  /// Integers must be in [0, classes); 0 means that any value is fine.
  int64_t classes = 0;
};

/// Compute: `of`, rounded to the compute type; made when weights are loaded, saved nowhere.
enum class GlobalRole { Trained, Buffer, State, Runtime, Compute };

/// Random numbers that a parameter starts at (--init=random).
enum class Randomness { None, Uniform, Normal };

struct GlobalSpec : PlannedTensor {
  GlobalRole role = GlobalRole::State;
  std::vector<std::string> onnxNames;
  std::string reason;
  std::string of, kind;
  /// The key in the weights file; empty if the start is `fill` or random.
  std::string weightsKey;
  double fill = 0;
  /// How a random start is spread: half the width of the interval, or the standard deviation.
  Randomness random = Randomness::None;
  double scale = 0;

  /// Whether it is saved with the weights.
  bool isWeight() const { return role == GlobalRole::Trained || role == GlobalRole::Buffer; }
  /// Whether it is state that a later step depends on. Gradients and sums over the micro-batches of
  /// a step hold nothing between steps.
  bool isOptimizerState() const;
  /// The name that weights files give it.
  const std::string &weightsName() const { return weightsKey.empty() ? name : weightsKey; }
};

struct RunTimeValue {
  std::string name, global, flag, help;
  double defaultValue = 0;
  std::optional<double> minimum, maximum;
  /// The bounds themselves are not allowed.
  bool exclusiveMinimum = false, exclusiveMaximum = false;
};

/// What the update of a parameter has of its own. Parameters that lie in one tensor share it.
struct UpdateSpec {
  std::vector<std::string> parameters;
  /// What the parameter is to the model: of a normalization, a bias.
  bool isNorm = false, isBias = false;
  /// f32: one number, or the same for each of the parameter's chunks.
  PlannedTensor lr, weightDecay;
};

/// A global of which each rank has its own chunks only.
struct ShardSpec {
  std::string name;
  int64_t chunks = 0, chunkBytes = 0;
};

/// Chunks of a flat order that one collective reduces or gathers, and how much of it is elements
/// of parameters: the rest pads.
struct CollectiveSpec {
  std::string name, kind, entry;
  Dtype dtype = DSC_F32;
  int64_t chunks = 0, chunkElements = 0, elements = 0;
};

struct OpSpec {
  std::string name, kind;
  std::vector<std::string> onnxNames;
  int64_t flops = 0, bytes = 0; ///< of all its launches
  int64_t launches = 1;
  /// Where its float results lie, for finding what is not finite.
  std::vector<PlannedTensor> results;
};

struct Manifest {
  std::string name, version, compileCommand;
  /// Effective compile-time options, as text, for `info` and for refusing them at run time.
  std::vector<std::pair<std::string, std::string>> options;
  std::string targetKind, targetFeatures;
  std::array<int64_t, DSC_SPACE_COUNT> spaceBytes = {};
  std::vector<std::string> entries;
  /// The largest planned number of micro-batches a step; 0 for any.
  int64_t accumulate = 1;
  int64_t microBatch = 0;
  std::vector<InputSpec> inputs;
  std::vector<std::pair<std::string, std::vector<PlannedTensor>>> results;
  std::vector<PlannedTensor> gradients;
  /// Values kept by `--keep-values`, valid after entry last.
  std::vector<PlannedTensor> values;
  std::vector<GlobalSpec> globals;
  std::vector<RunTimeValue> runTimeValues;
  /// The learning rate's schedule unless --schedule gives another.
  std::string schedule = "constant";
  /// dsc_schedule_row of abi.h; without a name in a program that does not train.
  PlannedTensor scheduleTable;
  std::vector<UpdateSpec> updates;
  /// Parameter groups unless --group and --no-decay give others.
  std::vector<std::string> groups;
  std::string noDecay;
  std::string lossKind;
  int64_t ignoreIndex = -100;
  bool shiftLabels = false;
  int64_t tokensPerSample = 0;
  std::vector<OpSpec> ops;
  /// The ZeRO stage, and the most ranks that the program runs on.
  int64_t zero = 0, maxRanks = 1;
  /// Sharded globals, in the order in which they lie in DSC_SPACE_SHARD.
  std::vector<ShardSpec> shards;
  /// By id.
  std::vector<CollectiveSpec> collectives;
  std::string weightsFile, weightsHash;
  /// The text it was read from, for `info --json`.
  std::string text;

  /// State, arena, constants, io and shards together, on each of `ranks`.
  int64_t plannedBytes(int ranks = 1) const;
  /// Bytes of DSC_SPACE_SHARD on each of `ranks`.
  int64_t shardBytes(int ranks) const;
  /// The range of a tensor's bytes that a rank has: all, or what lies in its chunks of the shard.
  std::pair<int64_t, int64_t> ownBytes(const PlannedTensor &tensor, int ranks, int rank) const;
  bool hasEntry(std::string_view entry) const;
  /// A result of `entry` by name, or null.
  const PlannedTensor *result(std::string_view entry, std::string_view name) const;
  const GlobalSpec *global(std::string_view name) const;
  const InputSpec *labels() const;
};

/// Reads and checks a manifest; another version is refused by name before anything else is read.
Result<Manifest> readManifest(std::string_view json);

} // namespace dsc

#endif // DSC_RUNTIME_MANIFEST_H
