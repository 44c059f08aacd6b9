// A file that is whole or absent: written beside its final name, synced, renamed.

#ifndef DSC_FRONTEND_ASIDEFILE_H
#define DSC_FRONTEND_ASIDEFILE_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <string>

namespace dsc {

/// A file that appears under its name once it is complete and durable.
class AsideFile {
public:
  explicit AsideFile(std::string target);
  ~AsideFile();
  AsideFile(const AsideFile &) = delete;
  AsideFile &operator=(const AsideFile &) = delete;

  bool isOpen() const { return descriptor >= 0; }
  /// Appends; false: errno says why.
  bool write(llvm::ArrayRef<char> data);
  uint64_t position() const { return written; }
  /// Gives the file its name.
  bool finish();

private:
  std::string target, aside;
  int descriptor;
  uint64_t written = 0;
};

} // namespace dsc

#endif // DSC_FRONTEND_ASIDEFILE_H
