// Makes the training executable: links the program's object into a shared object and appends it,
// the constants and the manifest to the prebuilt runner (docs/executable-format.md).

#ifndef DSC_CODEGEN_EXECUTABLEWRITER_H
#define DSC_CODEGEN_EXECUTABLEWRITER_H

#include "ir/Dialect.h"

namespace dsc {

struct ExecutableParts {
  std::string runner;               // path of the prebuilt runner
  std::vector<std::string> objects; // ELF objects of kernels and host program
  mlir::ModuleOp module;            // for the constants and the manifest
};

/// Writes the executable to `path`: aside first, then renamed. Errors: the runner cannot be read,
/// the link fails, the disk is full.
mlir::LogicalResult writeExecutable(const ExecutableParts &parts, llvm::StringRef path);

} // namespace dsc

#endif // DSC_CODEGEN_EXECUTABLEWRITER_H
