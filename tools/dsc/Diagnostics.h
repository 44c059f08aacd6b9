// Prints MLIR diagnostics as users read them: file, ONNX node, what is wrong; or as JSON.

#ifndef DSC_TOOLS_DSC_DIAGNOSTICS_H
#define DSC_TOOLS_DSC_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"

namespace dsc {

/// Handles the diagnostics of `context` while it lives: text or one JSON object a line, on standard
/// error.
class DiagnosticPrinter {
public:
  DiagnosticPrinter(mlir::MLIRContext &context, bool json);
  ~DiagnosticPrinter();

private:
  mlir::MLIRContext &context;
  mlir::DiagnosticEngine::HandlerID handler;
};

} // namespace dsc

#endif // DSC_TOOLS_DSC_DIAGNOSTICS_H
