// Command-line flags as a table: parsing, nearest names for unknown ones, and `--help` come from
// the same rows.

#ifndef DSC_TOOLS_DSC_FLAGS_H
#define DSC_TOOLS_DSC_FLAGS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <functional>
#include <string>
#include <vector>

namespace dsc {

/// One flag. `--name=value`, `--name value`, or `--name` alone where it takes none.
struct Flag {
  std::string name;  // without dashes
  std::string value; // what the value is called in help; empty: takes none
  std::string help;
  /// Stores the value; returns what is wrong with it, or nothing.
  std::function<std::string(llvm::StringRef)> set;
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
  /// A flag of the contract that this version refuses with one sentence.
  void refused(llvm::StringRef name, llvm::StringRef value, llvm::StringRef sentence);

  /// Parses `arguments`; operands are what is no flag. Returns what is wrong, or nothing.
  std::string parse(llvm::ArrayRef<const char *> arguments,
                    std::vector<std::string> &operands) const;

  void printHelp(llvm::raw_ostream &out) const;

private:
  std::vector<Flag> flags;
  const Flag *find(llvm::StringRef name) const;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_FLAGS_H
