// `dsc ops`: every ONNX operator that dsc imports.

#include "frontend/Frontend.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Flags.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace dsc;

int dsc::opsCommand(llvm::ArrayRef<const char *> arguments) {
  bool json = false, help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("json", json, "print as JSON");
  table.boolean("help", help, "this help");
  std::vector<std::string> operands;
  std::string wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc ops [--json]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && !operands.empty()) {
    wrong = "takes no operand, got '" + operands.front() + "'";
  }
  if (!wrong.empty()) {
    llvm::errs() << "dsc ops: " << wrong << "\n";
    return kUserError;
  }
  llvm::json::Array list;
  for (const SupportedOp &op : supportedOps()) {
    if (json) {
      list.push_back(llvm::json::Object{
          {"domain", op.domain}, {"op", op.op}, {"by", op.hasRow ? "row" : "function"}});
    } else {
      llvm::outs() << llvm::formatv(
          "{0,-28} {1}\n", (op.domain.empty() ? "" : op.domain + ".") + op.op,
          op.hasRow ? "imported by a rule of its own" : "expanded from its ONNX function");
    }
  }
  if (json) {
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(list))) << "\n";
  }
  return kDone;
}
