// Named tensors in one file.
// The safetensors format: 8 bytes of header length, a JSON header, bytes. Reading maps the file
// and accepts only what the format's own rules allow: no holes, overlaps, duplicates or sizes that
// disagree. Writing is whole or absent, and marks the file as ours.

#ifndef DSC_RUNTIME_SAFETENSORS_H
#define DSC_RUNTIME_SAFETENSORS_H

#include "runtime/FileWriter.h"
#include "runtime/MappedFile.h"
#include "runtime/Tensor.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace dsc {

class Safetensors {
public:
  static Result<Safetensors> open(const std::string &path);

  const std::string &path() const { return file->path(); }
  const MappedFile &mapped() const { return *file; }
  /// In the order of the bytes in the file.
  const std::vector<TensorView> &tensors() const { return views; }
  const TensorView *find(const std::string &name) const;
  const std::map<std::string, std::string> &metadata() const { return notes; }

private:
  std::shared_ptr<MappedFile> file;
  std::vector<TensorView> views;
  std::map<std::string, size_t> byName;
  std::map<std::string, std::string> notes;
};

/// A tensor to be written; `fill` is asked for the bytes when its turn comes, so that a large file
/// never needs to be in memory.
struct TensorToWrite {
  std::string name;
  Dtype dtype = DSC_F32;
  Shape shape;
  std::function<Status(FileWriter &)> fill;
};

/// What a file of tensors begins with: 8 bytes of length and the JSON text.
struct SafetensorsHeader {
  std::string text;
  /// Where each tensor's bytes begin in the file, and the end of the file.
  std::vector<int64_t> offsets;
};

/// The header of a file of the tensors, in the given order; their data begins at a multiple of 64.
/// `metadata` gets "producer": "dsc" in addition. `path` is for messages.
Result<SafetensorsHeader> safetensorsHeader(const std::string &path,
                                            const std::vector<TensorToWrite> &tensors,
                                            std::map<std::string, std::string> metadata);

/// Writes the tensors in the given order. `metadata` gets "producer": "dsc" in addition.
Status writeSafetensors(const std::string &path, const std::vector<TensorToWrite> &tensors,
                        std::map<std::string, std::string> metadata);

/// Fails if `path` exists and is not a safetensors file that dsc wrote.
Status checkOverwritesOwnSafetensors(const std::string &path);

} // namespace dsc

#endif // DSC_RUNTIME_SAFETENSORS_H
