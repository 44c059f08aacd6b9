// Files that are whole or absent.

#include "runtime/FileWriter.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace dsc;

Status dsc::writeError(const std::string &path) {
  int error = errno;
  bool machine = error == ENOSPC || error == EDQUOT || error == EIO || error == EFBIG;
  return {machine ? ExitCode::Machine : ExitCode::User,
          format("%s: cannot write: %s", path.c_str(), std::strerror(error))};
}

FileWriter::~FileWriter() {
  if (fd >= 0) {
    close(fd);
    unlink(aside.c_str());
  }
}

Status FileWriter::open(const std::string &target) {
  path = target;
  aside = format("%s.%d.partial", target.c_str(), static_cast<int>(getpid()));
  // A leftover of a crashed process with our number is ours to remove; O_EXCL keeps links out.
  unlink(aside.c_str());
  fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  return fd < 0 ? writeError(path) : Status();
}

Status FileWriter::write(const void *data, int64_t bytes) {
  const char *begin = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t count = ::write(fd, begin, static_cast<size_t>(bytes));
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return writeError(path);
    }
    begin += count;
    bytes -= count;
    written += count;
  }
  return {};
}

Status FileWriter::overwrite(int64_t offset, const void *data, int64_t bytes) {
  return writeAt(fd, path, offset, data, bytes);
}

Status dsc::writeAt(int fd, const std::string &path, int64_t offset, const void *data,
                    int64_t bytes) {
  const char *begin = static_cast<const char *>(data);
  while (bytes > 0) {
    ssize_t count = pwrite(fd, begin, static_cast<size_t>(bytes), offset);
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return writeError(path);
    }
    begin += count;
    bytes -= count;
    offset += count;
  }
  return {};
}

bool dsc::makeFolder(const std::string &path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (mkdir(path.substr(0, end).c_str(), 0777) != 0 && errno != EEXIST) {
      return false;
    }
    if (end == std::string::npos) {
      return true;
    }
  }
}

Status dsc::syncFolder(const std::string &folder) {
  int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0 || fsync(directory) != 0) {
    // Some file systems sync no folders; they order names by themselves.
    const bool unsupported = directory >= 0 && (errno == EINVAL || errno == EROFS);
    Status failed = unsupported ? Status() : writeError(folder);
    if (directory >= 0) {
      close(directory);
    }
    return failed;
  }
  close(directory);
  return {};
}

Status FileWriter::commit() {
  if (fsync(fd) != 0) {
    return writeError(path);
  }
  if (rename(aside.c_str(), path.c_str()) != 0) {
    return writeError(path);
  }
  close(fd);
  fd = -1;
  // The new name is durable once its folder is.
  size_t slash = path.rfind('/');
  std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return syncFolder(folder);
}
