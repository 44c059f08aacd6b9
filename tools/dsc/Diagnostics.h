// Prints errors and notices as users read them: file, ONNX node, what is wrong, the error's id; or
// as one JSON object a line (--diagnostics=json). docs/errors.md has the ids.

#ifndef DSC_TOOLS_DSC_DIAGNOSTICS_H
#define DSC_TOOLS_DSC_DIAGNOSTICS_H

#include "ir/Diagnostic.h"
#include "tools/dsc/Flags.h"

#include "mlir/IR/Diagnostics.h"

namespace dsc {

/// Handles the diagnostics of `context` while it lives; all goes to standard error. Errors that
/// carry no id get the one of the stage that is running.
class DiagnosticPrinter {
public:
  DiagnosticPrinter(mlir::MLIRContext &context, bool json);
  ~DiagnosticPrinter();

  void setStage(ErrorId id) { stage = id; }
  /// What a user must know because it changes results.
  void notice(const std::string &text) const;
  /// An error of the driver itself.
  void error(const std::string &text, ErrorId id) const;

private:
  mlir::MLIRContext &context;
  bool json;
  ErrorId stage = ErrorId::ModelInvalid;
  mlir::DiagnosticEngine::HandlerID handler;
};

/// Whether a command line asks for --diagnostics=json, known before it is parsed.
bool wantsJsonDiagnostics(llvm::ArrayRef<const char *> arguments);

/// Prints what is wrong with the command line of `command` ("dsc compile").
void reportFault(llvm::StringRef command, const Fault &fault, bool json = false);

} // namespace dsc

#endif // DSC_TOOLS_DSC_DIAGNOSTICS_H
