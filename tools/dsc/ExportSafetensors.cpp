// Naming and cutting into shards. Tensors stream from the mapped source through one buffer.

#include "tools/dsc/ExportSafetensors.h"

#include "runtime/Convert.h"
#include "runtime/Json.h"
#include "runtime/MappedFile.h"
#include "runtime/Safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace dsc;

namespace {
constexpr const char *kWhole = "model.safetensors";
constexpr const char *kIndex = "model.safetensors.index.json";

struct Shard {
  std::string file;
  std::vector<TensorToWrite> tensors;
};
} // namespace

static bool startsWith(const std::string &text, const std::string &begin) {
  return text.compare(0, begin.size(), begin) == 0;
}

/// Whether a file of that name would be read as part of the model.
static bool isPartOfModel(const std::string &name) {
  const std::string ending = ".safetensors";
  bool isTensors = name.size() > ending.size() &&
                   name.compare(name.size() - ending.size(), ending.size(), ending) == 0;
  return name == kWhole || name == kIndex || (startsWith(name, "model-") && isTensors);
}

static Status checkOwnIndex(const std::string &path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (file.ok()) {
    Result<Json> json = parseJson(
        {reinterpret_cast<const char *>((*file)->data()), static_cast<size_t>((*file)->size())});
    if (json.ok() && json->is_object() && json->contains("metadata") &&
        (*json)["metadata"].is_object() &&
        (*json)["metadata"].value("producer", std::string()) == "dsc") {
      return {};
    }
  }
  return Status::user(path +
                      ": exists and was not written by dsc; give another folder, or --force");
}

/// Files of the folder that readers would take for parts of the model. Error: one that is not ours.
static Result<std::vector<std::string>> earlierFiles(const std::string &folder, bool force) {
  std::vector<std::string> names;
  DIR *entries = opendir(folder.c_str());
  if (!entries) {
    return Status::user(format("%s: %s", folder.c_str(), std::strerror(errno)));
  }
  while (const dirent *entry = readdir(entries)) {
    if (isPartOfModel(entry->d_name)) {
      names.push_back(entry->d_name);
    }
  }
  closedir(entries);
  for (const std::string &name : names) {
    const std::string path = folder + "/" + name;
    Status own = name == kIndex ? checkOwnIndex(path) : checkOverwritesOwnSafetensors(path);
    if (!force && own.failed()) {
      return Status::user(path + ": exists and was not written by dsc, and readers would take it "
                                 "for a part of the model; give another folder, or --force");
    }
  }
  return names;
}

static Result<Dtype> targetType(const TensorView &view, const std::string &dtype) {
  if (dtype.empty() || !isFloat(view.dtype)) {
    return view.dtype;
  }
  return dtype == "fp32" ? DSC_F32 : dtype == "fp16" ? DSC_F16 : DSC_BF16;
}

/// Streams `view` as `dtype`.
static Status writeConverted(const TensorView &view, Dtype dtype, FileWriter &writer) {
  if (dtype == view.dtype) {
    return writer.write(view.data, view.bytes);
  }
  constexpr int64_t piece = int64_t(1) << 20;
  const int64_t from = dtypeSize(view.dtype), to = dtypeSize(dtype), elements = view.elements();
  std::vector<std::byte> buffer(static_cast<size_t>(std::min(piece, elements) * to));
  for (int64_t first = 0; first < elements; first += piece) {
    const int64_t count = std::min(piece, elements - first);
    std::optional<BadValue> bad = convertValues(view.dtype, view.data + first * from, dtype,
                                                buffer.data(), count, ValueRange());
    if (bad) {
      return Status::user(format("tensor \"%s\": element %lld: %s; choose another --dtype",
                                 view.name.c_str(), static_cast<long long>(first + bad->index),
                                 bad->why.c_str()));
    }
    DSC_RETURN_IF_FAILED(writer.write(buffer.data(), count * to));
  }
  return {};
}

