// The payload behind the runner.
// Finds the program, the constants and the manifest in the running file by its trailer
// (docs/executable-format.md), checks their hash, and loads the program from a sealed memory file.

#ifndef DSC_RUNTIME_EXECUTABLE_H
#define DSC_RUNTIME_EXECUTABLE_H

#include "runtime/Manifest.h"
#include "runtime/MappedFile.h"
#include "runtime/abi.h"

#include <memory>
#include <string>

namespace dsc {

/// Where the sections lie in the file.
struct PayloadLayout {
  int64_t programOffset = 0, programBytes = 0;
  int64_t constantsOffset = 0, constantsBytes = 0;
  int64_t manifestOffset = 0, manifestBytes = 0;
};

/// Reads the trailer of `file` and checks offsets and hash.
Result<PayloadLayout> readPayload(const MappedFile &file);

class Executable {
public:
  /// Opens the file at `path` (the running one), reads its manifest, loads no code yet.
  static Result<std::unique_ptr<Executable>> open(const std::string &path);
  ~Executable();

  const Manifest &manifest() const { return description; }
  const std::byte *constants() const { return file->data() + layout.constantsOffset; }
  /// The executable's real path and its folder.
  const std::string &path() const { return realPath; }
  std::string folder() const;
  /// Its name without the folder.
  std::string name() const;
  /// The hash of program, constants and manifest, as the trailer has it.
  std::string hash() const;
  int64_t programBytes() const { return layout.programBytes; }
  int64_t constantsBytes() const { return layout.constantsBytes; }

  /// Loads program.so and checks its ABI version.
  Status load();
  /// An exported function, or null.
  void *symbol(const std::string &name) const;

private:
  Executable() = default;

  std::string realPath;
  std::shared_ptr<MappedFile> file;
  PayloadLayout layout;
  Manifest description;
  void *program = nullptr;
};

} // namespace dsc

#endif // DSC_RUNTIME_EXECUTABLE_H
