// The bound that --recompute=BYTES or auto puts on memory, and the rounds of phases 5 to 8 that
// find a plan within it.

#ifndef DSC_TOOLS_DSC_ARENALIMIT_H
#define DSC_TOOLS_DSC_ARENALIMIT_H

#include "tools/dsc/Phases.h"

#include <optional>

namespace dsc {

struct ArenaLimit {
  int64_t bytes = 0;
  bool isTotal = false; // of state, constants and io too (auto); else of the arena alone

  /// What the options of `module` ask for; nothing where they bound no memory.
  static std::optional<ArenaLimit> of(mlir::ModuleOp module);

  /// How many bytes the arena of a module after the memory phase may have.
  int64_t arenaBytes(mlir::ModuleOp planned) const;
  bool holds(mlir::ModuleOp planned) const;

  /// The error: the limit, what `planned`, the smallest plan there is, takes, and the way out.
  mlir::LogicalResult refuse(mlir::ModuleOp planned) const;
};

/// Takes `module` from the precision phase to the memory phase within `limit`: the recompute phase
/// estimates what the later ones will make of its choice, so they run on copies, at most four
/// times, each with a bound corrected by how far the estimate was off, and the plan that saves most
/// of those that fit is taken. Where phases are dumped, `module` is left after the precision phase,
/// with the bound that leads to that plan. Fails where even the smallest plan is over the limit.
mlir::LogicalResult planWithinLimit(mlir::ModuleOp module, const ArenaLimit &limit,
                                    const PhaseRun &run, FailedPhase &failedPhase);

/// Bytes of memory that a training program may take on this machine: nine tenths of what the
/// machine, or the control group of this process, has.
int64_t machineMemory();

} // namespace dsc

#endif // DSC_TOOLS_DSC_ARENALIMIT_H
