// Named tensors in one file.

#include "runtime/Safetensors.h"

#include "runtime/Json.h"

#include <algorithm>
#include <tuple>
#include <unistd.h>

using namespace dsc;

namespace {
struct SafetensorsType {
  const char *name;
  Dtype dtype;
};
constexpr SafetensorsType types[] = {
    {"F32", DSC_F32}, {"F64", DSC_F64}, {"F16", DSC_F16},   {"BF16", DSC_BF16}, {"I8", DSC_I8},
    {"I16", DSC_I16}, {"I32", DSC_I32}, {"I64", DSC_I64},   {"U8", DSC_U8},     {"U16", DSC_U16},
    {"U32", DSC_U32}, {"U64", DSC_U64}, {"BOOL", DSC_BOOL},
};
constexpr uint64_t maxHeader = 100'000'000; // the format's own limit

/// One entry of the header; false with a message in `view.name`'s place on any lie.
Status readEntry(const std::string &name, const Json &entry, int64_t dataBytes, TensorView &view,
                 int64_t &begin) {
  auto wrong = [&](const std::string &what) {
    return Status::user("tensor \"" + name + "\": " + what);
  };
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") ||
      !entry.contains("shape") || !entry.contains("data_offsets")) {
    return wrong("its header entry is not {dtype, shape, data_offsets}");
  }
  const Json &dtype = entry["dtype"], &shape = entry["shape"], &offsets = entry["data_offsets"];
  const SafetensorsType *type = nullptr;
  for (const SafetensorsType &candidate : types) {
    if (dtype.is_string() && dtype == candidate.name) {
      type = &candidate;
    }
  }
  if (!type) {
    return wrong("its dtype " + dtype.dump(-1, ' ', true, Json::error_handler_t::replace) +
                 " is not one that dsc reads");
  }
  auto isSize = [](const Json &number) {
    return number.is_number_unsigned() && number.get<uint64_t>() <= static_cast<uint64_t>(maxBytes);
  };
  if (!shape.is_array() || shape.size() > maxRank ||
      !std::all_of(shape.begin(), shape.end(), isSize)) {
    return wrong("its shape is not a list of sizes");
  }
  if (!offsets.is_array() || offsets.size() != 2 || !isSize(offsets[0]) || !isSize(offsets[1])) {
    return wrong("its data_offsets are not two sizes");
  }
  view.name = name;
  view.dtype = type->dtype;
  for (const Json &dim : shape) {
    view.shape.push_back(dim.get<int64_t>());
  }
  begin = offsets[0].get<int64_t>();
  auto end = offsets[1].get<int64_t>();
  std::optional<int64_t> bytes = byteCount(view.dtype, view.shape);
  if (!bytes) {
    return wrong("its shape " + shapeText(view.shape) + " is too large");
  }
  if (end < begin || end - begin != *bytes) {
    return wrong(format("its shape %s needs %lld bytes and its data_offsets span %lld",
                        shapeText(view.shape).c_str(), static_cast<long long>(*bytes),
                        static_cast<long long>(end - begin)));
  }
  if (end > dataBytes) {
    return wrong(format("its data ends at byte %lld and the file holds %lld: the file is truncated",
                        static_cast<long long>(end), static_cast<long long>(dataBytes)));
  }
  view.bytes = *bytes;
  return {};
}
} // namespace

