// `dsc ops`: every ONNX operator that dsc imports; with --precision every op of the dialect and the
// type in which mixed-precision programs compute it.

#include "frontend/Frontend.h"
#include "passes/precision/PrecisionTable.h"
#include "tools/dsc/Commands.h"
#include "tools/dsc/Diagnostics.h"
#include "tools/dsc/Flags.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace dsc;

static void printPrecision(bool json) {
  llvm::json::Array list;
  for (const PrecisionRow &row : precisionTable()) {
    if (json) {
      list.push_back(llvm::json::Object{
          {"op", row.op}, {"computes_in", computeClassName(row.kind)}, {"reason", row.why}});
    } else {
      llvm::outs()
          << llvm::formatv("{0,-26} {1,-7} {2}", row.op, computeClassName(row.kind), row.why).str()
          << "\n";
    }
  }
  if (json) {
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(std::move(list))) << "\n";
  }
}

int dsc::opsCommand(llvm::ArrayRef<const char *> arguments) {
  bool json = false, precision = false, help = false;
  FlagTable table;
  table.section("Output");
  table.boolean("precision", precision,
                "the ops of the compiler and the float type that each computes in");
  table.boolean("json", json, "print as JSON");
  table.boolean("help", help, "this help");
  std::vector<std::string> operands;
  Fault wrong = table.parse(arguments, operands);
  if (help) {
    llvm::outs() << "usage: dsc ops [--json] [--precision]\n";
    table.printHelp(llvm::outs());
    return kDone;
  }
  if (wrong.empty() && !operands.empty()) {
    wrong = "takes no operand, got '" + operands.front() + "'";
  }
  if (!wrong.empty()) {
    reportFault("dsc ops", wrong);
    return kUserError;
  }
  if (precision) {
    printPrecision(json);
    return kDone;
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
