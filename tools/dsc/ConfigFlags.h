// --config, and the flags beside it: puts the values of a ds_config.json into the flags that mean
// the same, where the command line does not have them.

#ifndef DSC_TOOLS_DSC_CONFIGFLAGS_H
#define DSC_TOOLS_DSC_CONFIGFLAGS_H

#include "frontend/Frontend.h"
#include "tools/dsc/Flags.h"

namespace dsc {

struct ConfigFlags {
  std::string file, compat = "0.19";
  std::vector<std::string> ignored;
  int64_t ranks = 0; // 0: not given
};

void addConfigFlags(FlagTable &table, ConfigFlags &flags,
                    llvm::StringRef ranksHelp = "solve the file's batch sizes for N ranks "
                                                "(default: 1)");

/// What was made of the file.
struct AppliedConfig {
  std::string text;                 ///< keys and effective values, a JSON object; empty: no file
  int64_t microBatch = 0;           ///< 0: the model's
  int64_t trainBatch = 0;           ///< 0: any number of samples a step
  std::vector<std::string> notices; ///< what a user should know of it
};

/// Reads the file that `flags` names, if any, and sets its flags through `table`, which has been
/// parsed. `accumulate` is the option's value.
Fault applyConfig(const FlagTable &table, const ConfigFlags &flags, int64_t accumulate,
                  AppliedConfig &applied);

/// Binds the first dimension of the model's data inputs to the micro-batch: where it is symbolic it
/// gets the size, where it is fixed, by the file or by a flag, it has to be that. Errors have been
/// emitted.
mlir::LogicalResult bindMicroBatch(mlir::MLIRContext &context, int64_t microBatch,
                                   ImportOptions &options);

/// Stores it in the module, for dumps and the manifest.
void attachConfig(mlir::ModuleOp module, const AppliedConfig &applied);

/// The keys and effective values that attachConfig stored.
std::vector<std::pair<std::string, std::string>> configChoices(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_TOOLS_DSC_CONFIGFLAGS_H
