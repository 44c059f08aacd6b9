// The handler of diagnostics.

#include "tools/dsc/Diagnostics.h"

#include "frontend/Frontend.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace dsc;

static StringRef severityName(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return "error";
  case DiagnosticSeverity::Warning:
    return "warning";
  case DiagnosticSeverity::Note:
    return "note";
  case DiagnosticSeverity::Remark:
    return "remark";
  }
  return "error";
}

static llvm::json::Object toJson(Diagnostic &diagnostic) {
  llvm::json::Object object{{"severity", severityName(diagnostic.getSeverity()).str()},
                            {"message", diagnostic.str()}};
  diagnostic.getLocation()->walk([&](Location location) {
    if (auto name = dyn_cast<NameLoc>(location)) {
      object.try_emplace("node", name.getName().str());
    } else if (auto file = dyn_cast<FileLineColLoc>(location)) {
      object.try_emplace("file", file.getFilename().str());
      object.try_emplace("index", static_cast<int64_t>(file.getLine()));
    }
    return WalkResult::advance();
  });
  llvm::json::Array notes;
  for (Diagnostic &note : diagnostic.getNotes()) {
    notes.push_back(toJson(note));
  }
  if (!notes.empty()) {
    object["notes"] = std::move(notes);
  }
  return object;
}

DiagnosticPrinter::DiagnosticPrinter(MLIRContext &context, bool json) : context(context) {
  handler = context.getDiagEngine().registerHandler([json](Diagnostic &diagnostic) {
    if (json) {
      llvm::errs() << llvm::json::Value(toJson(diagnostic)) << "\n";
    } else {
      printDiagnostic(diagnostic, llvm::errs());
    }
    return success();
  });
}

DiagnosticPrinter::~DiagnosticPrinter() { context.getDiagEngine().eraseHandler(handler); }
