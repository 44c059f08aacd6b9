// What a module after the memory phase takes on each of N ranks: bytes by what they hold, traffic
// and FLOPs of a step; and what of it grows with the batch, for estimates of other batches.

#ifndef DSC_TOOLS_DSC_PLANNEDBYTES_H
#define DSC_TOOLS_DSC_PLANNEDBYTES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <string>
#include <vector>

namespace dsc {

/// What bytes hold. Those of the arena are counted where a step needs the most of it.
enum class MemoryPart {
  Weights,       ///< parameters, buffers and their half copies
  Gradients,     ///< buckets of gradients, accumulators
  State,         ///< optimizer state, numbers of the step
  Activations,   ///< values of forward and backward
  Communication, ///< weights gathered for a while
  Workspace,     ///< scratch of kernels and library calls
  Other,         ///< constants, inputs, results, gaps
};
constexpr size_t kMemoryParts = 7;
using MemoryParts = std::array<int64_t, kMemoryParts>;

/// "weights", for tables and JSON.
llvm::StringRef memoryPartName(size_t part);
int64_t sumOf(const MemoryParts &parts);

/// A place of the arena that a value or scratch takes from op `first` to op `last` of an entry.
/// Bytes are counted by place: a view takes none, a result that lies where an operand ends begins
/// behind it, a pack is one place for all its parts. So what is in use at an op is the sum of its
/// places.
struct ArenaPlace {
  mlir::Operation *op; // the first that writes there
  int64_t offset, bytes, first, last;
  MemoryPart part;
  int64_t result; // of `op`; -1 for scratch
};
std::vector<ArenaPlace> arenaPlaces(mlir::func::FuncOp entry);

/// Bytes that are in use at each op of an entry, by part.
struct EntryProfile {
  std::string name;
  std::vector<MemoryParts> live;
};

struct PlannedBytes {
  MemoryParts parts = {};   // add up to the peak
  int64_t peak = 0;         // of one rank, as the executable says it
  int64_t traffic = 0;      // bytes that a rank sends in a step, padding included, scalars not
  int64_t flops = 0;        // of a step on one rank
  int64_t bytesMoved = 0;   // by all ops but matrix products, convolutions and attention
  MemoryParts outside = {}; // what of `parts` lies outside the arena
  int64_t arena = 0;
  std::vector<EntryProfile> entries;
};

/// Reads the plan of `module` for `ranks` ranks. `microBatches` is the number of micro-batches a
/// step.
PlannedBytes plannedBytes(mlir::ModuleOp module, int64_t ranks, int64_t microBatches);

/// The bytes of a batch between or beyond those of two plans that differ in it alone: what is in
/// use at each op is taken as linear in the batch, and the peak is the op with the most.
PlannedBytes interpolate(const PlannedBytes &small, int64_t smallBatch, const PlannedBytes &large,
                         int64_t largeBatch, int64_t batch);

} // namespace dsc

#endif // DSC_TOOLS_DSC_PLANNEDBYTES_H
