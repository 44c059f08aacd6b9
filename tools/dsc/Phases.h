// Runs a module through the phases, writing a dump after each where asked.

#ifndef DSC_TOOLS_DSC_PHASES_H
#define DSC_TOOLS_DSC_PHASES_H

#include "passes/Pipeline.h"

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

/// Hears of the phases as they run.
class PhaseObserver {
public:
  virtual ~PhaseObserver() = default;
  virtual void phaseBegins(Phase) {}
  virtual void phaseDone(mlir::ModuleOp module, Phase phase, double seconds) = 0;
  /// Whether the phases of a plan that was found by trying (ArenaLimit.h) are to run once more for
  /// this one to hear of them.
  virtual bool seesEveryPhase() const { return false; }
};

/// The module as it was before a phase that failed, and the passes that were to run on it.
struct FailedPhase {
  Phase phase = Phase::Import;
  bool crashed = false;
  mlir::OwningOpRef<mlir::ModuleOp> before;
  std::string pipeline; // as dsc-opt takes it; empty for phases that are no pipeline of passes
};

struct PhaseRun {
  PhaseDumper *dumper = nullptr; // --dump-phases
  std::string passDumpFolder;    // --dump-passes; empty: none
  llvm::StringSet<> disabled;    // --disable: phases (raise) left out
  PassLimits limits;             // --disable, --pass-limit: rewrites of single passes
  Phase last = Phase::Device;    // --emit: the last phase to run
  std::vector<PhaseObserver *> observers;
  std::string failIn; // tests of failures: "memory" fails in that phase, "memory:crash" crashes
};

/// Runs the phases after the module's own up to `run.last`, verifying and dumping each; where the
/// options bound the arena (--recompute=BYTES|auto), with the rounds that takes (ArenaLimit.h). The
/// module must be at `import` or later. After a failure, a crash of a pass included, `failed` tells
/// what is needed to see it again.
mlir::LogicalResult runPhases(mlir::ModuleOp module, const PhaseRun &run, FailedPhase &failed);

/// Writes the reproducer of an internal failure into `folder`: the program before the phase as a
/// dump, and a README with the commands that fail the same way.
mlir::LogicalResult writeReproducer(FailedPhase &failed, const std::string &folder);

/// The same with no regard to bounds: each phase once.
mlir::LogicalResult runPhasesPlain(mlir::ModuleOp module, const PhaseRun &run, FailedPhase &failed);

/// Reads a dump, with its constants.
mlir::OwningOpRef<mlir::ModuleOp> readDump(mlir::MLIRContext &context, llvm::StringRef path);

} // namespace dsc

#endif // DSC_TOOLS_DSC_PHASES_H
