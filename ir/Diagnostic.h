// Ids of errors: what `--diagnostics=json` calls them and docs/errors.md explains. An error without
// an id of its own has the one of the stage that it was met in.

#ifndef DSC_IR_DIAGNOSTIC_H
#define DSC_IR_DIAGNOSTIC_H

#include "mlir/IR/Diagnostics.h"

namespace dsc {

enum class ErrorId {
#define DSC_ERROR(name, id, what, wayOut) name,
#include "ir/Errors.def"
#undef DSC_ERROR
};

struct ErrorInfo {
  ErrorId id;
  llvm::StringRef name;   // "import-unsupported"
  llvm::StringRef what;   // what it means, one sentence
  llvm::StringRef wayOut; // what to do, one sentence
};

/// Every id, in the order of the stages.
llvm::ArrayRef<ErrorInfo> allErrors();
const ErrorInfo &errorInfo(ErrorId id);

/// An error with an id.
mlir::InFlightDiagnostic emitError(mlir::Location loc, ErrorId id);

/// The id of an error that emitError gave one.
std::optional<ErrorId> errorIdOf(mlir::Diagnostic &diagnostic);

} // namespace dsc

#endif // DSC_IR_DIAGNOSTIC_H
