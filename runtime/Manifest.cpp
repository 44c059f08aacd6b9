// What a compiled program says about itself.

#include "runtime/Manifest.h"

#include "runtime/Json.h"

#include <algorithm>
#include <cmath>
#include <set>

using namespace dsc;

int64_t Manifest::plannedBytes(int ranks) const {
  int64_t sum = shardBytes(ranks) - spaceBytes[DSC_SPACE_SHARD];
  for (int64_t bytes : spaceBytes) {
    sum += bytes;
  }
  return sum;
}

int64_t Manifest::shardBytes(int ranks) const {
  int64_t sum = 0;
  for (const ShardSpec &shard : shards) {
    sum += dsc_shard_bytes(shard.chunks, shard.chunkBytes, ranks);
  }
  return sum;
}

std::pair<int64_t, int64_t> Manifest::ownBytes(const PlannedTensor &tensor, int ranks,
                                               int rank) const {
  if (tensor.shard < 0) {
    return {0, tensor.bytes};
  }
  const ShardSpec &shard = shards[static_cast<size_t>(tensor.shard)];
  auto clamp = [&](int64_t chunk) {
    return std::clamp<int64_t>(chunk * shard.chunkBytes - tensor.offset, 0, tensor.bytes);
  };
  return {clamp(dsc_slice_begin(shard.chunks, ranks, rank)),
          clamp(dsc_slice_end(shard.chunks, ranks, rank))};
}

bool GlobalSpec::isOptimizerState() const {
  return role == GlobalRole::State && kind != "accumulator" && kind != "pending" &&
         kind != "gradient" && name != "state.loss" && name != "state.count";
}

bool Manifest::hasEntry(std::string_view entry) const {
  for (const std::string &name : entries) {
    if (name == entry) {
      return true;
    }
  }
  return false;
}

const PlannedTensor *Manifest::result(std::string_view entry, std::string_view name) const {
  for (const auto &[owner, tensors] : results) {
    if (owner == entry) {
      for (const PlannedTensor &tensor : tensors) {
        if (tensor.name == name) {
          return &tensor;
        }
      }
    }
  }
  return nullptr;
}

const GlobalSpec *Manifest::global(std::string_view name) const {
  for (const GlobalSpec &global : globals) {
    if (global.name == name) {
      return &global;
    }
  }
  return nullptr;
}

const InputSpec *Manifest::labels() const {
  for (const InputSpec &input : inputs) {
    if (input.role == InputRole::Labels) {
      return &input;
    }
  }
  return nullptr;
}

static const char *const spaceNames[DSC_SPACE_COUNT] = {"state", "arena", "constants", "io",
                                                        "shard"};

/// Offsets in the space of shards are those that one rank has. Finds the shard around one, and
/// makes it count from there; returns the bytes of the shard on one rank.
static int64_t placeInShard(Fields &fields, PlannedTensor &tensor, const Manifest &manifest) {
  for (size_t i = 0; i < manifest.shards.size(); ++i) {
    const ShardSpec &shard = manifest.shards[i];
    if (int64_t bytes = dsc_shard_bytes(shard.chunks, shard.chunkBytes, 1); tensor.offset < bytes) {
      tensor.shard = static_cast<int>(i);
      return shard.chunks * shard.chunkBytes;
    } else {
      tensor.offset -= bytes;
    }
  }
  fields.fail("offset", "is in no shard");
  return 0;
}