Result<Safetensors> Safetensors::open(const std::string &path) {
  Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(path);
  if (mapped.failed()) {
    return mapped.status();
  }
  Safetensors result;
  result.file = *mapped;
  const MappedFile &file = *result.file;
  if (file.size() < 8) {
    return Status::user(format("%s: has %lld bytes, which is no safetensors file", path.c_str(),
                               static_cast<long long>(file.size())));
  }
  uint64_t headerBytes = loadLittle64(file.data());
  if (headerBytes > maxHeader || static_cast<int64_t>(headerBytes) > file.size() - 8) {
    return Status::user(format("%s: the header's length %llu does not fit the file's %lld bytes: "
                               "not a safetensors file, or truncated",
                               path.c_str(), static_cast<unsigned long long>(headerBytes),
                               static_cast<long long>(file.size())));
  }
  Result<Json> header = parseJson({reinterpret_cast<const char *>(file.data()) + 8, headerBytes});
  if (header.failed()) {
    return header.status().in(path + ": header");
  }
  if (!header->is_object()) {
    return Status::user(path + ": the header is not a JSON object");
  }

  const int64_t dataBytes = file.size() - 8 - static_cast<int64_t>(headerBytes);
  std::vector<std::pair<int64_t, TensorView>> found;
  for (auto item = header->begin(); item != header->end(); ++item) {
    if (item.key() == "__metadata__") {
      if (!item->is_object()) {
        return Status::user(path + ": __metadata__ is not an object");
      }
      for (auto note = item->begin(); note != item->end(); ++note) {
        if (note->is_string()) {
          result.notes[note.key()] = note->get<std::string>();
        } else {
          return Status::user(path + ": __metadata__ holds something else than strings");
        }
      }
      continue;
    }
    TensorView view;
    int64_t begin = 0;
    DSC_RETURN_IF_FAILED(readEntry(item.key(), *item, dataBytes, view, begin).in(path));
    view.data = file.data() + 8 + headerBytes + begin;
    found.emplace_back(begin, std::move(view));
  }
  std::sort(found.begin(), found.end(), [](const auto &a, const auto &b) {
    return std::tie(a.first, a.second.bytes, a.second.name) <
           std::tie(b.first, b.second.bytes, b.second.name);
  });
  int64_t reached = 0;
  for (auto &[begin, view] : found) {
    if (begin != reached) {
      return Status::user(
          format("%s: tensor \"%s\": its data begins at byte %lld and the one before "
                 "ends at %lld: tensors must follow each other",
                 path.c_str(), view.name.c_str(), static_cast<long long>(begin),
                 static_cast<long long>(reached)));
    }
    reached += view.bytes;
    result.byName[view.name] = result.views.size();
    result.views.push_back(std::move(view));
  }
  if (reached != dataBytes) {
    return Status::user(format("%s: the tensors end at byte %lld and the file holds %lld: the file "
                               "is damaged",
                               path.c_str(), static_cast<long long>(reached),
                               static_cast<long long>(dataBytes)));
  }
  return result;
}

const TensorView *Safetensors::find(const std::string &name) const {
  auto found = byName.find(name);
  return found == byName.end() ? nullptr : &views[found->second];
}

Result<SafetensorsHeader> dsc::safetensorsHeader(const std::string &path,
                                                 const std::vector<TensorToWrite> &tensors,
                                                 std::map<std::string, std::string> metadata) {
  metadata["producer"] = "dsc";
  OrderedJson json = OrderedJson::object();
  json["__metadata__"] = metadata;
  SafetensorsHeader header;
  header.offsets.push_back(0);
  for (const TensorToWrite &tensor : tensors) {
    std::optional<int64_t> bytes = byteCount(tensor.dtype, tensor.shape);
    const char *type = nullptr;
    for (const SafetensorsType &candidate : types) {
      if (candidate.dtype == tensor.dtype) {
        type = candidate.name;
      }
    }
    if (!bytes || !type || json.contains(tensor.name)) {
      return Status::internal(path + ": cannot write the tensor \"" + tensor.name + "\"");
    }
    const int64_t begin = header.offsets.back();
    json[tensor.name] = {
        {"dtype", type}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + *bytes}}};
    header.offsets.push_back(begin + *bytes);
  }
  std::string text = jsonText(json);
  // The data starts on a cache line, so that a mapped reader may use it in place.
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  const uint64_t length = text.size();
  header.text.assign(reinterpret_cast<const char *>(&length), sizeof length);
  header.text += text;
  for (int64_t &offset : header.offsets) {
    offset += static_cast<int64_t>(header.text.size());
  }
  return header;
}

Status dsc::writeSafetensors(const std::string &path, const std::vector<TensorToWrite> &tensors,
                             std::map<std::string, std::string> metadata) {
  Result<SafetensorsHeader> header = safetensorsHeader(path, tensors, std::move(metadata));
  DSC_RETURN_IF_FAILED(header.status());
  FileWriter writer;
  DSC_RETURN_IF_FAILED(writer.open(path));
  DSC_RETURN_IF_FAILED(writer.write(header->text));
  for (size_t i = 0; i < tensors.size(); ++i) {
    DSC_RETURN_IF_FAILED(tensors[i].fill(writer));
    if (writer.position() != header->offsets[i + 1]) {
      return Status::internal(path + ": wrote a wrong number of bytes for \"" + tensors[i].name +
                              "\"");
    }
  }
  return writer.commit();
}

Status dsc::checkOverwritesOwnSafetensors(const std::string &path) {
  if (access(path.c_str(), F_OK) != 0) {
    return {};
  }
  Result<Safetensors> old = Safetensors::open(path);
  if (old.ok()) {
    auto producer = old->metadata().find("producer");
    if (producer != old->metadata().end() && producer->second == "dsc") {
      return {};
    }
  }
  return Status::user(path + ": exists and was not written by dsc; move it away or name another "
                             "file");
}
