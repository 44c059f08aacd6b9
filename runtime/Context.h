// One rank's state behind the ABI.
// dsc_context is what the functions of abi.h receive: the first error, the names of ops for
// errors and profiles, the op timer of `bench --kernels`, and the device's own state. The device
// state is defined by the folder of the device (runtime/cpu); nothing else looks inside it.

#ifndef DSC_RUNTIME_CONTEXT_H
#define DSC_RUNTIME_CONTEXT_H

#include "runtime/Status.h"
#include "runtime/abi.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace dsc {

struct CpuDevice;

/// Nanoseconds and calls of each op; null in the context unless `bench --kernels` asked for it.
struct OpTimes {
  struct Entry {
    int64_t calls = 0;
    int64_t nanoseconds = 0;
  };
  std::vector<Entry> ops;
};

} // namespace dsc

/// The context that every entry and every dsc_rt function receives.
struct dsc_context {
  /// The first failure; later ones are consequences and are dropped.
  dsc::Status status;
  /// Names of the manifest's `ops`, by index.
  std::vector<std::string> opNames;
  dsc::OpTimes *times = nullptr;
  /// Created by dsc::createCpuDevice, owned by the Session.
  dsc::CpuDevice *cpu = nullptr;
};

namespace dsc {

/// Stores the first failure and returns the non-zero value that dsc_rt functions return.
int32_t setError(dsc_context *ctx, Status status);

/// The name of op `op` for a message, also when the program passes an index out of range.
std::string opName(const dsc_context *ctx, int32_t op);

/// Times one dsc_rt call: construct it first thing in the function.
class OpTimer {
public:
  OpTimer(dsc_context *ctx, int32_t op) : ctx(ctx), op(op) {
    if (__builtin_expect(ctx->times != nullptr, 0)) {
      begin = std::chrono::steady_clock::now();
    }
  }
  ~OpTimer() {
    if (__builtin_expect(ctx->times != nullptr, 0)) {
      record();
    }
  }
  OpTimer(const OpTimer &) = delete;
  OpTimer &operator=(const OpTimer &) = delete;

private:
  void record();

  dsc_context *ctx;
  int32_t op;
  std::chrono::steady_clock::time_point begin;
};

} // namespace dsc

#endif // DSC_RUNTIME_CONTEXT_H
