// What --recompute asks for, and what the recompute phase and the driver tell each other through
// attributes of the module.

#ifndef DSC_IR_RECOMPUTE_H
#define DSC_IR_RECOMPUTE_H

#include "ir/Dialect.h"

#include <optional>

namespace dsc {

struct RecomputeMode {
  enum Kind { none, cheap, full, bytes, automatic };
  Kind kind = cheap;
  int64_t bound = 0; // `bytes`: of the arena; `automatic`: of all memory, 0 where not known yet
};

/// Reads none, cheap, full, auto, auto:BYTES or BYTES (see parseBytes); nothing for other texts.
std::optional<RecomputeMode> parseRecompute(llvm::StringRef text);

/// Reads a positive number of bytes: 838860800, 800MiB, 1.5GiB; also KiB, TiB, KB, MB, GB, TB.
std::optional<int64_t> parseBytes(llvm::StringRef text);

/// `dsc.arena_bound`: the bytes that the recompute phase may plan for, where the driver has
/// corrected the user's bound by what an earlier round taught it.
std::optional<int64_t> arenaBound(mlir::ModuleOp module);
void setArenaBound(mlir::ModuleOp module, int64_t bytes);

/// `dsc.arena_estimate`: the arena that the recompute phase expects of its plan, and, as
/// `dsc.arena_exhausted`, whether that is over the bound and nothing is left to give up.
struct ArenaEstimate {
  int64_t bytes = 0;
  bool isExhausted = false;
};
ArenaEstimate arenaEstimate(mlir::ModuleOp module);
void setArenaEstimate(mlir::ModuleOp module, ArenaEstimate estimate);

} // namespace dsc

#endif // DSC_IR_RECOMPUTE_H
