// Command-line flags as a table: parsing, nearest names for unknown ones, and `--help` come from
// the same rows.

#ifndef DSC_TOOLS_DSC_FLAGS_H
#define DSC_TOOLS_DSC_FLAGS_H

#include "ir/Diagnostic.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <string>
#include <vector>

namespace dsc {

/// What is wrong with a command line; empty: nothing.
struct Fault {
  std::string text;
  ErrorId id = ErrorId::FlagValue;

  Fault() = default;
  Fault(std::string text, ErrorId id = ErrorId::FlagValue) : text(std::move(text)), id(id) {}
  bool empty() const { return text.empty(); }
};

/// One flag. `--name=value`, `--name value`, or `--name` alone where it takes none.
struct Flag {
  std::string name;  // without dashes
  std::string value; // what the value is called in help; empty: takes none
  std::string help;
  bool isLater = false; // refused: comes in a later version
  /// Stores the value; returns what is wrong with it, or nothing.
  std::function<std::string(llvm::StringRef)> set;

  Flag(std::string name, std::string value, std::string help,
       std::function<std::string(llvm::StringRef)> set)
      : name(std::move(name)), value(std::move(value)), help(std::move(help)), set(std::move(set)) {
  }
};

/// The flags and operands of one command.
class FlagTable {
public:
  /// Starts a section of the help.
  void section(llvm::StringRef title) { flags.push_back({"", "", title.str(), nullptr}); }
  void add(Flag flag) { flags.push_back(std::move(flag)); }

  // Flags that store into a field.
  void text(llvm::StringRef name, llvm::StringRef value, std::string &field, llvm::StringRef help);
  void choice(llvm::StringRef name, llvm::ArrayRef<llvm::StringRef> choices, std::string &field,
              llvm::StringRef help);
  void integer(llvm::StringRef name, llvm::StringRef value, int64_t &field, llvm::StringRef help);
  void real(llvm::StringRef name, llvm::StringRef value, double &field, llvm::StringRef help);
  void boolean(llvm::StringRef name, bool &field, llvm::StringRef help, bool stored = true);
  void onOff(llvm::StringRef name, bool &field, llvm::StringRef help);
  /// A flag for tests, which help does not list.
  void hidden(llvm::StringRef name, std::string &field);
  /// A flag of the contract that this version refuses with one sentence.
  void refused(llvm::StringRef name, llvm::StringRef value, llvm::StringRef sentence);

  /// Parses `arguments`; operands are what is no flag. Returns what is wrong, or nothing.
  Fault parse(llvm::ArrayRef<const char *> arguments, std::vector<std::string> &operands) const;

  /// The flags that the last parse met, in their order.
  const std::vector<std::string> &given() const { return met; }

  void printHelp(llvm::raw_ostream &out) const;

private:
  std::vector<Flag> flags;
  mutable std::vector<std::string> met;
  const Flag *find(llvm::StringRef name) const;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_FLAGS_H
