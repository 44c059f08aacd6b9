// Errors as values.
// Every failure that a user, a file or a machine can cause travels as a Status: the exit code it
// leads to and a message that names the thing, the facts that disagree and the way out.

#ifndef DSC_RUNTIME_STATUS_H
#define DSC_RUNTIME_STATUS_H

#include <string>
#include <utility>
#include <variant>

namespace dsc {

/// Exit codes of all programs (docs/training-executable.md).
enum class ExitCode : int {
  Done = 0,
  User = 1,      ///< the user's input or data
  Machine = 2,   ///< the machine lacks something
  Rank = 3,      ///< a rank or device failed
  Stopped = 4,   ///< stopped early, resumable
  Differs = 5,   ///< a check found a difference
  Internal = 70, ///< our bug
};

/// Success, or an exit code with a message.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(ExitCode code, std::string message) : code(code), text(std::move(message)) {}

  static Status user(std::string message) { return {ExitCode::User, std::move(message)}; }
  static Status machine(std::string message) { return {ExitCode::Machine, std::move(message)}; }
  static Status internal(std::string message) { return {ExitCode::Internal, std::move(message)}; }

  bool ok() const { return code == ExitCode::Done; }
  bool failed() const { return !ok(); }
  ExitCode exitCode() const { return code; }
  const std::string &message() const { return text; }

  /// The same failure with `prefix` (a file, an array) said first.
  Status in(const std::string &prefix) const {
    return ok() ? *this : Status(code, prefix + ": " + text);
  }

private:
  ExitCode code = ExitCode::Done;
  std::string text;
};

/// A value, or the Status that says why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : storage(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : storage(std::in_place_index<1>, std::move(status)) {}

  bool ok() const { return storage.index() == 0; }
  bool failed() const { return !ok(); }
  Status status() const { return ok() ? Status() : std::get<1>(storage); }
  T &operator*() { return std::get<0>(storage); }
  const T &operator*() const { return std::get<0>(storage); }
  T *operator->() { return &std::get<0>(storage); }
  const T *operator->() const { return &std::get<0>(storage); }

private:
  std::variant<T, Status> storage;
};

/// printf into a std::string.
std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));

} // namespace dsc

/// Leaves the function with the failure of `expression`, if it failed.
#define DSC_RETURN_IF_FAILED(expression)                                                           \
  do {                                                                                             \
    if (::dsc::Status dscStatus = (expression); dscStatus.failed())                                \
      return dscStatus;                                                                            \
  } while (false)

#endif // DSC_RUNTIME_STATUS_H
