// A file mapped read-only.
// Opens regular files only, never a pipe or a device that would block, and keeps the mapping for
// the object's lifetime. A file that shrinks while mapped ends the process with a sentence instead
// of a bare SIGBUS (installBusErrorMessage).

#ifndef DSC_RUNTIME_MAPPEDFILE_H
#define DSC_RUNTIME_MAPPEDFILE_H

#include "runtime/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace dsc {

class MappedFile {
public:
  /// `shownAs` is the name in messages, where it is not the path.
  static Result<std::shared_ptr<MappedFile>> open(const std::string &path,
                                                  const std::string &shownAs = "");
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  const std::string &path() const { return name; }
  const std::byte *data() const { return begin; }
  int64_t size() const { return length; }

private:
  MappedFile(std::string name, const std::byte *begin, int64_t length)
      : name(std::move(name)), begin(begin), length(length) {}

  std::string name;
  const std::byte *begin;
  int64_t length;
};

/// Little-endian integers at any address.
uint16_t loadLittle16(const std::byte *data);
uint32_t loadLittle32(const std::byte *data);
uint64_t loadLittle64(const std::byte *data);

/// Makes SIGBUS say what it means for a program that maps its data.
void installBusErrorMessage();

} // namespace dsc

#endif // DSC_RUNTIME_MAPPEDFILE_H