/// The tensors under their names in the files, in shards that have no names yet.
static Result<std::vector<Shard>> cutIntoShards(const TrainedWeights &weights,
                                                const SafetensorsExport &request, int64_t &bytes) {
  std::vector<Shard> shards(1);
  std::set<std::string> names;
  bool stripped = false;
  int64_t filled = 0;
  for (const TensorView &view : weights.views()) {
    TensorToWrite tensor;
    tensor.name = view.name;
    if (!request.stripPrefix.empty() && startsWith(view.name, request.stripPrefix)) {
      tensor.name = view.name.substr(request.stripPrefix.size());
      stripped = true;
    }
    if (tensor.name.empty() || !names.insert(tensor.name).second) {
      return Status::user(
          format("--strip-prefix=%s: \"%s\" would be called \"%s\", %s",
                 request.stripPrefix.c_str(), view.name.c_str(), tensor.name.c_str(),
                 tensor.name.empty() ? "which is no name" : "as another tensor is already"));
    }
    Result<Dtype> dtype = targetType(view, request.dtype);
    DSC_RETURN_IF_FAILED(dtype.status());
    tensor.dtype = *dtype;
    tensor.shape = view.shape;
    tensor.fill = [&view, to = *dtype](FileWriter &writer) {
      return writeConverted(view, to, writer);
    };
    const int64_t size = view.elements() * dtypeSize(*dtype);
    if (filled > 0 && filled + size > request.shardBytes) {
      shards.emplace_back();
      filled = 0;
    }
    filled += size;
    bytes += size;
    shards.back().tensors.push_back(std::move(tensor));
  }
  if (!request.stripPrefix.empty() && !stripped) {
    return Status::user(format("--strip-prefix=%s: no tensor of %s begins with it; the first is "
                               "called \"%s\"",
                               request.stripPrefix.c_str(), weights.source().c_str(),
                               weights.views().front().name.c_str()));
  }
  return shards;
}

static Status writeIndex(const std::string &path, const std::vector<Shard> &shards, int64_t bytes) {
  OrderedJson index = {{"metadata", {{"total_size", bytes}, {"producer", "dsc"}}},
                       {"weight_map", OrderedJson::object()}};
  for (const Shard &shard : shards) {
    for (const TensorToWrite &tensor : shard.tensors) {
      index["weight_map"][tensor.name] = shard.file;
    }
  }
  FileWriter writer;
  DSC_RETURN_IF_FAILED(writer.open(path));
  DSC_RETURN_IF_FAILED(writer.write(jsonText(index) + "\n"));
  return writer.commit();
}

Result<WrittenShards> dsc::exportSafetensors(const TrainedWeights &weights,
                                             const SafetensorsExport &request) {
  if (mkdir(request.folder.c_str(), 0777) != 0 && errno != EEXIST) {
    return Status::user(
        format("%s: cannot be made: %s", request.folder.c_str(), std::strerror(errno)));
  }
  Result<std::vector<std::string>> earlier = earlierFiles(request.folder, request.force);
  DSC_RETURN_IF_FAILED(earlier.status());
  WrittenShards written;
  Result<std::vector<Shard>> shards = cutIntoShards(weights, request, written.bytes);
  DSC_RETURN_IF_FAILED(shards.status());
  const size_t count = shards->size();
  std::set<std::string> current;
  for (size_t i = 0; i < count; ++i) {
    Shard &shard = (*shards)[i];
    shard.file = count == 1 ? kWhole : format("model-%05zu-of-%05zu.safetensors", i + 1, count);
    // "format" is what Hugging Face's loader asks for.
    DSC_RETURN_IF_FAILED(
        writeSafetensors(request.folder + "/" + shard.file, shard.tensors, {{"format", "pt"}}));
    current.insert(shard.file);
    written.files.push_back(shard.file);
  }
  if (count > 1) {
    DSC_RETURN_IF_FAILED(writeIndex(request.folder + "/" + kIndex, *shards, written.bytes));
    current.insert(kIndex);
    written.files.push_back(kIndex);
  }
  for (const std::string &name : *earlier) {
    if (!current.count(name) && unlink((request.folder + "/" + name).c_str()) != 0) {
      return Status::user(format("%s/%s: is of an earlier export and cannot be removed: %s",
                                 request.folder.c_str(), name.c_str(), std::strerror(errno)));
    }
  }
  return written;
}
