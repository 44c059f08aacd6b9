// A loaded program with its memory.
// Owns the context and the device; stages inputs and run-time values, runs entries, reads results.
// Knows nothing of data files, training loops or the command line, nor where the memory is.

#ifndef DSC_RUNTIME_SESSION_H
#define DSC_RUNTIME_SESSION_H

#include "runtime/Context.h"
#include "runtime/Executable.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace dsc {

/// The single numbers that an entry returned, by name, and how long it took.
struct ScalarResults {
  std::vector<std::pair<std::string, double>> values;
  /// From markBegin to the end of what was asked for before the reading.
  double seconds = 0;

  std::optional<double> find(std::string_view name) const;
};

class Session {
public:
  /// Loads the program, lets it make its plans, allocates the spaces and fills the globals that
  /// have a fill value. Weights are loaded by Weights.h.
  /// `ranks`, which outlive the session, make it one of them. Error: the program was not compiled
  /// for so many. `choices` of algorithms go before those that the device remembers.
  static Result<std::unique_ptr<Session>> create(Executable &executable, int threads,
                                                 Ranks *ranks = nullptr,
                                                 const AlgorithmChoices &choices = {});
  ~Session();

  const Manifest &manifest() const { return executable.manifest(); }
  const Executable &file() const { return executable; }
  dsc_context &context() { return ctx; }
  Device &device() const { return *ctx.device; }
  int ranks() const { return ctx.ranks(); }
  int rank() const { return ctx.rank(); }

  /// Host memory in which an input is written whole for the next entry (Device::staged).
  Result<std::byte *> input(const InputSpec &input) { return ctx.device->staged(input); }
  /// Writes a run-time scalar for the next entry; nothing where the program has no such global.
  Status setRunTime(std::string_view global, double value);

  /// Runs dsc_entry_NAME. May return before it is done.
  Status run(const char *entry);
  /// Runs dsc_entry_NAME_update where the program has it.
  Status runUpdate(const char *entry);
  /// Runs both.
  Status runWithUpdate(const char *entry);
  /// Waits until all of it is done, collectives too.
  Status wait();

  /// Takes the time from which the next reading counts.
  Status markBegin() { return ctx.device->markBegin(); }
  /// Has the scalar results of `entry`, which ran last, read as soon as they are there. At most
  /// Device::readSlots readings may be open; they end in the order in which they began.
  Status beginReading(const char *entry);
  int openReadings() const { return static_cast<int>(readings.size()); }
  /// Whether the oldest reading is there without waiting.
  Result<bool> isReadingDone();
  Result<ScalarResults> finishReading();
  /// One scalar result of `entry`, which ran last, waited for; nothing if it returns none of this
  /// name.
  Result<std::optional<double>> scalar(const char *entry, const char *name);

  /// Launches the program's kernel `name` for the start (abi.h) over `threads` threads. False where
  /// the program has none: then the host does its work.
  Result<bool> launchStart(const char *name, const std::vector<void *> &args, int64_t threads);
  /// Threads of the host for its part of a start.
  int startThreads() const;

  /// Writes and reads tensors of the spaces in pieces (Device::write, Device::read); of what is
  /// sharded, this rank's part.
  Status write(const PlannedTensor &tensor, const Device::Fill &fill);
  Status read(const PlannedTensor &tensor, const Device::Consume &consume) const;
  /// Reads bytes [begin, end) of a tensor, of what is sharded within this rank's part.
  Status read(const PlannedTensor &tensor, int64_t begin, int64_t end,
              const Device::Consume &consume) const;
  /// Calls fill(target, first element, count) for the elements of a tensor, in runs as they lie in
  /// its storage, and writes them; what lies between them stays as it is.
  using ElementFill = std::function<Status(std::byte *target, int64_t first, int64_t count)>;
  Status writeElements(const PlannedTensor &tensor, const ElementFill &fill);
  /// The bytes of a tensor's storage; of what is sharded, zeros outside this rank's part.
  Result<std::vector<std::byte>> bytes(const PlannedTensor &tensor) const;
  /// The bytes of a tensor's storage, those of other ranks too: all ranks call it for the same
  /// tensors in the same order. On several GPUs what lies in the arena is lost.
  Result<std::vector<std::byte>> wholeBytes(const PlannedTensor &tensor);
  /// Where a tensor lies, for programs that run on the host; null on other devices.
  std::byte *hostAddress(const PlannedTensor &tensor) const;

private:
  explicit Session(Executable &executable) : executable(executable) {}
  Status findEntries();
  Status makePlans();
  Status fillGlobals();
  Status call(const std::string &name, bool main, bool update);
  std::vector<const PlannedTensor *> scalarsOf(std::string_view entry) const;

  struct Entry {
    std::string name;
    EntryFunctions functions;
  };
  struct Reading {
    int64_t ticket;
    std::vector<const PlannedTensor *> scalars;
  };

  Executable &executable;
  dsc_context ctx;
  Communicator *hosts = nullptr; ///< between the ranks' hosts; null with one rank
  int sharingProcessors = 1;     ///< ranks that share this one's processors, itself included
  std::vector<Entry> entries;
  std::vector<Reading> readings; ///< the open ones, the oldest first
  int gatheredShard = -1;        ///< whose chunks of all ranks `gathered` holds
  std::vector<std::byte> gathered;
  /// What was gathered is no longer so; its bytes, a bucket's, are no part of the plan and go back.
  void dropGathered();
};

} // namespace dsc

#endif // DSC_RUNTIME_SESSION_H
