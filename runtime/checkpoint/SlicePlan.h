// Which elements of a tensor a rank writes into a checkpoint.
// A file holds each tensor whole, dense and once, whoever has it. Of what is sharded a rank writes
// the elements that lie in its own chunks; what all ranks have is divided by ZeRO's formula over
// chunks of its dense elements. Either way each element has exactly one writer.

#ifndef DSC_RUNTIME_CHECKPOINT_SLICEPLAN_H
#define DSC_RUNTIME_CHECKPOINT_SLICEPLAN_H

#include "runtime/StridedRuns.h"

#include <algorithm>

namespace dsc {

/// Elements [dense, dense + count) of a tensor, which lie in its storage from `place` on.
struct Slice {
  int64_t dense = 0, place = 0, count = 0;
};

/// Half-open range of elements.
struct ElementRange {
  int64_t begin = 0, end = 0;
};

/// The dense elements that a rank writes of a tensor of `elements` that all ranks have.
inline ElementRange ownElements(int64_t elements, int64_t ranks, int64_t rank) {
  const int64_t chunks = dsc_chunks(elements);
  auto element = [&](int64_t chunk) { return std::min(chunk * DSC_CHUNK_ELEMENTS, elements); };
  return {element(dsc_slice_begin(chunks, ranks, rank)),
          element(dsc_slice_end(chunks, ranks, rank))};
}

/// Whether own chunks hold so short pieces of the dense tensor (weights of convolutions lie with
/// other axes innermost) that it is gathered and then divided as what all ranks have.
bool needsGathering(const PlannedTensor &tensor);

/// Calls visit(Slice) -> Status for what `rank` writes of a tensor of `manifest`, in the order of
/// dense elements. Stops at the first Status that failed.
template <typename Visit>
Status forEachSlice(const Manifest &manifest, const PlannedTensor &tensor, int ranks, int rank,
                    Visit visit) {
  const bool byPlace = tensor.shard >= 0 && !needsGathering(tensor);
  ElementRange own = ownElements(elementCount(tensor.shape).value_or(0), ranks, rank);
  if (byPlace) {
    const auto [begin, end] = manifest.ownBytes(tensor, ranks, rank);
    own = {begin / dtypeSize(tensor.dtype), end / dtypeSize(tensor.dtype)};
  }
  return forEachRun(tensor, [&](int64_t place, int64_t dense, int64_t count) {
    const int64_t at = byPlace ? place : dense;
    const int64_t begin = std::max(at, own.begin), end = std::min(at + count, own.end);
    return begin < end ? visit(Slice{dense + begin - at, place + begin - at, end - begin})
                       : Status();
  });
}

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_SLICEPLAN_H
