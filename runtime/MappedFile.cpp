// A file mapped read-only.

#include "runtime/MappedFile.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dsc;

Result<std::shared_ptr<MappedFile>> MappedFile::open(const std::string &real,
                                                     const std::string &shownAs) {
  const std::string &path = shownAs.empty() ? real : shownAs;
  // Not blocking: opening a pipe must not wait for a writer.
  int fd = ::open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return Status::user(format("%s: cannot open: %s", path.c_str(), std::strerror(errno)));
  }
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    return Status::user(format("%s: is not a regular file", path.c_str()));
  }
  void *address = nullptr;
  if (info.st_size > 0) {
    address = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) {
      int error = errno;
      close(fd);
      return Status::machine(format("%s: cannot map: %s", path.c_str(), std::strerror(error)));
    }
  }
  close(fd);
  return std::shared_ptr<MappedFile>(
      new MappedFile(path, static_cast<const std::byte *>(address), info.st_size));
}

MappedFile::~MappedFile() {
  if (begin) {
    munmap(const_cast<std::byte *>(begin), static_cast<size_t>(length));
  }
}

template <typename T> static T loadLittle(const std::byte *data) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value | static_cast<T>(static_cast<T>(data[i]) << (8 * i)));
  }
  return value;
}

uint16_t dsc::loadLittle16(const std::byte *data) { return loadLittle<uint16_t>(data); }
uint32_t dsc::loadLittle32(const std::byte *data) { return loadLittle<uint32_t>(data); }
uint64_t dsc::loadLittle64(const std::byte *data) { return loadLittle<uint64_t>(data); }

static void explainBusError(int) {
  // Only calls that are safe in a handler.
  static const char text[] =
      "error: a file became shorter while it was being read, or its disk failed to read it\n";
  ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);
  (void)written;
  _exit(static_cast<int>(ExitCode::User));
}

void dsc::installBusErrorMessage() {
  struct sigaction action = {};
  action.sa_handler = explainBusError;
  sigaction(SIGBUS, &action, nullptr);
}
