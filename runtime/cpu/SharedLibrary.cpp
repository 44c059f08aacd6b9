// Libraries that are loaded when needed.

#include "runtime/cpu/SharedLibrary.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace dsc;

Result<SharedLibrary> SharedLibrary::open(const LibraryRequest &request) {
  std::string tried, answer;
  for (const std::string &name : request.names) {
    std::string path = request.folder.empty() ? name : request.folder + "/" + name;
    SharedLibrary library;
    // Local, so that the library's dependencies do not bind to the runner's own symbols.
    library.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library.handle) {
      library.fileName = path;
      library.request = request;
      return library;
    }
    const char *error = dlerror();
    answer = error ? error : "no reason given";
    tried += (tried.empty() ? "" : ", ") + name;
  }
  std::string where = request.folder;
  if (where.empty()) {
    const char *path = std::getenv("LD_LIBRARY_PATH");
    where = path && *path ? std::string("LD_LIBRARY_PATH (") + path + ") and the system's folders"
                          : "the system's library folders";
  }
  return Status::machine(format("%s cannot be loaded: looked for %s in %s; the loader says: %s. "
                                "Install it with '%s', or name its folder in LD_LIBRARY_PATH",
                                request.title.c_str(), tried.c_str(), where.c_str(), answer.c_str(),
                                request.install.c_str()));
}

void *SharedLibrary::find(const char *symbol) const { return dlsym(handle, symbol); }

Status SharedLibrary::missing(const char *symbol) const {
  return Status::machine(format("%s (%s) has no function '%s': its version is not one that this "
                                "program knows; install the one of '%s'",
                                request.title.c_str(), fileName.c_str(), symbol,
                                request.install.c_str()));
}