/// Reads what all planned tensors have and checks that it lies inside its space: `space`, unless it
/// names another.
static void readPlanned(Fields &fields, PlannedTensor &tensor, const Manifest &manifest,
                        dsc_space space) {
  tensor.space = space;
  if (fields.has("space")) {
    std::string name = fields.string("space");
    const char *const *end = spaceNames + DSC_SPACE_COUNT;
    const char *const *found = std::find(spaceNames, end, name);
    if (found == end) {
      fields.fail("space", "is \"" + name + "\", no space");
      return;
    }
    tensor.space = static_cast<dsc_space>(found - spaceNames);
  }
  tensor.name = fields.string("name");
  tensor.dtype = fields.dtype("dtype");
  tensor.shape = fields.shape("shape");
  tensor.offset = fields.size("offset");
  std::optional<int64_t> dense = byteCount(tensor.dtype, tensor.shape);
  if (!dense) {
    fields.fail("shape", "is too large");
    return;
  }
  int64_t needed = *dense;
  if (fields.has("strides")) {
    tensor.strides = fields.shape("strides");
    if (tensor.strides.size() != tensor.shape.size()) {
      fields.fail("strides", "has another rank than the shape");
      return;
    }
    __int128 last = 0;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
      last += static_cast<__int128>(tensor.strides[i]) * std::max<int64_t>(tensor.shape[i] - 1, 0);
    }
    if (last >= maxBytes / dtypeSize(tensor.dtype)) {
      fields.fail("strides", "reach too far");
      return;
    }
    if (*dense) {
      needed = (static_cast<int64_t>(last) + 1) * dtypeSize(tensor.dtype);
    }
  }
  tensor.bytes = fields.has("bytes") ? fields.size("bytes") : needed;
  if (tensor.bytes < needed) {
    fields.fail("bytes", "is less than the shape needs");
  }
  if (tensor.offset % dtypeSize(tensor.dtype) != 0) {
    fields.fail("offset", "is not aligned to the element size");
  }
  const int64_t spaceBytes = tensor.space == DSC_SPACE_SHARD
                                 ? placeInShard(fields, tensor, manifest)
                                 : manifest.spaceBytes[tensor.space];
  if (tensor.offset > spaceBytes || tensor.bytes > spaceBytes - tensor.offset) {
    fields.fail("offset", "reaches past the end of its space");
  }
}

static void readInputs(Fields &root, Manifest &manifest) {
  std::set<std::string> names;
  bool haveLabels = false;
  for (Fields &fields : root.objects("inputs")) {
    InputSpec input;
    readPlanned(fields, input, manifest, DSC_SPACE_IO);
    std::string role = fields.string("role");
    if (role == "input") {
      input.role = InputRole::Input;
    } else if (role == "labels") {
      input.role = InputRole::Labels;
    } else if (role == "sample_weight") {
      input.role = InputRole::SampleWeight;
    } else {
      fields.fail("role", "\"" + role + "\" is not input, labels or sample_weight");
    }
    input.classes = fields.has("classes") ? fields.size("classes") : 0;
    if (input.space != DSC_SPACE_IO) {
      fields.fail("space", "is not the one of inputs");
    }
    if (!input.strides.empty()) {
      fields.fail("strides", "an input is dense");
    }
    if (!names.insert(input.name).second) {
      fields.fail("name", "\"" + input.name + "\" stands twice");
    }
    if (input.role == InputRole::Labels && std::exchange(haveLabels, true)) {
      fields.fail("role", "there are two inputs of role labels");
    }
    if (manifest.microBatch != 0 &&
        (input.shape.empty() || input.shape[0] != manifest.microBatch)) {
      fields.fail("shape", shapeText(input.shape) + " does not begin with the micro-batch " +
                               std::to_string(manifest.microBatch));
    }
    if (input.role == InputRole::SampleWeight &&
        (!isFloat(input.dtype) || input.shape.size() != 1)) {
      fields.fail("dtype", "sample_weight is not a float of rank 1");
    }
    manifest.inputs.push_back(std::move(input));
  }
}

