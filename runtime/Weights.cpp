// Parameters in.

#include "runtime/Weights.h"

#include "runtime/Convert.h"
#include "runtime/InitialValues.h"
#include "runtime/Json.h"
#include "runtime/Sha256.h"
#include "runtime/checkpoint/CheckpointFolder.h"
#include "runtime/checkpoint/LoadCheckpoint.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <iterator>
#include <set>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace dsc;

static bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

static bool endsWith(const std::string &text, const std::string &end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Status TensorSet::addIndex(const std::string &path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (file.failed()) {
    return file.status();
  }
  Result<Json> json = parseJson(
      {reinterpret_cast<const char *>((*file)->data()), static_cast<size_t>((*file)->size())});
  if (json.failed()) {
    return json.status().in(path);
  }
  if (!json->is_object() || !json->contains("weight_map") || !(*json)["weight_map"].is_object()) {
    return Status::user(path + ": has no weight_map: not an index of safetensors shards");
  }
  std::string folder = path.substr(0, path.rfind('/') + 1);
  std::map<std::string, size_t> opened;
  const Json &map = (*json)["weight_map"];
  for (auto item = map.begin(); item != map.end(); ++item) {
    std::string name = item->is_string() ? item->get<std::string>() : "";
    // A shard stands beside its index; anything else reaches out of the folder.
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos ||
        name.find('\0') != std::string::npos) {
      return Status::user(path + ": tensor \"" + item.key() + "\" has no plain file name");
    }
    auto found = opened.find(name);
    if (found == opened.end()) {
      Result<Safetensors> shard = Safetensors::open(folder + name);
      if (shard.failed()) {
        return shard.status().in(path);
      }
      found = opened.emplace(name, parts.size()).first;
      parts.push_back(std::move(*shard));
    }
    const TensorView *tensor = parts[found->second].find(item.key());
    if (!tensor) {
      return Status::user(path + ": says that \"" + item.key() + "\" is in " + name +
                          ", which does not hold it");
    }
    byName[item.key()] = *tensor;
  }
  return {};
}

Result<TensorSet> TensorSet::open(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return Status::user(format("%s: %s", path.c_str(), std::strerror(errno)));
  }
  std::string file = path;
  if (holdsCheckpoint(path)) {
    Result<std::string> checkpoint = findCheckpoint(path);
    DSC_RETURN_IF_FAILED(checkpoint.status());
    Result<CheckpointManifest> manifest = openCheckpoint(*checkpoint);
    DSC_RETURN_IF_FAILED(manifest.status());
    const auto threads = static_cast<int>(std::thread::hardware_concurrency());
    DSC_RETURN_IF_FAILED(verifyCheckpoint(*checkpoint, *manifest, threads, weightsFile));
    file = *checkpoint + "/" + weightsFile;
  } else if (S_ISDIR(info.st_mode)) {
    file.clear();
    for (const char *name :
         {"weights.safetensors", "model.safetensors.index.json", "model.safetensors"}) {
      if (file.empty() && exists(path + "/" + name)) {
        file = path + "/" + name;
      }
    }
    if (file.empty()) {
      return Status::user(path + ": holds no weights.safetensors, model.safetensors or "
                                 "model.safetensors.index.json");
    }
  }
  TensorSet set;
  if (endsWith(file, ".json")) {
    DSC_RETURN_IF_FAILED(set.addIndex(file));
    return set;
  }
  Result<Safetensors> tensors = Safetensors::open(file);
  if (tensors.failed()) {
    return tensors.status();
  }
  for (const TensorView &view : tensors->tensors()) {
    set.byName[view.name] = view;
  }
  set.parts.push_back(std::move(*tensors));
  return set;
}

const TensorView *TensorSet::find(const std::string &name) const {
  auto found = byName.find(name);
  return found == byName.end() ? nullptr : &found->second;
}

Status dsc::storeTensor(Session &session, const GlobalSpec &spec, const TensorView &source) {
  const int64_t from = dtypeSize(source.dtype);
  auto convert = [&](std::byte *target, int64_t dense, int64_t count) -> Status {
    std::optional<BadValue> bad = convertValues(source.dtype, source.data + dense * from,
                                                spec.dtype, target, count, ValueRange());
    if (bad) {
      return Status::user(format("tensor \"%s\": element %lld: %s", source.name.c_str(),
                                 static_cast<long long>(dense + bad->index), bad->why.c_str()));
    }
    return {};
  };
  return session.writeElements(spec, convert);
}

/// Opens the file that was written with the executable: under the name it had, also where the
/// executable was renamed, or beside it under the executable's own, where both were.
static Result<Safetensors> openOwnWeights(const Session &session) {
  const Manifest &manifest = session.manifest();
  const std::string own = session.file().name() + ".weights.safetensors";
  const std::string &given = manifest.weightsFile;
  std::vector<std::string> names = {given.empty() ? own : given};
  if (names[0] != own) {
    names.push_back(own);
  }
  std::string tried, different;
  for (const std::string &name : names) {
    std::string path = session.file().folder() + "/" + name;
    tried += (tried.empty() ? "" : " or ") + path;
    if (!exists(path)) {
      continue;
    }
    Result<Safetensors> file = Safetensors::open(path);
    if (file.failed()) {
      return file.status();
    }
    const MappedFile &mapped = file->mapped();
    if (manifest.weightsHash.empty() ||
        Sha256::hex(mapped.data(), static_cast<size_t>(mapped.size())) == manifest.weightsHash) {
      return file;
    }
    different = path;
  }
  if (!different.empty()) {
    return Status::user(different +
                        ": is not the file that was written with this executable (its SHA-256 "
                        "differs); compile again, or give these weights with --weights");
  }
  return Status::user(tried +
                      ": the weights that belong to this executable are not beside it; move "
                      "the two together, or start from others with --weights");
}

