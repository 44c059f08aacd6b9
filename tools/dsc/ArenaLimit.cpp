// Rounds of planning towards a bound.

#include "tools/dsc/ArenaLimit.h"

#include "ir/Diagnostic.h"
#include "ir/Options.h"
#include "ir/Recompute.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"

#include <unistd.h>

using namespace mlir;
using namespace dsc;

static constexpr int kRounds = 4;

static int64_t plannedBytes(ModuleOp planned, StringRef space) {
  auto memory = planned->getAttrOfType<DictionaryAttr>("dsc.memory");
  auto size = memory ? dyn_cast_if_present<IntegerAttr>(memory.get(space)) : nullptr;
  return size ? size.getInt() : 0;
}

static int64_t outsideArena(ModuleOp planned) {
  return plannedBytes(planned, "state") + plannedBytes(planned, "constants") +
         plannedBytes(planned, "io") + plannedBytes(planned, "shard");
}

static std::string text(int64_t bytes) {
  return llvm::formatv("{0} bytes ({1:f1} MiB)", bytes, static_cast<double>(bytes) / 1048576).str();
}

int64_t dsc::machineMemory() {
  int64_t bytes =
      static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  if (auto file = llvm::MemoryBuffer::getFileAsStream("/sys/fs/cgroup/memory.max")) {
    int64_t group;
    if (!(*file)->getBuffer().trim().getAsInteger(10, group)) {
      bytes = std::min(bytes, group);
    }
  }
  return bytes / 10 * 9;
}

std::optional<ArenaLimit> ArenaLimit::of(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options) || options->loss == "none") {
    return std::nullopt;
  }
  std::optional<RecomputeMode> mode = parseRecompute(options->recompute);
  if (mode && mode->kind == RecomputeMode::bytes) {
    return ArenaLimit{mode->bound, false};
  }
  if (mode && mode->kind == RecomputeMode::automatic) {
    return ArenaLimit{mode->bound ? mode->bound : machineMemory(), true};
  }
  return std::nullopt;
}

int64_t ArenaLimit::arenaBytes(ModuleOp planned) const {
  return isTotal ? bytes - outsideArena(planned) : bytes;
}

bool ArenaLimit::holds(ModuleOp planned) const {
  return plannedBytes(planned, "arena") <= arenaBytes(planned);
}

LogicalResult ArenaLimit::refuse(ModuleOp planned) const {
  int64_t arena = plannedBytes(planned, "arena");
  if (isTotal) {
    return emitError(planned.getLoc(), ErrorId::MemoryLimit)
           << "training needs at least " << text(arena + outsideArena(planned)) << ", "
           << text(arena) << " of them for values of one step, even with all that can be computed "
           << "again; --memory allows " << text(bytes)
           << ": give more, or compile for a smaller batch";
  }
  return emitError(planned.getLoc(), ErrorId::MemoryLimit)
         << "the arena needs at least " << text(arena)
         << ", even with all that can be computed again; --recompute allows " << text(bytes)
         << ": give more, or compile for a smaller batch";
}

LogicalResult dsc::planWithinLimit(ModuleOp module, const ArenaLimit &limit, const PhaseRun &run,
                                   FailedPhase &failedPhase) {
  PhaseRun round;
  round.disabled = run.disabled;
  round.limits = run.limits;
  round.last = Phase::Memory;
  OwningOpRef<ModuleOp> best, smallest;
  // The first round of `auto` does not know yet what is outside of the arena: it plans as `cheap`.
  std::optional<int64_t> bound;
  if (!limit.isTotal) {
    bound = limit.bytes;
  }
  for (int i = 0; i < kRounds; ++i) {
    if (i + 1 == kRounds && !best) {
      bound = 0; // as small as can be
    }
    OwningOpRef<ModuleOp> plan = module.clone();
    if (bound) {
      setArenaBound(*plan, *bound);
    }
    if (failed(runPhasesPlain(*plan, round, failedPhase))) {
      return failure();
    }
    const int64_t arena = plannedBytes(*plan, "arena"), allowed = limit.arenaBytes(*plan);
    const ArenaEstimate estimate = arenaEstimate(*plan);
    const bool isSmallestYet = !smallest || arena < plannedBytes(*smallest, "arena");
    const bool wasSmallest = bound == 0, wasCheap = !bound;
    if (arena <= allowed) {
      bool isBest = !best || arena > plannedBytes(*best, "arena");
      // With the bound not reached in the estimate either, nothing was given up in vain.
      bool isClose = arena + allowed / 20 >= allowed || wasCheap;
      int64_t before = bound.value_or(0);
      if (isBest) {
        best = std::move(plan);
      }
      if (isClose || !isBest) {
        break;
      }
      bound = before + (allowed - arena) * 9 / 10;
      continue;
    }
    if (isSmallestYet) {
      smallest = std::move(plan);
    }
    if (wasSmallest) {
      break;
    }
    // The estimate was too small by as much; where it has nothing left to give up, try all.
    bound = estimate.isExhausted ? 0 : std::max<int64_t>(0, estimate.bytes - (arena - allowed));
  }
  // Giving up all is not always the least: what is computed again has temporaries of its own, so a
  // bound a little below may leave more in place and still need less.
  const int64_t all = best ? 0 : plannedBytes(*smallest, "arena");
  for (int i = 1; i <= kRounds && !best; ++i) {
    OwningOpRef<ModuleOp> plan = module.clone();
    setArenaBound(*plan, all / 16 * (16 - i));
    if (failed(runPhasesPlain(*plan, round, failedPhase))) {
      return failure();
    }
    const int64_t arena = plannedBytes(*plan, "arena");
    if (arena <= limit.arenaBytes(*plan)) {
      best = std::move(plan);
    } else if (arena < plannedBytes(*smallest, "arena")) {
      smallest = std::move(plan);
    }
  }
  failedPhase.phase = Phase::Recompute;
  if (!best) {
    return limit.refuse(*smallest);
  }
  const bool isHeard = llvm::any_of(
      run.observers, [](PhaseObserver *observer) { return observer->seesEveryPhase(); });
  if (!run.dumper && run.passDumpFolder.empty() && !isHeard && run.last >= Phase::Memory) {
    module->setAttrs(best->getOperation()->getAttrDictionary());
    module.getBodyRegion().takeBody(best->getBodyRegion());
  } else if (std::optional<int64_t> found = arenaBound(*best)) {
    setArenaBound(module, *found);
  }
  return success();
}
