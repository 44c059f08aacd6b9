// Files that are whole or absent.
// Writes beside the final name, then fsync and rename, so that a reader never sees half a file and
// a crash leaves the old one. An unfinished writer removes what it wrote.

#ifndef DSC_RUNTIME_FILEWRITER_H
#define DSC_RUNTIME_FILEWRITER_H

#include "runtime/Status.h"

#include <cstdint>
#include <string>

namespace dsc {

class FileWriter {
public:
  FileWriter() = default;
  ~FileWriter();
  FileWriter(const FileWriter &) = delete;
  FileWriter &operator=(const FileWriter &) = delete;

  Status open(const std::string &path);
  Status write(const void *data, int64_t bytes);
  Status write(const std::string &text) {
    return write(text.data(), static_cast<int64_t>(text.size()));
  }
  /// Overwrites bytes written before; the end stays where it was.
  Status overwrite(int64_t offset, const void *data, int64_t bytes);
  int64_t position() const { return written; }
  /// Makes the file durable and gives it its name.
  Status commit();

private:
  std::string path, aside;
  int fd = -1;
  int64_t written = 0;
};

/// Why a call on `path` failed, by errno: exit code 2 where the disk is full or broken.
Status writeError(const std::string &path);
/// All `bytes` at `offset` of an open file.
Status writeAt(int fd, const std::string &path, int64_t offset, const void *data, int64_t bytes);
/// Makes a folder and those that it lies in, where they are not there. False where one cannot be
/// made, with errno.
bool makeFolder(const std::string &path);
/// Makes the names in a folder durable.
Status syncFolder(const std::string &folder);

} // namespace dsc

#endif // DSC_RUNTIME_FILEWRITER_H
