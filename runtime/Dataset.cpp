// The user's samples.

#include "runtime/Dataset.h"

#include "runtime/Npy.h"
#include "runtime/Safetensors.h"
#include "runtime/TokenFile.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

using namespace dsc;

/// Data of at most this size is read ahead by nobody: one pass brings it into the page cache.
static constexpr int64_t prefetchBytes = int64_t(256) << 20;

static bool endsWith(const std::string &text, const char *end) {
  size_t length = std::strlen(end);
  return text.size() > length && text.compare(text.size() - length, length, end) == 0;
}

static long long wide(int64_t value) { return value; }

void Dataset::note(const std::string &text) {
  if (std::find(remarks.begin(), remarks.end(), text) == remarks.end()) {
    remarks.push_back(text);
  }
}

ValueRange Dataset::rangeOf(const InputSpec &input) const {
  ValueRange range;
  range.classes = input.classes;
  if (input.role == InputRole::Labels) {
    range.exception = manifest.ignoreIndex;
    range.finite = isFloat(input.dtype);
  }
  return range;
}

Result<std::unique_ptr<Dataset>> Dataset::open(const Manifest &manifest,
                                               const DataOptions &options) {
  std::unique_ptr<Dataset> dataset(new Dataset(manifest));
  struct stat info;
  if (stat(options.path.c_str(), &info) != 0) {
    return Status::user(format("%s: %s", options.path.c_str(), std::strerror(errno)));
  }
  DSC_RETURN_IF_FAILED(S_ISDIR(info.st_mode) ? dataset->addFolder(options)
                                             : dataset->addFile(options.path, options));
  for (const Shard &shard : dataset->parts) {
    dataset->begins.push_back(dataset->total);
    dataset->total += shard.samples;
  }
  dataset->begins.push_back(dataset->total);
  dataset->large = dataset->bytes() > prefetchBytes;
  if (dataset->total == 0) {
    return Status::user(options.path + ": holds no samples");
  }
  return dataset;
}

int64_t Dataset::bytes() const {
  int64_t sum = 0;
  for (const Shard &shard : parts) {
    for (const std::optional<Column> &column : shard.columns) {
      if (column) {
        sum += column->source.bytes;
      }
    }
  }
  return sum;
}

Status Dataset::addFile(const std::string &path, const DataOptions &options) {
  if (endsWith(path, ".npz")) {
    Result<Npz> npz = Npz::open(path);
    if (npz.failed()) {
      return npz.status();
    }
    Shard shard;
    shard.where = path;
    shard.archive = std::make_shared<Npz>(std::move(*npz));
    const Npz &archive = *shard.archive;
    return addArrays(std::move(shard), archive.tensors());
  }
  if (endsWith(path, ".safetensors")) {
    Result<Safetensors> file = Safetensors::open(path);
    if (file.failed()) {
      return file.status();
    }
    Shard shard;
    shard.where = path;
    auto owner = std::make_shared<Safetensors>(std::move(*file));
    shard.owners.push_back(owner);
    return addArrays(std::move(shard), owner->tensors());
  }
  if (endsWith(path, ".bin") || options.tokenWidth) {
    return addTokens(path, options);
  }
  return Status::user(path +
                      ": is not data that dsc reads: .npz, .safetensors, .bin token files, a "
                      "folder of NAME.npy, or a folder of such files");
}

Status Dataset::addFolder(const DataOptions &options) {
  DIR *directory = opendir(options.path.c_str());
  if (!directory) {
    return Status::user(format("%s: %s", options.path.c_str(), std::strerror(errno)));
  }
  std::vector<std::string> arrays, shards, others;
  std::string kind;
  bool mixed = false;
  while (dirent *entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name[0] == '.') {
      continue;
    }
    const char *suffix = nullptr;
    for (const char *candidate : {".npy", ".npz", ".safetensors", ".bin"}) {
      if (endsWith(name, candidate)) {
        suffix = candidate;
      }
    }
    if (!suffix) {
      others.push_back(name);
      continue;
    }
    mixed |= !kind.empty() && kind != suffix;
    kind = suffix;
    (kind == ".npy" ? arrays : shards).push_back(name);
  }
  closedir(directory);
  if (mixed) {
    return Status::user(options.path + ": holds data files of several kinds; keep one kind in a "
                                       "folder");
  }
  if (kind.empty()) {
    return Status::user(options.path + ": holds no .npy, .npz, .safetensors or .bin files");
  }
  for (const std::string &name : others) {
    note(options.path + "/" + name + ": is not used");
  }
  std::sort(shards.begin(), shards.end());
  for (const std::string &name : shards) {
    DSC_RETURN_IF_FAILED(addFile(options.path + "/" + name, options));
  }
  if (arrays.empty()) {
    return {};
  }

  std::sort(arrays.begin(), arrays.end());
  Shard shard;
  shard.where = options.path;
  std::vector<TensorView> views;
  for (const std::string &name : arrays) {
    std::string path = options.path + "/" + name;
    Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
    if (file.failed()) {
      return file.status();
    }
    Result<TensorView> view = readNpy(path, (*file)->data(), (*file)->size());
    if (view.failed()) {
      return view.status();
    }
    view->name = name.substr(0, name.size() - 4);
    views.push_back(std::move(*view));
    shard.owners.push_back(*file);
  }
  return addArrays(std::move(shard), views);
}

