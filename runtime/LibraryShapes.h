// Shapes of library calls.
// What the plan functions of abi.h receive, as structs: shared by all devices. Shapes and strides
// are in elements; the arrays belong to the caller and live as long as the call.

#ifndef DSC_RUNTIME_LIBRARYSHAPES_H
#define DSC_RUNTIME_LIBRARYSHAPES_H

#include <cstdint>

namespace dsc {

/// The operands of a matrix product as the program describes them.
struct MatmulShape {
  static constexpr int maxRank = 6;
  int32_t dtype = 0;
  int rank = 0;
  const int64_t *aDims = nullptr, *aStrides = nullptr;
  const int64_t *bDims = nullptr, *bStrides = nullptr;
  const int64_t *cDims = nullptr, *cStrides = nullptr;
  bool hasBias = false;
  int32_t epilogue = 0;
  bool accumulate = false;
};

/// The operands of a convolution as the program describes them; spatial arrays have rank - 2
/// entries.
struct ConvDescription {
  int32_t kind = 0, dtype = 0, rank = 0;
  const int64_t *xDims = nullptr, *xStrides = nullptr;
  const int64_t *wDims = nullptr, *wStrides = nullptr;
  const int64_t *yDims = nullptr, *yStrides = nullptr;
  const int64_t *strides = nullptr, *dilations = nullptr;
  const int64_t *padsBegin = nullptr, *padsEnd = nullptr;
  int64_t groups = 1;
  bool hasBias = false;
  int32_t epilogue = 0;
};

/// Shape of attention; strides are in elements.
struct AttentionShape {
  int64_t batch, heads, kvHeads, qLength, kvLength, width;
  double scale;
  bool causal;
  int32_t maskType;                                           ///< 0 for none, else a dsc_dtype
  int64_t maskStrides[4];                                     ///< batch, head, q, k
  int64_t qStrides[3], kStrides[3], vStrides[3], oStrides[3]; ///< batch, position, head
};

} // namespace dsc

#endif // DSC_RUNTIME_LIBRARYSHAPES_H
