// Which elements of a tensor a rank writes into a checkpoint.

#include "runtime/checkpoint/SlicePlan.h"

using namespace dsc;

bool dsc::needsGathering(const PlannedTensor &tensor) {
  constexpr int64_t leastBytes = 2048; // half a page of the file, or of a disk
  int64_t length = 0;
  // All runs of a tensor are equally long: look at the first.
  Status stopped = forEachRun(tensor, [&](int64_t, int64_t, int64_t count) {
    length = count;
    return Status::internal("");
  });
  (void)stopped;
  return tensor.shard >= 0 && !tensor.strides.empty() &&
         length * dtypeSize(tensor.dtype) < leastBytes;
}
