// Shapes of loops.

#include "codegen/LoopGeometry.h"

using namespace mlir;
using namespace dsc;
using arith::CmpIPredicate;

static ArrayRef<int64_t> shapeOf(Value value) {
  return cast<RankedTensorType>(value.getType()).getShape();
}

int64_t dsc::elementCount(ArrayRef<int64_t> shape, int64_t first, int64_t last) {
  int64_t count = 1;
  for (int64_t i = first; i < last; ++i) {
    count *= shape[i];
  }
  return count;
}

Value dsc::stridedOffset(VectorBuilder &b, Value flat, ArrayRef<int64_t> dims,
                         ArrayRef<int64_t> strides) {
  Value offset = b.index(0);
  if (!dims.empty()) {
    for (auto [coordinate, stride] : llvm::zip(b.delinearize(flat, dims), strides)) {
      // Strides may be negative and the sum be positive all the same.
      Value term = b.mulIndex(coordinate, stride);
      offset =
          stride < 0 ? b.create<arith::AddIOp>(offset, term).getResult() : b.addIndex(offset, term);
    }
  }
  return offset;
}

//===----------------------------------------------------------------------===//
// Copies
//===----------------------------------------------------------------------===//

void StridedCopy::add(int64_t size, int64_t stride) {
  if (size == 1) {
    return;
  }
  if (!dims.empty() && strides.back() == stride * size) {
    dims.back() *= size;
    strides.back() = stride;
  } else {
    dims.push_back(size);
    strides.push_back(stride);
  }
}

void StridedCopy::finish() {
  if (dims.empty()) {
    dims.push_back(1);
    strides.push_back(1);
  }
}

StridedCopy StridedCopy::of(TransposeOp op) {
  SmallVector<int64_t> strides = rowMajorStrides(shapeOf(op.getX()));
  StridedCopy copy;
  for (auto [i, dim] : llvm::enumerate(op.getPermutation())) {
    copy.add(shapeOf(op.getY())[i], strides[dim]);
  }
  copy.finish();
  return copy;
}

StridedCopy StridedCopy::of(SliceOp op) {
  SmallVector<int64_t> strides = rowMajorStrides(shapeOf(op.getX()));
  StridedCopy copy;
  for (size_t i = 0; i < strides.size(); ++i) {
    copy.base += op.getStarts()[i] * strides[i];
    copy.add(op.getSizes()[i], op.getSteps()[i] * strides[i]);
  }
  copy.finish();
  return copy;
}

StridedCopy StridedCopy::of(BroadcastOp op) {
  ArrayRef<int64_t> from = shapeOf(op.getX()), to = shapeOf(op.getY());
  SmallVector<int64_t> strides = rowMajorStrides(from);
  StridedCopy copy;
  for (size_t i = 0, missing = to.size() - from.size(); i < to.size(); ++i) {
    bool repeats = i < missing || from[i - missing] == 1;
    copy.add(to[i], repeats ? 0 : strides[i - missing]);
  }
  copy.finish();
  return copy;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

SplitDims::SplitDims(ArrayRef<int64_t> shape, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> steps = rowMajorStrides(shape);
  int previous = -1;
  for (int64_t i = 0, rank = shape.size(); i < rank; ++i) {
    if (shape[i] == 1) {
      continue;
    }
    bool isReduced = llvm::is_contained(axes, i);
    SmallVector<int64_t> &dims = isReduced ? reduced : kept;
    SmallVector<int64_t> &strides = isReduced ? reducedStrides : keptStrides;
    if (previous == isReduced) {
      dims.back() *= shape[i];
      strides.back() = steps[i];
    } else {
      dims.push_back(shape[i]);
      strides.push_back(steps[i]);
    }
    previous = isReduced;
  }
  lastIsReduced = previous == 1;
}

//===----------------------------------------------------------------------===//
// Pooling
//===----------------------------------------------------------------------===//

Planes::Planes(ArrayRef<int64_t> shape, ConvLayout layout)
    : images(shape[0]), channelsLast(layout == ConvLayout::channels_last) {
  channels = channelsLast ? shape.back() : shape[1];
  spatial.assign(shape.begin() + (channelsLast ? 1 : 2), shape.end() - (channelsLast ? 1 : 0));
}

Value Planes::start(VectorBuilder &b, Value plane) const {
  if (!channelsLast) {
    return b.mulIndex(plane, points());
  }
  Value image = b.divIndex(plane, channels), channel = b.remIndex(plane, channels);
  return b.addIndex(b.mulIndex(image, points() * channels), channel);
}

SmallVector<Value> Windows::forWindow(
    VectorBuilder &b, ValueRange at, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(Value, Value, Value, ValueRange)> body) const {

  return b.loop(
      b.index(0), b.index(elementCount(window)), 1, carried, [&](Value flat, ValueRange now) {
        Value index = b.index(0), inside = b.constantInt(b.getI1Type(), 1), counted = inside;
        for (auto [i, offset] : llvm::enumerate(b.delinearize(flat, window))) {
          Value padded =
              b.addIndex(b.mulIndex(at[i], strides[i]), b.mulIndex(offset, dilations[i]));
          Value position = b.create<arith::SubIOp>(padded, b.index(begin[i]));
          inside = b.create<arith::AndIOp>(
              inside, b.cmpi(CmpIPredicate::ult, position, b.index(input.spatial[i])));
          int64_t limit = begin[i] + input.spatial[i] + end[i] - (ceil.empty() ? 0 : ceil[i]);
          counted =
              b.create<arith::AndIOp>(counted, b.cmpi(CmpIPredicate::ult, padded, b.index(limit)));
          Value clamped = b.create<arith::MaxSIOp>(position, b.index(0));
          clamped = b.create<arith::MinSIOp>(clamped, b.index(input.spatial[i] - 1));
          index = b.addIndex(b.mulIndex(index, input.spatial[i]), clamped);
        }
        return body(index, inside, countPads ? counted : inside, now);
      });
}

SmallVector<Value> Windows::forCovering(
    VectorBuilder &b, const Planes &output, ValueRange at, ValueRange carried,
    llvm::function_ref<SmallVector<Value>(Value, ValueRange, Value, ValueRange)> body) const {
  return b.loop(
      b.index(0), b.index(elementCount(window)), 1, carried, [&](Value flat, ValueRange now) {
        // padded = output * stride + offset * dilation, solved for the output's point.
        Value index = b.index(0), there = b.constantInt(b.getI1Type(), 1);
        SmallVector<Value> point;
        for (auto [i, offset] : llvm::enumerate(b.delinearize(flat, window))) {
          Value padded = b.addIndex(at[i], b.index(begin[i]));
          Value distance = b.create<arith::SubIOp>(padded, b.mulIndex(offset, dilations[i]));
          Value isBehind = b.cmpi(CmpIPredicate::sge, distance, b.index(0));
          Value position = b.divIndex(distance, strides[i]);
          Value divides = b.cmpi(CmpIPredicate::eq, b.mulIndex(position, strides[i]), distance);
          Value inside = b.cmpi(CmpIPredicate::ult, position, b.index(output.spatial[i]));
          there = b.create<arith::AndIOp>(there, b.create<arith::AndIOp>(isBehind, divides));
          there = b.create<arith::AndIOp>(there, inside);
          position = b.create<arith::MinUIOp>(position, b.index(output.spatial[i] - 1));
          index = b.addIndex(b.mulIndex(index, output.spatial[i]), position);
          point.push_back(position);
        }
        return body(index, point, there, now);
      });
}
