// Finds weights that are the same parameter: bit-equal, or bit-equal when transposed, and not a
// constant fill.

#ifndef DSC_FRONTEND_WEIGHTTIES_H
#define DSC_FRONTEND_WEIGHTTIES_H

#include "frontend/OnnxModel.h"

namespace dsc {

struct WeightTie {
  size_t first, second; // first < second
  bool transposed;
};

/// Pairs among `tensors` (rank 2 or more); each tensor is tied to at most one earlier one.
std::vector<WeightTie> findTies(llvm::ArrayRef<const onnx_model::Tensor *> tensors);

/// Whether all elements have the same bits.
bool isFill(const onnx_model::Tensor &tensor);
/// What the values of a float tensor tell about where it came from.
struct ValueFacts {
  size_t elements = 0, distinct = 0;
  bool isMask = false;     // see below
  bool isSinusoid = false; // rows of sines and cosines of position 0, 1, ..
};
ValueFacts factsOf(const onnx_model::Tensor &tensor);

/// Whether a tensor of rank 2 or more holds just two values, such as 0 and -inf.
bool isMask(const onnx_model::Tensor &tensor);

/// Whether all elements are +0.
bool isZero(const onnx_model::Tensor &tensor);

} // namespace dsc

#endif // DSC_FRONTEND_WEIGHTTIES_H