Status dsc::loadInitialWeights(Session &session, int64_t seed) {
  const Manifest &manifest = session.manifest();
  DSC_RETURN_IF_FAILED(fillRandomWeights(session, seed));
  bool needed = std::any_of(manifest.globals.begin(), manifest.globals.end(),
                            [](const GlobalSpec &spec) { return !spec.weightsKey.empty(); });
  if (!needed) {
    return {};
  }
  Result<Safetensors> file = openOwnWeights(session);
  if (file.failed()) {
    return file.status();
  }
  const std::string path = file->path();
  for (const GlobalSpec &spec : manifest.globals) {
    if (spec.weightsKey.empty()) {
      continue;
    }
    const TensorView *tensor = file->find(spec.weightsKey);
    if (!tensor) {
      return Status::user(path + ": lacks the tensor \"" + spec.weightsKey + "\"");
    }
    if (tensor->shape != spec.shape || !converts(tensor->dtype, spec.dtype)) {
      return Status::user(format("%s: tensor \"%s\" is %s %s and the program has %s %s",
                                 path.c_str(), tensor->name.c_str(), dtypeName(tensor->dtype),
                                 shapeText(tensor->shape).c_str(), dtypeName(spec.dtype),
                                 shapeText(spec.shape).c_str()));
    }
    DSC_RETURN_IF_FAILED(storeTensor(session, spec, *tensor).in(path));
  }
  return {};
}

/// "missing (2): a, b", with at most 20 names.
static std::string listed(const char *title, const std::vector<std::string> &names) {
  if (names.empty()) {
    return {};
  }
  std::string text = format("\n  %s (%zu): ", title, names.size());
  for (size_t i = 0; i < names.size() && i < 20; ++i) {
    text += (i ? ", " : "") + names[i];
  }
  return text + (names.size() > 20 ? ", ..." : "");
}

Status dsc::loadWeights(Session &session, const std::string &path, bool partial, int64_t seed,
                        std::vector<std::string> &notes) {
  const Manifest &manifest = session.manifest();
  Result<TensorSet> set = TensorSet::open(path);
  if (set.failed()) {
    return set.status();
  }
  if (partial) {
    DSC_RETURN_IF_FAILED(loadInitialWeights(session, seed));
  }
  std::vector<std::string> missing, misshaped, unexpected;
  std::set<std::string> used;
  std::vector<std::pair<const GlobalSpec *, const TensorView *>> fitting;
  std::set<std::string>
      ownNames; // a parameter's own name never means another one it was merged with in the file
  for (const GlobalSpec &spec : manifest.globals) {
    ownNames.insert(spec.name);
  }
  for (const GlobalSpec &spec : manifest.globals) {
    if (!spec.isWeight()) {
      continue;
    }
    std::vector<std::string> names = {spec.weightsName(), spec.name};
    std::copy_if(spec.onnxNames.begin(), spec.onnxNames.end(), std::back_inserter(names),
                 [&](const std::string &name) { return !ownNames.count(name); });
    const TensorView *chosen = nullptr;
    for (const std::string &name : names) {
      const TensorView *tensor = set->find(name);
      if (!tensor || tensor == chosen) {
        continue;
      }
      used.insert(name);
      if (chosen &&
          (tensor->dtype != chosen->dtype || tensor->shape != chosen->shape ||
           std::memcmp(tensor->data, chosen->data, static_cast<size_t>(tensor->bytes)) != 0)) {
        return Status::user(path + ": \"" + chosen->name + "\" and \"" + name +
                            "\" are one parameter of the program and differ in the file; compile "
                            "with --no-tie, or remove one of them");
      }
      chosen = chosen ? chosen : tensor;
    }
    if (!chosen) {
      missing.push_back(spec.weightsName());
    } else if (chosen->shape != spec.shape || !converts(chosen->dtype, spec.dtype)) {
      misshaped.push_back(format("%s is %s %s there and %s %s here", chosen->name.c_str(),
                                 dtypeName(chosen->dtype), shapeText(chosen->shape).c_str(),
                                 dtypeName(spec.dtype), shapeText(spec.shape).c_str()));
    } else {
      if (conversionRounds(chosen->dtype, spec.dtype)) {
        std::string note = format("%s: %s is rounded to %s", path.c_str(), dtypeName(chosen->dtype),
                                  dtypeName(spec.dtype));
        if (std::find(notes.begin(), notes.end(), note) == notes.end()) {
          notes.push_back(note);
        }
      }
      fitting.emplace_back(&spec, chosen);
    }
  }
  for (const auto &[name, tensor] : set->tensors()) {
    if (!used.count(name)) {
      unexpected.push_back(name);
    }
  }
  std::string differences = listed("missing", missing) + listed("unexpected", unexpected) +
                            listed("of another shape or type", misshaped);
  if (!differences.empty() && !partial) {
    return Status::user(path + ": does not fit the program:" + differences +
                        "\nLoad what fits with --partial.");
  }
  if (!differences.empty()) {
    notes.push_back(path + ": loaded in part:" + differences);
  }
  if (fitting.empty()) {
    return Status::user(path + ": holds no weight of this program");
  }
  for (const auto &[spec, tensor] : fitting) {
    DSC_RETURN_IF_FAILED(storeTensor(session, *spec, *tensor).in(path));
  }
  return {};
}
