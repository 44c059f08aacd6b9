// Blocks of the forward pass: stretches of its ops between which little passes. What passes from
// one to the next is saved; what stays inside can be computed again from it.

#ifndef DSC_PASSES_RECOMPUTE_BLOCKS_H
#define DSC_PASSES_RECOMPUTE_BLOCKS_H

#include "ir/Dialect.h"

#include <vector>

namespace dsc {

class SavedValues;

struct ForwardBlocks {
  std::vector<int> ofPosition; // of each op of the forward pass
  int count = 1;               // the last one ends with the loss
  bool isRepeated = false;     // whether the graph repeats itself, block by block
};

/// Finds the blocks of an analysed entry (positions, values and their uses must be there).
///
/// Where one tensor alone passes from the ops before it to those behind, the graph can be cut.
/// Pieces between cuts that have the same ops, types and attributes, one after the other, are the
/// layers of a model: each repetition is a block, or several together where that takes less
/// memory. Without repetition the cuts are chosen so that what passes and the largest block
/// together take least.
ForwardBlocks findBlocks(const SavedValues &saved);

/// A graph to be cut at some of its boundaries: `passes[i]` bytes pass from piece i to piece i + 1,
/// `inside[i]` bytes are needed inside of piece i.
struct CutChoice {
  std::vector<int64_t> passes, inside;
};

/// The boundaries (i: behind piece i) to cut at, ascending, so that the sum of what passes at them
/// and the largest sum of what is inside of consecutive uncut pieces is close to the least
/// possible: the best over 32 sizes of the largest block, exact for each.
std::vector<int> chooseCuts(const CutChoice &choice);

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_BLOCKS_H
