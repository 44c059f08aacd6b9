// Between the host and a program's memory.
// Batches and run-time values on their way in, results on their way out, and tensors streamed both
// ways in pieces. Everything is pinned memory and asynchronous copies: within a step the host waits
// only for what it asked for two steps before.

#ifndef DSC_RUNTIME_CUDA_STAGING_H
#define DSC_RUNTIME_CUDA_STAGING_H

#include "runtime/Device.h"
#include "runtime/cuda/CudaDriver.h"

#include <map>

namespace dsc {

/// The batch and the run-time values of the next entry.
///
/// A batch is written into one half of the pinned memory while the other half is copied. It goes to
/// device memory of its own on the copy stream, beside the running step, and from there to the
/// planned inputs on the compute stream when their turn comes. Run-time values are copied in the
/// compute stream itself, ahead of the entry, from a ring of small blocks.
class BatchStaging {
public:
  explicit BatchStaging(const CudaDriver &driver) : driver(driver) {}

  /// Bytes of device memory beside the plan.
  static int64_t deviceBytes(const Manifest &manifest);
  Status allocate(const Manifest &manifest, std::byte *const *spaces);

  /// Device::staged.
  Result<std::byte *> place(const PlannedTensor &tensor);
  /// Enqueues what was written since the last call.
  Status submit();

private:
  /// Batches up to this size are copied straight to the inputs: the detour would cost more.
  static constexpr int64_t directBytes = int64_t(64) << 10;
  static constexpr int valueSlots = 8;

  struct Input {
    int64_t stage; ///< offset in a half and in the device memory
    std::byte *target;
    int64_t bytes;
    bool written;
  };
  /// Run-time values that lie next to each other.
  struct Values {
    int64_t stage;
    std::byte *target;
    int64_t bytes;
  };
  using Key = std::pair<int, int64_t>;
  static Key keyOf(const PlannedTensor &tensor) { return {tensor.space, tensor.offset}; }

  Status submitInputs();
  Status submitValues();

  const CudaDriver &driver;
  std::vector<Input> inputs;
  std::map<Key, size_t> inputOf;
  int64_t inputBytes = 0;
  PinnedMemory halves[2];
  DeviceMemory stage;
  CudaEvent copied[2], consumed;
  int half = 0;
  bool open = false; ///< the half may be written

  std::vector<Values> values;
  std::map<Key, int64_t> valueOf; ///< offset in `mirror`
  std::vector<std::byte> mirror;
  bool valuesWritten = false;
  PinnedMemory valueRing;
  CudaEvent valuesCopied[valueSlots];
  int64_t valueCount = 0;
};

/// Results on their way out: a ring of pinned slots.
class ResultStaging {
public:
  explicit ResultStaging(const CudaDriver &driver) : driver(driver) {}

  Status markBegin();
  Result<int64_t> request(const std::vector<DeviceRange> &ranges);
  Result<bool> isDone(int64_t ticket) const { return slotOf(ticket).end.isDone(); }
  Result<const std::byte *> finish(int64_t ticket, double &seconds);

private:
  static constexpr int64_t slotBytes = int64_t(64) << 10;
  struct Slot {
    PinnedMemory memory;
    std::vector<int64_t> offsets, bytes;
    CudaEvent begin{true}, end{true};
  };
  Slot &slotOf(int64_t ticket) { return slots[ticket % Device::readSlots]; }
  const Slot &slotOf(int64_t ticket) const { return slots[ticket % Device::readSlots]; }

  const CudaDriver &driver;
  Slot slots[Device::readSlots];
  int64_t count = 0;
  std::vector<std::byte> packed;
};

/// Tensors in pieces through two pinned buffers.
class TensorStaging {
public:
  explicit TensorStaging(const CudaDriver &driver) : driver(driver) {}

  Status write(std::byte *target, int64_t bytes, int64_t elementBytes, const Device::Fill &fill);
  Status read(const std::byte *source, int64_t bytes, int64_t elementBytes,
              const Device::Consume &consume);

private:
  static constexpr int64_t pieceBytes = int64_t(8) << 20;
  Status prepare();

  const CudaDriver &driver;
  PinnedMemory pieces[2];
  CudaEvent copied[2];
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_STAGING_H
