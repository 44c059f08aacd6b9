// Places buffers with known lifetimes at offsets of one arena. Plain C++; knows nothing of IR.

#ifndef DSC_PASSES_MEMORY_ARENAPACKER_H
#define DSC_PASSES_MEMORY_ARENAPACKER_H

#include <cstdint>
#include <vector>

namespace dsc {

/// A buffer that is needed from position `first` to position `last` of the schedule, both included.
struct ArenaBuffer {
  int64_t bytes = 0; // already rounded to the alignment
  int64_t first = 0;
  int64_t last = 0;
  int64_t offset = 0; // the packer's answer
};

/// Gives every buffer an offset so that no two with overlapping lifetimes overlap in memory;
/// returns the peak, in bytes. Tries several orders of first-fit and keeps the smallest, so the
/// result depends on the input only.
int64_t packArena(std::vector<ArenaBuffer> &buffers);

/// The largest sum of bytes that are alive at one position: no packing can be smaller.
int64_t arenaLowerBound(const std::vector<ArenaBuffer> &buffers);

} // namespace dsc

#endif // DSC_PASSES_MEMORY_ARENAPACKER_H
