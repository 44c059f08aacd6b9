// Commands and flags of the executable.
// One table says which flag belongs to which command; parsing, help and the refusal of flags that
// come later are made from it. Run-time values of the manifest join it at start.

#ifndef DSC_RUNTIME_COMMANDLINE_H
#define DSC_RUNTIME_COMMANDLINE_H

#include "runtime/Manifest.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dsc {

struct FlagSpec {
  const char *name;
  /// What follows the flag; null for a switch.
  const char *argument;
  /// Commands that take it, separated by spaces.
  const char *commands;
  const char *help;
  /// Whether it may be given several times.
  bool repeats = false;
};

struct CommandSpec {
  const char *name;
  const char *usage;
  const char *help;
};

extern const std::vector<CommandSpec> commandTable;
extern const std::vector<FlagSpec> flagTable;

class CommandLine {
public:
  /// `arguments` without the program's name.
  static Result<CommandLine> parse(const Manifest &manifest,
                                   const std::vector<std::string> &arguments);

  const std::string &command() const { return name; }
  /// Whether several ranks can run the command together.
  bool takesRanks() const;
  /// Set for `help`, `--help`, `COMMAND --help`.
  bool wantsHelp() const { return help; }
  bool has(const std::string &flag) const { return values.count(flag) != 0; }
  std::string text(const std::string &flag, const std::string &absent = "") const;
  /// Gives a flag the value that it has where the user gives none.
  void setAbsent(const std::string &flag, const std::string &value) { values.emplace(flag, value); }
  /// The values of a flag that may be given several times, in their order.
  std::vector<std::string> list(const std::string &flag) const;
  /// The flag as an integer in [minimum, 2^53]; `absent` where it was not given.
  Result<int64_t> integer(const std::string &flag, int64_t absent, int64_t minimum) const;
  const std::vector<std::string> &positional() const { return others; }

private:
  std::string name;
  bool help = false;
  std::map<std::string, std::string> values;
  std::vector<std::string> others;
};

/// The value of `text` as an integer or a finite number, the whole text or nothing.
std::optional<int64_t> parseInteger(const std::string &text);
std::optional<double> parseNumber(const std::string &text);

/// The `dsc compile` line that the user needs for a compile-time flag given to the executable.
std::string compileLineWith(const std::string &compileCommand, const std::string &flag,
                            const std::string &value);

/// The help of one command, or of all where `command` is empty.
std::string helpText(const Manifest &manifest, const std::string &program,
                     const std::string &command);

} // namespace dsc

#endif // DSC_RUNTIME_COMMANDLINE_H
