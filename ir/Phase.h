// The ten phases of compilation: names, numbers and what holds after each. Dumps, `--from`,
// `--emit` and the verifier between phases use this one table.

#ifndef DSC_IR_PHASE_H
#define DSC_IR_PHASE_H

#include "ir/Dialect.h"

namespace dsc {

enum class Phase {
  Import = 1,
  Raise,
  Autodiff,
  Precision,
  Recompute,
  Parallel,
  Fusion,
  Memory,
  Kernels,
  Device
};

struct PhaseInfo {
  Phase phase;
  llvm::StringRef name;      // "import"
  llvm::StringRef guarantee; // what then holds, in one sentence
};

/// All phases in order.
llvm::ArrayRef<PhaseInfo> allPhases();

/// "01-import.mlir"
std::string phaseFileName(Phase phase);

/// The phase named `name`, or nothing.
std::optional<Phase> phaseByName(llvm::StringRef name);

/// The phase that `module` has gone through last (module attribute `dsc.phase`), or nothing for a
/// module that is not from a dump.
std::optional<Phase> phaseOf(mlir::ModuleOp module);
void setPhase(mlir::ModuleOp module, Phase phase);

/// The entries of `module`, in the order micro, last, eval, gather; those that were not planned are
/// absent.
llvm::SmallVector<mlir::func::FuncOp> entriesOf(mlir::ModuleOp module);

/// Checks what holds after `phase`; emits errors that name the op.
mlir::LogicalResult verifyPhase(mlir::ModuleOp module, Phase phase);

} // namespace dsc

#endif // DSC_IR_PHASE_H
