// Libraries that are loaded when needed.
// Opens the first of several file names and reads a table of functions from it. A failure says
// which names were tried, where, what the loader answered and which command installs the library.
// A library stays loaded until the process ends: its threads and thread-local data live in it.

#ifndef DSC_RUNTIME_CPU_SHAREDLIBRARY_H
#define DSC_RUNTIME_CPU_SHAREDLIBRARY_H

#include "runtime/Status.h"

#include <string>
#include <vector>

namespace dsc {

/// What to open, and what to tell a user who does not have it.
struct LibraryRequest {
  std::string title;              ///< "GNU OpenMP"
  std::vector<std::string> names; ///< tried in this order
  std::string folder;             ///< empty: the loader's own search path
  std::string install;            ///< "apt-get install libgomp1"
};

/// An open library.
class SharedLibrary {
public:
  static Result<SharedLibrary> open(const LibraryRequest &request);

  /// The file name that was taken.
  const std::string &name() const { return fileName; }

  /// Looks `symbol` up; null if the library has none.
  void *find(const char *symbol) const;

  /// Fills `function`, or says that this version of the library lacks `symbol`.
  template <typename F> Status load(const char *symbol, F *&function) const {
    function = reinterpret_cast<F *>(find(symbol));
    return function ? Status() : missing(symbol);
  }

private:
  Status missing(const char *symbol) const;

  void *handle = nullptr;
  std::string fileName;
  LibraryRequest request;
};

} // namespace dsc

#endif // DSC_RUNTIME_CPU_SHAREDLIBRARY_H
