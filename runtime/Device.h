// What runs a program.
// One interface for the CPU (runtime/cpu) and CUDA (runtime/cuda): memory, copies, entries and the
// calls of abi.h. On CUDA all of it is asynchronous and ordered as it was asked for; the CPU does
// everything at once. Nothing else in the runtime assumes that a program's memory is the host's.

#ifndef DSC_RUNTIME_DEVICE_H
#define DSC_RUNTIME_DEVICE_H

#include "runtime/LibraryShapes.h"
#include "runtime/Manifest.h"
#include "runtime/Status.h"
#include "runtime/abi.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsc {

class Communicator;
class Executable;
class Ranks;
struct OpTimes;

/// Which algorithm a library takes for each plan whose algorithms were timed: bits depend on them.
using AlgorithmChoices = std::map<std::string, std::string>;

/// A program's entry: its main part and the update that may follow it, null where there is none.
struct EntryFunctions {
  dsc_entry_fn main = nullptr, update = nullptr;
};

/// What the device reaches at best, measured on it; 0 where it was not.
struct DeviceRates {
  /// Of a large copy, bytes read and written.
  double bytesPerSecond = 0;
  /// Of a large matrix product in the program's compute type.
  double flopsPerSecond = 0;
};

/// Bytes of the device's memory.
struct DeviceRange {
  const std::byte *address = nullptr;
  int64_t bytes = 0;
};

/// The operands of one attention call; gradients are null in a forward call.
struct AttentionCall {
  const void *q, *k, *v, *mask, *o, *lse, *dO;
  void *dq, *dk, *dv, *workspace;
};

class Device {
public:
  /// A piece of a tensor made in host memory: (where, its offset in bytes, its bytes).
  using Fill = std::function<Status(std::byte *, int64_t, int64_t)>;
  /// A piece of a tensor to be read from host memory.
  using Consume = std::function<Status(const std::byte *, int64_t, int64_t)>;

  /// Answers of `requestRead` that may be open at a time.
  static constexpr int readSlots = 4;

  virtual ~Device();

  /// "2 threads", "NVIDIA H200": for the line that training begins with.
  virtual std::string summary() const = 0;
  /// Name and value of what `info` tells of it: chip, driver, libraries and their versions.
  virtual std::vector<std::pair<std::string, std::string>> facts() = 0;
  /// Threads of the host that compute.
  virtual int threads() const = 0;
  /// What its libraries' plans took, given or timed; nothing where no algorithm is timed.
  virtual AlgorithmChoices algorithmChoices() const { return {}; }

  // ---- Ranks

  /// What carries the program's collectives; null where the ranks' hosts do.
  virtual Communicator *communicator() { return nullptr; }
  /// Around the program's start, in which plans are made: rank 0 makes them first and chooses their
  /// algorithms, and the others do as it did. All ranks call both, whatever happens in between.
  /// What was put off when a plan was asked for is done when endPlans returns.
  virtual Status beginPlans() { return {}; }
  virtual Status endPlans() { return {}; }

  // ---- Memory

  /// Allocates the spaces and zeroes them. Comes after the program made its plans, so that what
  /// timing needs is gone before.
  virtual Status allocate(const Manifest &manifest, const std::byte *constants) = 0;
  /// The rank that the device is for; before `allocate`. Sharded globals have room for its chunks.
  void setRank(int own, int all) { rank = own, ranks = all; }
  /// Of what is sharded, the address it would have if all chunks were there: only own ones are.
  std::byte *address(const PlannedTensor &tensor) const {
    return tensor.shard < 0
               ? bases[tensor.space] + tensor.offset
               : bases[static_cast<size_t>(DSC_SPACE_COUNT + tensor.shard)] + tensor.offset;
  }
  /// Bytes of the device's own memory that the runner allocated; 0 where the memory is the host's.
  virtual int64_t allocatedBytes() const = 0;
  /// Whether the host may read and write the spaces in place.
  virtual bool isHostMemory() const = 0;

  /// Writes `bytes` at `target`, made by `fill` in pieces of whole elements of `elementBytes`.
  virtual Status write(std::byte *target, int64_t bytes, int64_t elementBytes,
                       const Fill &fill) = 0;
  /// Hands `bytes` at `source` to `consume`, in pieces of whole elements and in order, once all
  /// work asked for before is done.
  virtual Status read(const std::byte *source, int64_t bytes, int64_t elementBytes,
                      const Consume &consume) = 0;

  // ---- Steps

