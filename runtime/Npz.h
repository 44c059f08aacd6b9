// Stored zip archives of NumPy arrays.
// Reads what numpy.savez writes, straight from the mapped file: stored members only, 64-bit sizes
// included; compressed archives are refused with the call to use instead. Writing marks the archive
// as ours in its comment.

#ifndef DSC_RUNTIME_NPZ_H
#define DSC_RUNTIME_NPZ_H

#include "runtime/FileWriter.h"
#include "runtime/MappedFile.h"
#include "runtime/Tensor.h"

#include <memory>
#include <string>
#include <vector>

namespace dsc {

class Npz {
public:
  static Result<Npz> open(const std::string &path);

  const std::vector<TensorView> &tensors() const { return views; }
  /// Compares the members with their checksums; reads the whole file.
  Status verify() const;

private:
  struct Member {
    std::string name;
    const std::byte *data;
    int64_t bytes;
    uint32_t checksum;
  };
  Status readDirectory(const std::byte *directory, int64_t directoryBytes, uint64_t count,
                       std::vector<Member> &out) const;

  std::shared_ptr<MappedFile> file;
  std::vector<Member> members;
  std::vector<TensorView> views;
};

/// The CRC-32 of zip; `crc` continues an earlier one.
uint32_t crc32(uint32_t crc, const void *data, size_t bytes);

/// Writes arrays whose shapes are known before their values: each grows by append, in any
/// interleaving, so that evaluation can stream several outputs.
class NpzWriter {
public:
  Status open(const std::string &path) { return writer.open(path); }
  /// Declares an array and returns its number; all arrays are declared before the first append.
  Result<size_t> add(const std::string &name, Dtype dtype, const Shape &shape);
  Status append(size_t array, const void *data, int64_t bytes);
  Status commit();

private:
  struct Member {
    std::string name, header;
    int64_t offset = 0;   ///< of the local header
    int64_t data = 0;     ///< of the next value
    int64_t expected = 0; ///< bytes of values still to come
    uint64_t bytes = 0;
    uint32_t checksum = 0;
  };
  FileWriter writer;
  std::vector<Member> members;
  int64_t planned = 0;
};

/// Fails if `path` exists and is not an archive that dsc wrote.
Status checkOverwritesOwnNpz(const std::string &path);

} // namespace dsc

#endif // DSC_RUNTIME_NPZ_H
