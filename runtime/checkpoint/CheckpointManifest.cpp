// What a checkpoint says about itself.

#include "runtime/checkpoint/CheckpointManifest.h"

#include "runtime/Json.h"
#include "runtime/checkpoint/Crc32c.h"

using namespace dsc;

static constexpr int formatVersion = 1;

/// The checksum of a manifest: of its text with sorted keys, without spaces and without itself.
static std::string checksumOf(Json json) {
  json.erase("crc32c");
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return format("%08x", crc32c(text.data(), static_cast<int64_t>(text.size())));
}

const CheckpointTensor *CheckpointManifest::find(const std::string &file,
                                                 const std::string &name) const {
  for (const CheckpointTensor &tensor : tensors) {
    if (tensor.file == file && tensor.name == name) {
      return &tensor;
    }
  }
  return nullptr;
}

std::string CheckpointManifest::text() const {
  OrderedJson json = {{"format", formatVersion}, {"producer", "dsc"}};
  json["version"] = version;
  json["model"] = model;
  json["step"] = run.step;
  json["samples"] = run.samples;
  if (dataSamples > 0) {
    json["epoch"] = run.samples / dataSamples;
    json["sample_in_epoch"] = run.samples % dataSamples;
  }
  json["steps"] = steps;
  json["reason"] = reason;
  json["skipped_in_row"] = run.skippedInRow;
  json["evaluated_at"] = run.evaluatedAt;
  if (run.best) {
    json["best"] = {{"metric", run.metric},
                    {"value", *run.best},
                    {"step", run.bestStep},
                    {"evaluations_since", run.evaluationsSinceBest}};
  }
  json["flags"] = flags;
  json["data"] = {{"path", dataPath}, {"samples", dataSamples}, {"fingerprint", dataFingerprint}};
  json["samples_per_step"] = samplesPerStep;
  json["ranks"] = ranks;
  json["zero"] = zero;
  json["program"] = {{"hash", programHash},
                     {"weights_sha256", weightsHash},
                     {"compile_command", compileCommand},
                     {"options", options}};
  json["choices"] = choices;
  json["tensors"] = OrderedJson::array();
  for (const CheckpointTensor &tensor : tensors) {
    OrderedJson entry = {{"name", tensor.name}, {"file", tensor.file}, {"role", tensor.role}};
    if (!tensor.of.empty()) {
      entry["of"] = tensor.of;
    }
    if (!tensor.kind.empty()) {
      entry["kind"] = tensor.kind;
    }
    entry["dtype"] = dtypeName(tensor.dtype);
    entry["shape"] = tensor.shape;
    entry["crc32c"] = format("%08x", tensor.checksum);
    json["tensors"].push_back(std::move(entry));
  }
  // What is checked is what a reader of the written text sees.
  Result<Json> read = parseJson(jsonText(json, 1));
  json["crc32c"] = read.ok() ? checksumOf(*read) : "";
  return jsonText(json, 1) + "\n";
}

static std::map<std::string, std::string> textsOf(Fields fields) {
  std::map<std::string, std::string> texts;
  for (const std::string &key : fields.keys()) {
    texts[key] = fields.string(key.c_str());
  }
  return texts;
}

static CheckpointTensor readTensor(Fields &fields) {
  CheckpointTensor tensor;
  tensor.name = fields.string("name");
  tensor.file = fields.string("file");
  if (tensor.file.empty() || tensor.file[0] == '.' || tensor.file.find('/') != std::string::npos) {
    fields.fail("file", "is no plain file name");
  }
  tensor.role = fields.string("role");
  tensor.of = fields.string("of", "");
  tensor.kind = fields.string("kind", "");
  tensor.dtype = fields.dtype("dtype");
  tensor.shape = fields.shape("shape");
  if (!byteCount(tensor.dtype, tensor.shape)) {
    fields.fail("shape", "is too large");
  }
  const std::string checksum = fields.string("crc32c");
  char *end = nullptr;
  tensor.checksum = static_cast<uint32_t>(std::strtoul(checksum.c_str(), &end, 16));
  if (checksum.size() != 8 || *end) {
    fields.fail("crc32c", "is not eight hexadecimal digits");
  }
  return tensor;
}

Result<CheckpointManifest> dsc::readCheckpointManifest(const std::string &path,
                                                       std::string_view text) {
  Result<Json> json = parseJson(text);
  if (json.failed()) {
    return json.status().in(path + ": is damaged");
  }
  if (!json->is_object() || !json->contains("format") || !json->contains("producer") ||
      (*json)["producer"] != "dsc") {
    return Status::user(path + ": was not written by dsc: no checkpoint");
  }
  if ((*json)["format"] != formatVersion) {
    return Status::user(format("%s: has format %s and this program reads %d; go on with the "
                               "version of dsc that wrote it",
                               path.c_str(), (*json)["format"].dump().c_str(), formatVersion));
  }
  if (!json->contains("crc32c") || (*json)["crc32c"] != checksumOf(*json)) {
    return Status::user(path + ": is damaged: its checksum is not that of its text");
  }
  Fields root(*json, path);
  CheckpointManifest manifest;
  manifest.version = root.string("version");
  manifest.model = root.string("model");
  manifest.run.step = root.size("step");
  manifest.run.samples = root.size("samples");
  manifest.steps = root.size("steps");
  manifest.reason = root.string("reason");
  manifest.run.skippedInRow = root.size("skipped_in_row");
  manifest.run.evaluatedAt = root.integer("evaluated_at");
  if (root.has("best")) {
    Fields best = root.object("best");
    manifest.run.metric = best.string("metric");
    manifest.run.best = best.number("value");
    manifest.run.bestStep = best.size("step");
    manifest.run.evaluationsSinceBest = best.size("evaluations_since");
  }
  manifest.flags = textsOf(root.object("flags"));
  Fields data = root.object("data");
  manifest.dataPath = data.string("path");
  manifest.dataSamples = data.size("samples");
  manifest.dataFingerprint = data.string("fingerprint");
  manifest.samplesPerStep = root.size("samples_per_step");
  manifest.ranks = root.size("ranks");
  manifest.zero = root.size("zero");
  Fields program = root.object("program");
  manifest.programHash = program.string("hash");
  manifest.weightsHash = program.string("weights_sha256");
  manifest.compileCommand = program.string("compile_command");
  manifest.options = textsOf(program.object("options"));
  manifest.choices = textsOf(root.object("choices"));
  for (Fields &fields : root.objects("tensors")) {
    manifest.tensors.push_back(readTensor(fields));
  }
  DSC_RETURN_IF_FAILED(root.status());
  return manifest;
}
