// What loops over the result of one op need to know of its shapes, for every target: strided
// copies, split dimensions, lines, pooling windows.

#ifndef DSC_CODEGEN_LOOPGEOMETRY_H
#define DSC_CODEGEN_LOOPGEOMETRY_H

#include "codegen/VectorBuilder.h"
#include "ir/Evaluate.h"

namespace dsc {

/// Product of dims [first, last) of `shape`.
int64_t elementCount(llvm::ArrayRef<int64_t> shape, int64_t first, int64_t last);
inline int64_t elementCount(llvm::ArrayRef<int64_t> shape) {
  return elementCount(shape, 0, shape.size());
}

/// The offset of flat index `flat` of `dims` where dimension i lies strides[i] apart.
mlir::Value stridedOffset(VectorBuilder &b, mlir::Value flat, llvm::ArrayRef<int64_t> dims,
                          llvm::ArrayRef<int64_t> strides);

/// result[i] = x[base + sum i_d stride_d]; dimensions merged where their strides allow, never none.
struct StridedCopy {
  static StridedCopy of(TransposeOp op);
  static StridedCopy of(SliceOp op);
  static StridedCopy of(BroadcastOp op);

  llvm::SmallVector<int64_t> dims, strides;
  int64_t base = 0;

private:
  void add(int64_t size, int64_t stride);
  void finish();
};

/// Kept and reduced dimensions of an operand, with their strides in it, merged by whether they are
/// reduced.
struct SplitDims {
  SplitDims(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> axes);

  llvm::SmallVector<int64_t> kept, keptStrides, reduced, reducedStrides;
  bool lastIsReduced = false;
};

/// The lines of a tensor along one axis: where each starts and how far its elements are apart.
struct Lines {
  Lines(llvm::ArrayRef<int64_t> shape, int64_t axis)
      : outer(elementCount(shape, 0, axis)), size(shape[axis]),
        inner(elementCount(shape, axis + 1, shape.size())) {}

  mlir::Value start(VectorBuilder &b, mlir::Value line) const {
    return b.addIndex(b.mulIndex(b.divIndex(line, inner), size * inner), b.remIndex(line, inner));
  }

  int64_t outer, size, inner;
};

/// Planes of an image and where their elements lie.
struct Planes {
  Planes(llvm::ArrayRef<int64_t> shape, ConvLayout layout);

  int64_t points() const { return elementCount(spatial); }
  int64_t step() const { return channelsLast ? channels : 1; }
  /// Offset of the first element of plane `plane`, counted as image * channels + channel.
  mlir::Value start(VectorBuilder &b, mlir::Value plane) const;

  int64_t images, channels;
  llvm::SmallVector<int64_t> spatial;
  bool channelsLast;
};

/// Windows of a pooling op, over the padded input.
class Windows {
public:
  template <typename Op>
  Windows(Op op, llvm::ArrayRef<int64_t> image, llvm::ArrayRef<int64_t> padsCeil, bool countPads)
      : input(image, op.getLayout()), window(op.getWindow()), strides(op.getStrides()),
        dilations(op.getDilations()), begin(op.getPadsBegin()), end(op.getPadsEnd()),
        ceil(padsCeil), countPads(countPads) {}

  /// Runs `body` for each element of the window of output point `at`, in order: the element's flat
  /// index within the plane (clamped), whether it is inside the image, and whether an average
  /// counts it.
  llvm::SmallVector<mlir::Value>
  forWindow(VectorBuilder &b, mlir::ValueRange at, mlir::ValueRange carried,
            llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::Value, mlir::Value,
                                                              mlir::ValueRange)>
                body) const;

  /// Runs `body` for each window of `output`'s points that may hold the image's point `at`, in the
  /// order of offsets in the window: the output point's flat index (clamped), its coordinates, and
  /// whether the window is there.
  llvm::SmallVector<mlir::Value>
  forCovering(VectorBuilder &b, const Planes &output, mlir::ValueRange at, mlir::ValueRange carried,
              llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value, mlir::ValueRange,
                                                                mlir::Value, mlir::ValueRange)>
                  body) const;

  Planes input;
  llvm::ArrayRef<int64_t> window, strides, dilations, begin, end, ceil;
  bool countPads;
};

/// The pads that only round up the output's size; empty where there are none.
inline llvm::ArrayRef<int64_t> ceilOf(std::optional<llvm::ArrayRef<int64_t>> pads) {
  return pads ? *pads : llvm::ArrayRef<int64_t>();
}

} // namespace dsc

#endif // DSC_CODEGEN_LOOPGEOMETRY_H
