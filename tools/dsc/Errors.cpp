// `dsc errors`: the ids of all errors, as text, JSON or the table of docs/errors.md.

#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/Flags.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

using namespace dsc;

static void printMarkdown(llvm::raw_ostream &out) {
  out << "| id | what it means | the way out |\n|---|---|---|\n";
  for (const ErrorInfo &error : allErrors()) {
    out << "| `" << error.name << "` | " << error.what << " | " << error.wayOut << " |\n";
  }
}

int dsc::errorsCommand(llvm::ArrayRef<const char *> arguments) {
  bool json = false, markdown = false, help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("json", json, "print as JSON");
  table.boolean("markdown", markdown, "print the table of docs/errors.md");
  table.boolean("help", help, "this help");
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc errors [--json|--markdown]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && !operands.empty()) {
    wrong = "takes no operand, got '" + operands.front() + "'";
  }
  if (!wrong.empty()) {
    reportFault("dsc errors", wrong);
    return kUserError;
  }
  if (markdown) {
    printMarkdown(llvm::outs());
    return kDone;
  }
  llvm::json::Array list;
  for (const ErrorInfo &error : allErrors()) {
    if (json) {
      list.push_back(
          llvm::json::Object{{"id", error.name}, {"what", error.what}, {"way_out", error.wayOut}});
    } else {
      llvm::outs() << llvm::formatv("{0,-20} {1}\n{2,-20} {3}\n", error.name, error.what, "",
                                    error.wayOut);
    }
  }
  if (json) {
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(list))) << "\n";
  }
  return kDone;
}