Status Dataset::addArrays(Shard shard, const std::vector<TensorView> &arrays) {
  shard.samples = -1;
  std::string sized, known;
  for (const TensorView &array : arrays) {
    known += (known.empty() ? "" : ", ") + array.name;
  }
  if (arrays.empty()) {
    return Status::user(shard.where + ": holds no arrays");
  }
  for (const InputSpec &input : manifest.inputs) {
    shard.columns.emplace_back();
    if (input.role == InputRole::SampleWeight) {
      continue;
    }
    auto wrong = [&](const std::string &what) {
      return Status::user(shard.where + ": array \"" + input.name + "\": " + what);
    };
    const TensorView *array = nullptr;
    for (const TensorView &candidate : arrays) {
      if (candidate.name == input.name) {
        array = &candidate;
      }
    }
    if (!array && input.role == InputRole::Labels) {
      return wrong("is missing, and the loss needs these labels; the data has: " + known +
                   "; name another array at compile time with --labels");
    }
    if (!array) {
      return wrong("is missing, and the graph has this input; the data has: " + known +
                   "; add it, or fix its value at compile time with --bind " + input.name +
                   "=VALUE");
    }
    Shape sample(input.shape.begin() + 1, input.shape.end());
    if (array->shape.empty() ||
        !std::equal(sample.begin(), sample.end(), array->shape.begin() + 1, array->shape.end())) {
      return wrong("has shape " + shapeText(array->shape) + " and the program takes samples of " +
                   shapeText(sample) + ": the first axis counts samples, the others must agree");
    }
    if (!converts(array->dtype, input.dtype)) {
      return wrong(format("has type %s and the program takes %s; convert it when saving",
                          dtypeName(array->dtype), dtypeName(input.dtype)));
    }
    if (conversionRounds(array->dtype, input.dtype)) {
      note(format("array \"%s\" is %s and is rounded to %s", input.name.c_str(),
                  dtypeName(array->dtype), dtypeName(input.dtype)));
    }
    if (shard.samples >= 0 && array->shape[0] != shard.samples) {
      return wrong(format("has %lld samples and array \"%s\" has %lld", wide(array->shape[0]),
                          sized.c_str(), wide(shard.samples)));
    }
    shard.samples = array->shape[0];
    sized = input.name;
    Column column;
    column.source = *array;
    // Known to be positive: a planned shape has no empty dims beyond the first.
    column.stride = elementCount(sample).value_or(0);
    shard.columns.back() = std::move(column);
  }
  if (shard.samples < 0) {
    return Status::user(shard.where + ": the program takes no data");
  }
  for (const TensorView &array : arrays) {
    bool used = false;
    for (const InputSpec &input : manifest.inputs) {
      used |= input.role != InputRole::SampleWeight && input.name == array.name;
    }
    if (!used) {
      note("array \"" + array.name + "\" is not used by the program");
    }
  }
  parts.push_back(std::move(shard));
  return {};
}

Status Dataset::addTokens(const std::string &path, const DataOptions &options) {
  if (manifest.shiftLabels) {
    return Status::user(path + ": the program was compiled with --shift-labels, and windows of "
                               "tokens are shifted already; compile without it");
  }
  // The one integer [B, T] input, unless the user names it.
  const InputSpec *target = nullptr;
  for (const InputSpec &input : manifest.inputs) {
    if (input.role != InputRole::Input) {
      continue;
    }
    bool fits = isInteger(input.dtype) && input.shape.size() == 2;
    if (!options.tokensTo.empty() ? input.name != options.tokensTo : !fits) {
      continue;
    }
    if (!fits) {
      return Status::user(format("--tokens-to %s: this input is %s %s and tokens need an integer "
                                 "[batch, length] input",
                                 input.name.c_str(), dtypeName(input.dtype),
                                 shapeText(input.shape).c_str()));
    }
    if (target) {
      return Status::user("token data could feed \"" + target->name + "\" or \"" + input.name +
                          "\"; choose with --tokens-to NAME");
    }
    target = &input;
  }
  if (!target) {
    return Status::user(
        options.tokensTo.empty()
            ? path + ": token data needs an integer input of shape [batch, length], "
                     "which this program does not have"
            : "--tokens-to " + options.tokensTo + ": the program has no such input");
  }
  Result<TokenFile> file = TokenFile::open(path, options.tokenWidth);
  if (file.failed()) {
    return file.status();
  }
  const int64_t length = target->shape[1];
  Shard shard;
  shard.where = path;
  shard.tokens = true;
  shard.owners.push_back(file->file);
  for (const InputSpec &input : manifest.inputs) {
    shard.columns.emplace_back();
    if (input.role == InputRole::SampleWeight) {
      continue;
    }
    bool labels = input.role == InputRole::Labels;
    if (!labels && &input != target) {
      return Status::user(path + ": token data feeds \"" + target->name +
                          "\" and the labels, and the program has the input \"" + input.name +
                          "\" too; fix its value at compile time with --bind " + input.name +
                          "=VALUE, or give arrays instead of tokens");
    }
    if (labels && (!isInteger(input.dtype) || input.shape != target->shape)) {
      return Status::user(format("%s: the labels \"%s\" are %s %s, and windows of tokens give "
                                 "integers of shape %s; give arrays instead of tokens",
                                 path.c_str(), input.name.c_str(), dtypeName(input.dtype),
                                 shapeText(input.shape).c_str(), shapeText(target->shape).c_str()));
    }
    Column column;
    column.source = file->tokens;
    column.first = labels ? 1 : 0;
    column.stride = length;
    shard.columns.back() = std::move(column);
  }
  int64_t tokens = file->tokens.shape[0];
  shard.samples = (tokens - 1) / length;
  if (shard.samples == 0) {
    return Status::user(format("%s: has %lld tokens and one window needs %lld", path.c_str(),
                               wide(tokens), wide(length + 1)));
  }
  parts.push_back(std::move(shard));
  return {};
}