static void readGlobals(Fields &root, Manifest &manifest) {
  std::set<std::string> names;
  for (Fields &fields : root.objects("globals")) {
    GlobalSpec global;
    readPlanned(fields, global, manifest, DSC_SPACE_STATE);
    if (global.space != DSC_SPACE_STATE && global.space != DSC_SPACE_SHARD) {
      fields.fail("space", "is not the one of globals");
    }
    std::string role = fields.string("role");
    if (role == "trained") {
      global.role = GlobalRole::Trained;
    } else if (role == "buffer") {
      global.role = GlobalRole::Buffer;
    } else if (role == "state") {
      global.role = GlobalRole::State;
    } else if (role == "runtime") {
      global.role = GlobalRole::Runtime;
    } else if (role == "compute") {
      global.role = GlobalRole::Compute;
    } else {
      fields.fail("role", "\"" + role + "\" is not trained, buffer, state, runtime or compute");
    }
    if (!names.insert(global.name).second) {
      fields.fail("name", "\"" + global.name + "\" stands twice");
    }
    global.onnxNames = fields.strings("onnx_names");
    global.reason = fields.string("reason", "");
    global.of = fields.string("of", "");
    global.kind = fields.string("kind", "");
    Fields init = fields.object("init");
    global.weightsKey = init.string("weights", "");
    global.fill = init.number("fill", 0.0);
    for (auto [key, kind] :
         {std::pair("uniform", Randomness::Uniform), std::pair("normal", Randomness::Normal)}) {
      if (init.has(key)) {
        global.random = kind;
        global.scale = init.number(key);
      }
    }
    if (global.random != Randomness::None && (!global.isWeight() || !isFloat(global.dtype))) {
      fields.fail("init", "only weights of floats start at random numbers");
    }
    if (global.isWeight() && global.weightsKey.empty() && !init.has("fill") &&
        global.random == Randomness::None) {
      global.weightsKey = global.name;
    }
    if (global.role == GlobalRole::Runtime && !global.shape.empty()) {
      fields.fail("shape", "a run-time value is not a scalar");
    }
    if (isInteger(global.dtype) && global.fill != std::floor(global.fill)) {
      fields.fail("init", "the fill of an integer is not an integer");
    }
    manifest.globals.push_back(std::move(global));
  }
  for (const GlobalSpec &copy : manifest.globals) {
    const GlobalSpec *of = manifest.global(copy.of);
    if (copy.role == GlobalRole::Compute &&
        (!of || of->shape != copy.shape || of->strides != copy.strides || !isFloat(copy.dtype) ||
         !isFloat(of->dtype) || of->role == GlobalRole::Compute)) {
      root.fail("globals", "\"" + copy.name + "\" is a copy of no float global of its shape");
    }
  }
}

static void readRunTimeValues(Fields &root, Manifest &manifest) {
  for (Fields &fields : root.objects("run_time_values")) {
    RunTimeValue value;
    value.name = fields.string("name");
    value.global = fields.string("global", "");
    value.flag = fields.string("flag", "");
    value.help = fields.string("help", "");
    value.defaultValue = fields.number("default");
    if (fields.has("min")) {
      value.minimum = fields.number("min");
    }
    if (fields.has("max")) {
      value.maximum = fields.number("max");
    }
    value.exclusiveMinimum = fields.boolean("min_exclusive", false);
    value.exclusiveMaximum = fields.boolean("max_exclusive", false);
    if (!value.flag.empty() && (value.flag.size() < 3 || value.flag.compare(0, 2, "--") != 0)) {
      fields.fail("flag", "does not begin with --");
    }
    if (!value.global.empty()) {
      const GlobalSpec *global = manifest.global(value.global);
      if (!global || global->role != GlobalRole::Runtime) {
        fields.fail("global", "\"" + value.global + "\" is not a global of role runtime");
      }
    }
    manifest.runTimeValues.push_back(std::move(value));
  }
}

