// TensorBoard's event files: scalars over steps.
// A file of TFRecords, each an Event message of tensorflow/core/util/event.proto; of that format
// what scalars need is written here. Records are flushed at once, so a killed run leaves whole
// ones.

#ifndef DSC_RUNTIME_EVENTFILE_H
#define DSC_RUNTIME_EVENTFILE_H

#include "runtime/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsc {

/// CRC-32C (Castagnoli) of `bytes`, as TFRecords mask it: rotated right by 15 bits plus a constant.
uint32_t maskedCrc32c(std::string_view bytes);

class EventFile {
public:
  EventFile() = default;
  ~EventFile();
  EventFile(const EventFile &) = delete;
  EventFile &operator=(const EventFile &) = delete;

  /// Makes `folder`, and in it a new file events.out.tfevents.TIME.HOST.PID: TensorBoard shows the
  /// files of one folder as one run, the parts of a resumed run too.
  Status open(const std::string &folder);
  /// Writes numbers of step `step` under their tags; does nothing where no file is open.
  Status scalars(int64_t step, const std::vector<std::pair<std::string, double>> &values);

private:
  Status record(const std::string &event);

  std::string path;
  int fd = -1;
};

} // namespace dsc

#endif // DSC_RUNTIME_EVENTFILE_H
