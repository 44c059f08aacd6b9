// One rank's state behind the ABI.
// dsc_context is what the functions of abi.h receive: the first error, the names of ops for
// errors and profiles, and the device that does the work.

#ifndef DSC_RUNTIME_CONTEXT_H
#define DSC_RUNTIME_CONTEXT_H

#include "runtime/Communicator.h"
#include "runtime/Device.h"
#include "runtime/FiniteCheck.h"

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace dsc {

/// A profile: nanoseconds and calls of each op, and each call.
struct OpTimes {
  struct Entry {
    int64_t calls = 0;
    int64_t nanoseconds = 0;
  };
  struct Call {
    int32_t op;
    int64_t begin, nanoseconds; ///< begin: since the profile began
  };
  std::vector<Entry> ops;
  std::vector<Call> calls;

  void add(int32_t op, int64_t begin, int64_t nanoseconds) {
    if (op >= 0 && static_cast<size_t>(op) < ops.size()) {
      ++ops[static_cast<size_t>(op)].calls;
      ops[static_cast<size_t>(op)].nanoseconds += nanoseconds;
      calls.push_back({op, begin, nanoseconds});
    }
  }
};

} // namespace dsc

/// The context that every entry and every dsc_rt function receives.
struct dsc_context {
  /// The first failure; later ones are consequences and are dropped.
  dsc::Status status;
  /// Names of the manifest's `ops`, by index.
  std::vector<std::string> opNames;
  /// Set while the device takes a profile.
  bool timesOps = false;
  /// Reads every op's results while a step that went wrong is run again.
  dsc::FiniteCheck *check = nullptr;
  std::unique_ptr<dsc::Device> device;
  /// Null with one rank.
  dsc::Communicator *communicator = nullptr;
  /// Counts calls, for who watches whether this rank still moves; null where nobody does.
  std::atomic<int64_t> *progress = nullptr;
  /// The program's, by id.
  std::vector<dsc_collective> collectives;

  int ranks() const { return communicator ? communicator->ranks() : 1; }
  int rank() const { return communicator ? communicator->rank() : 0; }
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
    if (ctx->progress) {
      ctx->progress->fetch_add(1, std::memory_order_relaxed);
    }
    if (__builtin_expect(ctx->check != nullptr, 0)) {
      ctx->check->begin(op);
    }
    if (__builtin_expect(ctx->timesOps, 0)) {
      ctx->device->beginOp(op);
    }
  }
  ~OpTimer() {
    if (__builtin_expect(ctx->timesOps, 0)) {
      ctx->device->endOp(op);
    }
  }
  OpTimer(const OpTimer &) = delete;
  OpTimer &operator=(const OpTimer &) = delete;

private:
  dsc_context *ctx;
  int32_t op;
};

} // namespace dsc

#endif // DSC_RUNTIME_CONTEXT_H
