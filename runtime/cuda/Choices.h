// Timed choices of algorithms.
// A library offers several algorithms for one plan; the fastest is found once by timing and written
// to NAME.choices.json beside the executable, or into the user's cache where that folder cannot be
// written. Two runs with one file compute with the same algorithms, so their bits are the same.

#ifndef DSC_RUNTIME_CUDA_CHOICES_H
#define DSC_RUNTIME_CUDA_CHOICES_H

#include "runtime/cuda/CudaDriver.h"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace dsc {

class Choices {
public:
  Choices(const std::string &executable, const CudaDriver &driver);

  /// What was chosen for `key`, which names the plan and the library's version; the chip is added
  /// here.
  std::optional<std::string> find(const std::string &key) const;
  void store(const std::string &key, const std::string &value);
  /// All choices as text, and what another rank's text says in place of what is here.
  std::string text() const;
  void take(const std::string &text);
  /// Writes what is new, and frees the memory that timing used. A file that cannot be written is no
  /// error: the next run times again.
  Status save();

  /// `bytes` of device memory full of random numbers in [-1, 1] of type `dtype` (a dsc_dtype of
  /// floats); null where there is not that much. Valid until the next call.
  void *operand(int slot, int64_t bytes, int32_t dtype);
  /// The mean time of what `enqueue` puts on the compute stream, after a run that warms up.
  Result<double> secondsOf(const std::function<Status()> &enqueue, int repetitions);
  /// The index of the fastest of `count` variants; those that fail are left out. Nothing if all do.
  std::optional<size_t> fastest(size_t count, const std::function<Status(size_t)> &enqueue);

private:
  static constexpr int operandSlots = 6;
  struct Operand {
    DeviceMemory memory;
    int64_t bytes = 0;
    int32_t dtype = 0;
  };
  Result<double> time(const std::function<Status()> &enqueue, int repetitions);
  Status fill(Operand &operand) const;

  const CudaDriver &driver;
  std::string beside, cached; ///< the two places of the file
  std::map<std::string, std::string> choices;
  bool changed = false;
  Operand operands[operandSlots];
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CHOICES_H