std::string Dataset::placeOf(const InputSpec &input, int64_t sample, int64_t element) const {
  Shape place(input.shape.size());
  for (size_t i = input.shape.size(); i-- > 1;) {
    place[i] = element % input.shape[i];
    element /= input.shape[i];
  }
  place[0] = sample;
  return shapeText(place);
}

Status Dataset::describeBad(const Shard &shard, size_t index, int64_t sample,
                            const BadValue &bad) const {
  const InputSpec &input = manifest.inputs[index];
  const Column &column = *shard.columns[index];
  if (shard.tokens) {
    return Status::user(format("%s: token %lld: %s, for the input \"%s\"", shard.where.c_str(),
                               wide(column.first + sample * column.stride + bad.index),
                               bad.why.c_str(), input.name.c_str()));
  }
  return Status::user(format("%s: array \"%s\" at %s: %s", shard.where.c_str(), input.name.c_str(),
                             placeOf(input, sample, bad.index).c_str(), bad.why.c_str()));
}

const Shard &Dataset::shardOf(int64_t sample, int64_t &local) const {
  auto after = std::upper_bound(begins.begin(), begins.end(), sample);
  local = sample - *(after - 1);
  return parts[static_cast<size_t>(after - begins.begin()) - 1];
}

void Dataset::prefetch(int64_t sample) const {
  if (!large) {
    return;
  }
  int64_t local;
  const Shard &shard = shardOf(sample, local);
  for (const std::optional<Column> &column : shard.columns) {
    if (!column) {
      continue;
    }
    const int64_t size = dtypeSize(column->source.dtype);
    auto begin = reinterpret_cast<uintptr_t>(column->source.data) +
                 static_cast<uintptr_t>((column->first + local * column->stride) * size);
    uintptr_t page = begin & ~uintptr_t(4095);
    // Only advice: what fails here is read when it is needed.
    madvise(reinterpret_cast<void *>(page),
            begin - page + static_cast<size_t>(column->stride * size), MADV_WILLNEED);
  }
}

Status Dataset::copy(size_t index, int64_t sample, std::byte *target, int64_t slot) const {
  int64_t local;
  const Shard &shard = shardOf(sample, local);
  const InputSpec &input = manifest.inputs[index];
  const std::optional<Column> &column = shard.columns[index];
  if (!column) {
    return {};
  }
  int64_t elements = column->stride;
  const std::byte *source = column->source.data + (column->first + local * column->stride) *
                                                      dtypeSize(column->source.dtype);
  std::optional<BadValue> bad =
      convertValues(column->source.dtype, source, input.dtype,
                    target + slot * elements * dtypeSize(input.dtype), elements, rangeOf(input));
  return bad ? describeBad(shard, index, local, *bad) : Status();
}

Status Dataset::checkValues() {
  std::vector<std::byte> scratch;
  for (size_t part = 0; part < parts.size(); ++part) {
    const Shard &shard = parts[part];
    if (shard.archive) {
      DSC_RETURN_IF_FAILED(shard.archive->verify());
    }
    for (size_t i = 0; i < manifest.inputs.size(); ++i) {
      if (!shard.columns[i]) {
        continue;
      }
      const InputSpec &input = manifest.inputs[i];
      const int64_t elements = shard.columns[i]->stride;
      scratch.resize(static_cast<size_t>(elements * dtypeSize(input.dtype)));
      bool noted = !isFloat(input.dtype) || input.role == InputRole::Labels;
      for (int64_t sample = begins[part]; sample < begins[part + 1]; ++sample) {
        DSC_RETURN_IF_FAILED(copy(i, sample, scratch.data(), 0));
        for (int64_t k = 0; !noted && k < elements; ++k) {
          if (std::isnan(loadAsDouble(input.dtype, scratch.data(), k))) {
            note(format("array \"%s\" has NaN, first at %s", input.name.c_str(),
                        placeOf(input, sample - begins[part], k).c_str()));
            noted = true;
          }
        }
      }
    }
  }
  return {};
}
