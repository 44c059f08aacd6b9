// Flags that say what a model is and how it is trained: shared by the commands that import one.

#ifndef DSC_TOOLS_DSC_MODELFLAGS_H
#define DSC_TOOLS_DSC_MODELFLAGS_H

#include "frontend/Frontend.h"
#include "tools/dsc/Flags.h"

namespace dsc {

/// Adds the flags of import (dims, binds, which tensors train) to `table`, storing into `options`.
void addImportFlags(FlagTable &table, ImportOptions &options);

/// Adds the flags of loss, optimizer, precision and run-time defaults.
void addTrainingFlags(FlagTable &table, CompileOptions &options);

/// What is wrong with options that exclude each other, or nothing.
std::string checkOptions(const CompileOptions &options);

/// Numbers that depend on the optimizer, where their flags are not among those `given`.
void settleOptimizerDefaults(CompileOptions &options, llvm::ArrayRef<std::string> given);

} // namespace dsc

#endif // DSC_TOOLS_DSC_MODELFLAGS_H