  /// Host memory whose bytes are at `tensor`, an input or a run-time value, when the next entry
  /// runs. Waits only for copies of batches before the last one. An input that is taken is written
  /// whole before the entry runs; other inputs keep their values.
  virtual Result<std::byte *> staged(const PlannedTensor &tensor) = 0;

  /// Runs main, update or both of an entry.
  virtual Status run(dsc_context *ctx, const EntryFunctions &entry) = 0;

  /// Takes the time from which the next requestRead counts.
  virtual Status markBegin() = 0;
  /// Has `ranges` copied to the host once all work asked for before is done. Returns a ticket;
  /// at most `readSlots` may be open.
  virtual Result<int64_t> requestRead(const std::vector<DeviceRange> &ranges) = 0;
  /// Whether `finishRead` would not wait.
  virtual Result<bool> isRead(int64_t ticket) = 0;
  /// The bytes, one range after the other, valid until the next requestRead, and the seconds from
  /// markBegin to here.
  virtual Result<const std::byte *> finishRead(int64_t ticket, double &seconds) = 0;

  /// Waits until everything is done.
  virtual Status wait() = 0;

  // ---- Profiles

  /// Times every op of what runs until `stopTimes`, which adds the results to `times`.
  virtual Status startTimes(dsc_context *ctx) = 0;
  virtual Status stopTimes(dsc_context *ctx, OpTimes &times) = 0;
  /// Measures the rates that bounds are made of, in memory beside the plan.
  virtual Result<DeviceRates> measureRates(const Manifest &manifest) = 0;
  /// Around each call, while a profile is taken.
  virtual void beginOp(int32_t op) = 0;
  virtual void endOp(int32_t op) = 0;

  // ---- The calls of abi.h. A device that lacks one says so by name.

  Status parallelFor(dsc_kernel_fn kernel, void *const *args, int64_t units, int64_t grain) {
    return parallelForRange(kernel, args, 0, units, grain);
  }
  virtual Status parallelForRange(dsc_kernel_fn kernel, void *const *args, int64_t begin,
                                  int64_t end, int64_t grain);
  virtual Status copy(void *target, const void *source, int64_t bytes) = 0;
  virtual Status loadModule(const void *cubin, int64_t cubinBytes, const char *ptx,
                            int64_t ptxBytes);
  virtual Status addKernel(int32_t kernel, const char *name, int32_t block, int32_t sharedBytes);
  virtual Status launch(int32_t kernel, void *const *args, int32_t count, int64_t gridX,
                        int32_t gridY);
  /// The number and the block's threads of the program's kernel `name`; nothing where it has none.
  virtual std::optional<std::pair<int32_t, int32_t>> kernelNamed(std::string_view name) const {
    return std::nullopt;
  }
  virtual Status planMatmul(int32_t plan, const MatmulShape &shape, int64_t workspace) = 0;
  virtual Status matmul(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                        void *workspace) = 0;
  virtual Status planConv(int32_t plan, const ConvDescription &shape, int64_t workspace) = 0;
  virtual Status conv(int32_t plan, const void *a, const void *b, const void *bias, void *c,
                      void *workspace) = 0;
  /// `op` names the first one that the plan is for, in errors that only `endPlans` finds.
  virtual Status planAttention(const std::string &op, int32_t plan, int32_t dtype,
                               const AttentionShape &shape, int64_t workspace) = 0;
  virtual Status attention(int32_t plan, const AttentionCall &call) = 0;
  virtual Status attentionGrad(int32_t plan, const AttentionCall &call) = 0;

protected:
  /// Bytes of a space on this rank.
  int64_t bytesOf(const Manifest &manifest, int space) const {
    return space == DSC_SPACE_SHARD ? manifest.shardBytes(ranks)
                                    : manifest.spaceBytes[static_cast<size_t>(space)];
  }
  /// Makes `bases` out of the addresses of the spaces.
  void setBases(const Manifest &manifest, std::byte *const (&spaces)[DSC_SPACE_COUNT]);

  int rank = 0, ranks = 1;
  /// What entries receive: the spaces, then each shard's.
  std::vector<std::byte *> bases = std::vector<std::byte *>(DSC_SPACE_COUNT);
};

/// The device that the program was compiled for, checked: its features, and that the plan fits its
/// memory. `threads` of 0 means all cores of the process's affinity mask. With several `ranks`,
/// which outlive the device, all of them call it. `choices` go before those that it finds in its
/// files.
Result<std::unique_ptr<Device>> createDevice(const Executable &executable, int threads,
                                             Ranks *ranks = nullptr,
                                             const AlgorithmChoices &choices = {});

} // namespace dsc

#endif // DSC_RUNTIME_DEVICE_H
