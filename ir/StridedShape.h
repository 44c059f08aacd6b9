// Dimensions with element strides: how library calls see tensors, whatever their layout in memory.

#ifndef DSC_IR_STRIDEDSHAPE_H
#define DSC_IR_STRIDEDSHAPE_H

#include "ir/Dialect.h"
#include "ir/Evaluate.h"

namespace dsc {

struct StridedShape {
  llvm::SmallVector<int64_t> dims, strides;

  /// The row-major strides of `type`.
  explicit StridedShape(mlir::RankedTensorType type)
      : dims(type.getShape()), strides(rowMajorStrides(type.getShape())) {}
};

/// An image in the order N, C, spatial..., or a weight in the order O, C, spatial..., which for
/// channels_last is not the order in memory.
inline StridedShape imageShape(mlir::RankedTensorType type, ConvLayout layout) {
  StridedShape image(type);
  if (layout == ConvLayout::channels_last) {
    std::rotate(image.dims.begin() + 1, image.dims.end() - 1, image.dims.end());
    std::rotate(image.strides.begin() + 1, image.strides.end() - 1, image.strides.end());
  }
  return image;
}

} // namespace dsc

#endif // DSC_IR_STRIDEDSHAPE_H
