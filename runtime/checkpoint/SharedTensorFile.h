// A safetensors file that all ranks write.
// One file of whole tensors, made by rank 0 in its full size; each rank writes its slices where
// they belong, so nothing is gathered and the file is the same for every number of ranks and ZeRO
// stage. The name is one aside: whoever calls gives it its final one.

#ifndef DSC_RUNTIME_CHECKPOINT_SHAREDTENSORFILE_H
#define DSC_RUNTIME_CHECKPOINT_SHAREDTENSORFILE_H

#include "runtime/Buffers.h"
#include "runtime/Safetensors.h"

#include <string>
#include <vector>

namespace dsc {

/// A tensor of a file, and where its elements come from.
struct SavedTensor {
  std::string name;
  const GlobalSpec *spec = nullptr;
  /// The storage to write instead of the session's, the same on all ranks: a mean. May be null.
  const std::vector<std::byte> *storage = nullptr;
  /// With a first axis of ranks, of which each one writes its own `storage`.
  bool byRank = false;
};

class SharedTensorFile {
public:
  /// Lays the file out.
  static Result<SharedTensorFile> plan(const std::string &path, std::vector<SavedTensor> tensors,
                                       std::map<std::string, std::string> metadata, int ranks);
  SharedTensorFile(SharedTensorFile &&other) noexcept;
  ~SharedTensorFile();

  const std::string &path() const { return name; }
  int64_t bytes() const { return header.offsets.back(); }
  const std::vector<SavedTensor> &tensors() const { return saved; }
  int64_t tensorBytes(size_t tensor) const {
    return header.offsets[tensor + 1] - header.offsets[tensor];
  }

  /// Rank 0: makes the file, its header, and room for all of it. A file of that name goes away.
  Status create() const;
  /// Every rank, behind that: writes its slices and syncs. Takes part in gathering what needs it
  /// even where `failure` or the disk keep this rank from writing.
  Status writeOwn(Session &session, Status failure);
  /// What this rank wrote of each tensor, for the checksum.
  const std::vector<uint32_t> &remainders() const { return sums; }

private:
  SharedTensorFile() = default;
  Status writeTensor(Session &session, size_t tensor);
  Status append(size_t tensor, int64_t offset, const std::byte *data, int64_t bytes);
  Status flush();

  std::string name;
  std::vector<SavedTensor> saved;
  SafetensorsHeader header;
  std::vector<uint32_t> sums;
  int fd = -1;
  /// Bytes of one tensor that follow each other and are not written yet.
  std::vector<std::byte> window;
  size_t windowTensor = 0;
  int64_t windowOffset = 0;
};

/// Makes the files and has all ranks write them. Returns each file's checksums by tensor, on rank 0
/// only. All ranks call it, and all fail where one does.
Result<std::vector<std::vector<uint32_t>>> writeTogether(Session &session, Ranks &ranks,
                                                         std::vector<SharedTensorFile> &files);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_SHAREDTENSORFILE_H
