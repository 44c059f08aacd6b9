// One GPU with its context and streams.
// What all files of this folder share: the driver's functions, errors as Status, and owners of
// device memory, pinned memory and events.

#ifndef DSC_RUNTIME_CUDA_CUDADRIVER_H
#define DSC_RUNTIME_CUDA_CUDADRIVER_H

#include "runtime/cuda/Symbols.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace dsc {

class CudaDriver {
public:
  /// Loads the driver and takes the GPU of rank `localRank` of `localRanks` on this machine, among
  /// those that CUDA_VISIBLE_DEVICES shows. Where it shows one, that is this rank's own. Error: it
  /// shows several, and fewer than there are ranks.
  static Result<std::unique_ptr<CudaDriver>> open(int localRank = 0, int localRanks = 1);
  ~CudaDriver();

  const DriverTable &api() const { return *table; }
  /// Success, or what failed: out of memory is the machine's, all else the device's failure.
  Status check(CUresult result, const char *what) const {
    return __builtin_expect(result == CUDA_SUCCESS, 1) ? Status() : failure(result, what);
  }

  /// The CUDA version of the driver, 13000 for 13.0.
  int version() const { return cudaVersion; }
  const std::string &chip() const { return chipName; }
  /// Tells the GPU from all others, 32 hex digits.
  Result<std::string> identity() const;
  /// 90 for sm_90.
  int architecture() const { return major * 10 + minor; }
  int multiprocessors() const { return processors; }
  Status memory(int64_t &free, int64_t &total) const;
  /// Lets the calling thread use the GPU; the thread that opened it may already.
  Status makeCurrent() const;
  /// A stream whose kernels come before those of `compute` where both could start.
  Result<CUstream> makeUrgentStream() const;

  /// Everything the program does is ordered on `compute`; batches travel on `copies`.
  CUstream compute = nullptr, copies = nullptr;

private:
  CudaDriver() = default;
  Status failure(CUresult result, const char *what) const;

  const DriverTable *table = nullptr;
  CUdevice device = 0;
  CUcontext context = nullptr;
  int cudaVersion = 0, major = 0, minor = 0, processors = 0;
  std::string chipName;
};

/// Device memory that goes with the object.
class DeviceMemory {
public:
  DeviceMemory() = default;
  ~DeviceMemory() { release(); }
  DeviceMemory(const DeviceMemory &) = delete;
  DeviceMemory &operator=(const DeviceMemory &) = delete;

  Status allocate(const CudaDriver &driver, int64_t bytes);
  void release();
  CUdeviceptr address() const { return pointer; }
  std::byte *data() const { return reinterpret_cast<std::byte *>(pointer); }

private:
  const CudaDriver *driver = nullptr;
  CUdeviceptr pointer = 0;
};

/// Pinned host memory.
class PinnedMemory {
public:
  PinnedMemory() = default;
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory &) = delete;
  PinnedMemory &operator=(const PinnedMemory &) = delete;

  Status allocate(const CudaDriver &driver, int64_t bytes);
  std::byte *data() const { return static_cast<std::byte *>(pointer); }
  explicit operator bool() const { return pointer != nullptr; }

private:
  const CudaDriver *driver = nullptr;
  void *pointer = nullptr;
};

/// An event, made when first recorded.
class CudaEvent {
public:
  explicit CudaEvent(bool timed = false) : timed(timed) {}
  ~CudaEvent();
  CudaEvent(const CudaEvent &) = delete;
  CudaEvent &operator=(const CudaEvent &) = delete;

  /// Records it on `stream`; `inGraph` as a node of the graph that is being captured, which can be
  /// timed like any other event.
  Status record(const CudaDriver &driver, CUstream stream, bool inGraph = false);
  /// Waits for it, on the host or on a stream; nothing where it was never recorded.
  Status wait() const;
  /// `inGraph`: as a node that waits for what is recorded last when the graph is launched.
  Status wait(CUstream stream, bool inGraph = false) const;
  Result<bool> isDone() const;
  Result<double> secondsSince(const CudaEvent &begin) const;
  bool isRecorded() const { return event != nullptr; }

private:
  bool timed;
  const CudaDriver *driver = nullptr;
  CUevent event = nullptr;
};

inline CUdeviceptr deviceAddress(const void *pointer) {
  return reinterpret_cast<CUdeviceptr>(pointer);
}

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CUDADRIVER_H
