// A loaded program with its memory.
// Owns the spaces, the context and the device; writes inputs and run-time values, runs entries,
// reads results. Knows nothing of data files, training loops or the command line.

#ifndef DSC_RUNTIME_SESSION_H
#define DSC_RUNTIME_SESSION_H

#include "runtime/Context.h"
#include "runtime/Executable.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace dsc {

class Session {
public:
  /// Loads the program, allocates the spaces, fills the globals that have a fill value, and lets
  /// the program make its plans. Weights are loaded by Weights.h.
  static Result<std::unique_ptr<Session>> create(Executable &executable, int threads);
  ~Session();

  const Manifest &manifest() const { return executable.manifest(); }
  const Executable &file() const { return executable; }
  dsc_context &context() { return ctx; }
  int threads() const;

  /// Runs dsc_entry_NAME.
  Status run(const char *entry);
  /// Runs dsc_entry_NAME_update where the program has it.
  Status runUpdate(const char *entry);

  std::byte *input(const InputSpec &input) { return spaces[input.space] + input.offset; }
  std::byte *global(const GlobalSpec &global) { return spaces[global.space] + global.offset; }
  /// Where a result, a gradient or a kept value lies.
  const std::byte *value(const PlannedTensor &tensor) const {
    return spaces[tensor.space] + tensor.offset;
  }
  /// A scalar result of `entry`, if it returns one of this name.
  std::optional<double> scalar(const char *entry, const char *name) const;

  /// Writes a run-time scalar; does nothing where the program has no such global.
  void setRunTime(std::string_view global, double value);

  /// Planned bytes: state, arena, constants and io.
  int64_t plannedBytes() const;

private:
  explicit Session(Executable &executable) : executable(executable) {}
  Status allocate();
  Status findEntries();
  Status call(dsc_entry_fn entry, const std::string &what);

  struct Entry {
    std::string name;
    dsc_entry_fn main = nullptr, update = nullptr;
  };

  Executable &executable;
  dsc_context ctx;
  std::byte *spaces[DSC_SPACE_COUNT] = {};
  std::vector<Entry> entries;
};

} // namespace dsc

#endif // DSC_RUNTIME_SESSION_H
