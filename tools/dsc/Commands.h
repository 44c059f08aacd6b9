// The commands of `dsc`: each takes its arguments after the command's name and returns the exit
// code.

#ifndef DSC_TOOLS_DSC_COMMANDS_H
#define DSC_TOOLS_DSC_COMMANDS_H

#include "runtime/Status.h"

#include "llvm/ADT/ArrayRef.h"

namespace dsc {

// Exit codes of all programs, as numbers.
constexpr int kDone = static_cast<int>(ExitCode::Done);
constexpr int kUserError = static_cast<int>(ExitCode::User);
constexpr int kMachineLacks = static_cast<int>(ExitCode::Machine);
constexpr int kDifference = static_cast<int>(ExitCode::Differs);
constexpr int kInternal = static_cast<int>(ExitCode::Internal);

int compileCommand(llvm::ArrayRef<const char *> arguments);
int inspectCommand(llvm::ArrayRef<const char *> arguments);
int checkCommand(llvm::ArrayRef<const char *> arguments);
int compareCommand(llvm::ArrayRef<const char *> arguments);
int exportCommand(llvm::ArrayRef<const char *> arguments);
int errorsCommand(llvm::ArrayRef<const char *> arguments);
int opsCommand(llvm::ArrayRef<const char *> arguments);
int planCommand(llvm::ArrayRef<const char *> arguments);

} // namespace dsc

#endif // DSC_TOOLS_DSC_COMMANDS_H
