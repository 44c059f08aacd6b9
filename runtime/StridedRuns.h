// Planned tensors whose elements do not lie side by side: a part of a merged, padded or transposed
// parameter, its gradient or its state. Everything that copies such a tensor goes over its runs.

#ifndef DSC_RUNTIME_STRIDEDRUNS_H
#define DSC_RUNTIME_STRIDEDRUNS_H

#include "runtime/Manifest.h"

namespace dsc {

/// Calls run(element in storage, dense element, elements) for the contiguous runs of a tensor, in
/// the order of its dense elements; stops at the first Status that failed.
template <typename Run> Status forEachRun(const PlannedTensor &tensor, Run run) {
  int64_t total = elementCount(tensor.shape).value_or(0);
  if (tensor.strides.empty() || total == 0) {
    return total ? run(int64_t(0), int64_t(0), total) : Status();
  }
  size_t rank = tensor.shape.size();
  // The innermost dims that lie densely make one run.
  int64_t length = 1;
  size_t outer = rank;
  while (outer > 0 && tensor.strides[outer - 1] == length) {
    length *= tensor.shape[--outer];
  }
  Shape index(outer, 0);
  for (int64_t dense = 0; dense < total; dense += length) {
    int64_t place = 0;
    for (size_t i = 0; i < outer; ++i) {
      place += index[i] * tensor.strides[i];
    }
    DSC_RETURN_IF_FAILED(run(place, dense, length));
    for (size_t i = outer; i-- > 0;) {
      if (++index[i] < tensor.shape[i]) {
        break;
      }
      index[i] = 0;
    }
  }
  return {};
}

} // namespace dsc

#endif // DSC_RUNTIME_STRIDEDRUNS_H
