// The run's events as JSON lines.

#include "runtime/Log.h"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

using namespace dsc;

RunLog::~RunLog() {
  if (fd >= 0) {
    close(fd);
  }
}

Status RunLog::open(const std::string &target) {
  path = target;
  fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    return Status::user(format("%s: cannot write: %s", path.c_str(), std::strerror(errno)));
  }
  return {};
}

Status RunLog::event(const char *name, OrderedJson fields) {
  if (fd < 0) {
    return {};
  }
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  OrderedJson object = {
      {"event", name},
      {"time", static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9}};
  object.update(fields);
  std::string line = jsonText(object) + "\n";
  for (size_t done = 0; done < line.size();) {
    ssize_t count = write(fd, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return Status::machine(format("%s: cannot write: %s", path.c_str(), std::strerror(errno)));
    }
    done += static_cast<size_t>(count);
  }
  return {};
}
