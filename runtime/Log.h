// The run's events as JSON lines.
// One object a line, each with `event`, flushed at once so that a killed run leaves whole lines.
// Numbers that JSON lacks (NaN, infinity) become null.

#ifndef DSC_RUNTIME_LOG_H
#define DSC_RUNTIME_LOG_H

#include "runtime/Json.h"
#include "runtime/Status.h"

#include <string>

namespace dsc {

class RunLog {
public:
  RunLog() = default;
  ~RunLog();
  RunLog(const RunLog &) = delete;
  RunLog &operator=(const RunLog &) = delete;

  /// Appends to the file, so that a second run does not erase the first.
  Status open(const std::string &path);
  /// Does nothing where no file is open.
  Status event(const char *name, OrderedJson fields);

private:
  std::string path;
  int fd = -1;
};

} // namespace dsc

#endif // DSC_RUNTIME_LOG_H
