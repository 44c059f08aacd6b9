// Runs a module through the phases, writing a dump after each where asked.

#ifndef DSC_TOOLS_DSC_PHASES_H
#define DSC_TOOLS_DSC_PHASES_H

#include "ir/Phase.h"

#include "llvm/ADT/StringSet.h"

#include <map>

namespace dsc {

/// Writes dumps into one folder. Constants over 32 elements go into one file beside all dumps of
/// the folder, so that each of them can be resumed.
class PhaseDumper {
public:
  explicit PhaseDumper(std::string folder) : folder(std::move(folder)) {}
  /// Dumps `module` as the file of its phase.
  mlir::LogicalResult dump(mlir::ModuleOp module);

private:
  std::string folder;
  std::map<std::string, mlir::DenseElementsAttr> constants; // every one that a dump refers to

  mlir::LogicalResult writeConstants(mlir::ModuleOp module) const;
};

struct PhaseRun {
  PhaseDumper *dumper = nullptr; // --dump-phases
  std::string passDumpFolder;    // --dump-passes; empty: none
  llvm::StringSet<> disabled;    // --disable: phases (raise) left out
  Phase last = Phase::Device;    // --emit: the last phase to run
};

/// Runs the phases after the module's own up to `run.last`, verifying and dumping each; where the
/// options bound the arena (--recompute=BYTES|auto), with the rounds that takes (ArenaLimit.h). The
/// module must be at `import` or later; a failure leaves `failedPhase` at the phase that failed.
mlir::LogicalResult runPhases(mlir::ModuleOp module, const PhaseRun &run, Phase &failedPhase);

/// The same with no regard to bounds: each phase once.
mlir::LogicalResult runPhasesPlain(mlir::ModuleOp module, const PhaseRun &run, Phase &failedPhase);

/// Reads a dump, with its constants.
mlir::OwningOpRef<mlir::ModuleOp> readDump(mlir::MLIRContext &context, llvm::StringRef path);

} // namespace dsc

#endif // DSC_TOOLS_DSC_PHASES_H