static std::vector<PlannedTensor> readTensors(Fields &owner, const char *key,
                                              const Manifest &manifest, dsc_space space) {
  std::vector<PlannedTensor> tensors;
  std::set<std::string> names;
  for (Fields &fields : owner.objects(key)) {
    PlannedTensor tensor;
    readPlanned(fields, tensor, manifest, space);
    if (!names.insert(tensor.name).second) {
      fields.fail("name", "\"" + tensor.name + "\" stands twice");
    }
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

/// The ranks' part: what is sharded, and what goes over the wire.
static void readSharding(Fields &root, Manifest &manifest) {
  manifest.zero = root.integer("zero", 0);
  manifest.maxRanks = root.integer("max_ranks", 1);
  if (manifest.maxRanks < 1 || manifest.maxRanks > 65536) {
    root.fail("max_ranks", "is not between 1 and 65536");
  }
  for (Fields &fields : root.objects("shards")) {
    ShardSpec shard{fields.string("name"), fields.size("chunks"), fields.size("chunk_bytes")};
    if (shard.chunkBytes < 1 || shard.chunks > maxBytes / shard.chunkBytes) {
      fields.fail("chunk_bytes", "is out of range");
      return;
    }
    manifest.shards.push_back(std::move(shard));
  }
  if (manifest.shardBytes(1) != manifest.spaceBytes[DSC_SPACE_SHARD]) {
    root.fail("shards", "do not fill their space");
  }
  for (Fields &fields : root.objects("collectives")) {
    CollectiveSpec collective;
    collective.name = fields.string("name");
    collective.kind = fields.string("kind");
    collective.entry = fields.string("entry", "");
    collective.dtype = fields.dtype("dtype");
    collective.chunks = fields.size("chunks");
    collective.chunkElements = fields.size("chunk_elements");
    collective.elements = fields.size("elements");
    manifest.collectives.push_back(std::move(collective));
  }
}

/// What the runner fills for updates: the schedule's table, and numbers of single parameters.
static void readUpdates(Fields &root, Manifest &manifest) {
  auto read = [&](Fields &owner, const char *key, PlannedTensor &tensor, Dtype dtype) {
    Fields fields = owner.object(key);
    readPlanned(fields, tensor, manifest, DSC_SPACE_STATE);
    if (tensor.dtype != dtype || tensor.space != DSC_SPACE_STATE) {
      fields.fail("dtype", "or space is not that of such numbers");
    }
  };
  if (root.has("schedule_table")) {
    read(root, "schedule_table", manifest.scheduleTable, DSC_F64);
    if (manifest.scheduleTable.shape != Shape{DSC_SCHEDULE_ROWS, DSC_SCHEDULE_PIECES}) {
      root.fail("schedule_table", "has the shape " + shapeText(manifest.scheduleTable.shape));
    }
  }
  for (Fields &fields : root.objects("updates")) {
    UpdateSpec update;
    update.parameters = fields.strings("parameters");
    for (const std::string &word : fields.strings("use")) {
      update.isNorm |= word == "norm";
      update.isBias |= word == "bias";
    }
    read(fields, "lr", update.lr, DSC_F32);
    read(fields, "weight_decay", update.weightDecay, DSC_F32);
    manifest.updates.push_back(std::move(update));
  }
}

static void readOptions(Fields &root, Manifest &manifest) {
  Fields options = root.object("options");
  manifest.groups = options.strings("groups");
  manifest.noDecay = options.string("no_decay", "");
  for (const std::string &key : options.keys()) {
    if (const Json *value = options.find(key.c_str())) {
      manifest.options.emplace_back(
          key, value->is_string() ? value->get<std::string>()
                                  : value->dump(-1, ' ', false, Json::error_handler_t::replace));
    }
  }
}

/// An entry's result that the runner relies on must be one number.
static void requireScalar(Fields &root, const Manifest &manifest, const char *entry,
                          const char *name, bool optional) {
  const PlannedTensor *tensor = manifest.result(entry, name);
  if (!tensor && !optional) {
    root.fail("results", std::string(entry) + " does not return " + name);
  }
  if (tensor && elementCount(tensor->shape) != 1) {
    root.fail("results", std::string(entry) + "'s " + name + " is not one number");
  }
}

Result<Manifest> dsc::readManifest(std::string_view json) {
  Result<Json> document = parseJson(json);
  if (document.failed()) {
    return document.status().in("manifest");
  }
  Fields root(*document, "manifest");
  int64_t format = root.integer("format"), abi = root.integer("abi");
  DSC_RETURN_IF_FAILED(root.status());
  if (format != 1) {
    return Status::user(dsc::format("this program's manifest has format %lld and this runner reads "
                                    "1: compile the model again with the dsc of the runner",
                                    static_cast<long long>(format)));
  }
  if (abi != DSC_ABI_VERSION) {
    return Status::user(
        dsc::format("this program was compiled for ABI %lld and this runner has %d: "
                    "compile the model again with the dsc of the runner",
                    static_cast<long long>(abi), DSC_ABI_VERSION));
  }

  Manifest manifest;
  manifest.text = json;
  manifest.name = root.string("name", "model");
  manifest.version = root.string("version", "");
  manifest.compileCommand = root.string("compile_command", "");
  readOptions(root, manifest);
  Fields target = root.object("target");
  manifest.targetKind = target.string("kind", "cpu");
  manifest.targetFeatures = target.string("features", "");
  Fields spaces = root.object("spaces");
  for (int i = 0; i < DSC_SPACE_COUNT; ++i) {
    manifest.spaceBytes[static_cast<size_t>(i)] =
        i != DSC_SPACE_SHARD || spaces.has(spaceNames[i]) ? spaces.size(spaceNames[i]) : 0;
  }
  readSharding(root, manifest);
  manifest.entries = root.strings("entries");
  const Json *accumulate = root.find("accumulate");
  if (accumulate && accumulate->is_string() && *accumulate == "any") {
    manifest.accumulate = 0;
  } else if ((manifest.accumulate = root.integer("accumulate", 1)) < 1) {
    root.fail("accumulate", "is neither a positive number nor \"any\"");
  }
  manifest.microBatch = root.size("micro_batch");
  // 0: a program that only evaluates, whose inputs are no samples.
  if (manifest.microBatch < 1 && manifest.hasEntry("last")) {
    root.fail("micro_batch", "is not positive");
  }
  readInputs(root, manifest);
  Fields results = root.object("results");
  for (const std::string &entry : results.keys()) {
    manifest.results.emplace_back(entry,
                                  readTensors(results, entry.c_str(), manifest, DSC_SPACE_IO));
  }
  manifest.gradients = readTensors(root, "gradients", manifest, DSC_SPACE_ARENA);
  manifest.values = readTensors(root, "values", manifest, DSC_SPACE_IO);
  readGlobals(root, manifest);
  readRunTimeValues(root, manifest);
  manifest.schedule = root.string("schedule", "constant");
  readUpdates(root, manifest);
  Fields loss = root.object("loss");
  manifest.lossKind = loss.string("kind", "");
  manifest.ignoreIndex = loss.integer("ignore_index", -100);
  manifest.shiftLabels = loss.boolean("shift_labels", false);
  manifest.tokensPerSample = root.has("tokens_per_sample") ? root.size("tokens_per_sample") : 0;
  for (Fields &fields : root.objects("ops")) {
    OpSpec op;
    op.name = fields.string("name");
    op.kind = fields.string("kind", "");
    op.onnxNames = fields.strings("onnx");
    op.launches = std::max<int64_t>(fields.integer("launches", 1), 1);
    op.flops = fields.integer("flops", 0);
    op.bytes = fields.integer("bytes", 0);
    op.results = readTensors(fields, "results", manifest, DSC_SPACE_ARENA);
    manifest.ops.push_back(std::move(op));
  }
  Fields weights = root.object("weights");
  manifest.weightsFile = weights.string("file", "");
  manifest.weightsHash = weights.string("sha256", "");
  // The file stands beside the executable: a path would reach elsewhere.
  if (manifest.weightsFile.find('/') != std::string::npos) {
    root.fail("weights", "the file's name has a slash");
  }
  if (manifest.hasEntry("last")) {
    requireScalar(root, manifest, "last", "loss", false);
    requireScalar(root, manifest, "last", "grad_norm", true);
    requireScalar(root, manifest, "last", "skipped", true);
    requireScalar(root, manifest, "last", "loss_scale", true);
    requireScalar(root, manifest, "last", "loss_scale_exhausted", true);
  }
  if (manifest.hasEntry("eval")) {
    bool noLoss = manifest.lossKind.empty();
    requireScalar(root, manifest, "eval", "loss_sum", noLoss);
    requireScalar(root, manifest, "eval", "loss_weight", noLoss);
    requireScalar(root, manifest, "eval", "correct", true);
    requireScalar(root, manifest, "eval", "counted", true);
  }
  DSC_RETURN_IF_FAILED(root.status());
  return manifest;
}
