// Writing beside and renaming. What is unfinished is removed.

#include "frontend/AsideFile.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

using namespace dsc;

AsideFile::AsideFile(std::string name) : target(std::move(name)) {
  aside = target + ".tmp-" + std::to_string(getpid());
  descriptor = open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
}

AsideFile::~AsideFile() {
  if (descriptor >= 0) {
    close(descriptor);
    unlink(aside.c_str());
  }
}

bool AsideFile::write(llvm::ArrayRef<char> data) {
  written += data.size();
  while (!data.empty()) {
    ssize_t count = ::write(descriptor, data.data(), data.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return false;
    }
    data = data.drop_front(count);
  }
  return true;
}

bool AsideFile::finish() {
  bool done = fsync(descriptor) == 0 && close(descriptor) == 0;
  descriptor = -1;
  if (!done || rename(aside.c_str(), target.c_str()) != 0) {
    unlink(aside.c_str());
    return false;
  }
  return true;
}
