// Random numbers (Philox.h): sixteen counters at a time give 64 elements, put back in order by
// interleaving.

#include "codegen/EmitElementwise.h"
#include "codegen/LoopGeometry.h"
#include "codegen/Philox.h"
#include "codegen/cpu/EmitLoops.h"

#include "runtime/abi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

#include <array>

using namespace mlir;
using namespace dsc;

// Elements of one sample that one unit makes; a multiple of what 16 counters give.
static constexpr int64_t kUnitElements = 4096, kStep = 4 * DSC_LANES;

/// x0 y0 x1 y1 ..
static Value interleave(VectorBuilder &b, Value x, Value y) {
  int64_t lanes = cast<VectorType>(x.getType()).getNumElements();
  SmallVector<int64_t> order;
  for (int64_t i = 0; i < lanes; ++i) {
    order.append({i, lanes + i});
  }
  return b.create<vector::ShuffleOp>(x, y, order);
}

static LoopUnits emitRandom(LoopKernel &kernel, RandomOp op) {
  VectorBuilder &b = kernel.b;
  Philox philox(b);
  ArrayRef<int64_t> shape = kernel.resultShape();
  int64_t samples = shape.empty() ? 1 : shape[0], elements = elementCount(shape) / samples;
  int64_t blocks = llvm::divideCeil(elements, kUnitElements);
  Type element = kernel.resultElement();
  Value seed = kernel.load(0, b.index(0)), step = kernel.load(1, b.index(0)),
        base = kernel.load(2, b.index(0));
  VectorType words = b.vectorOf(b.getI32Type());
  kernel.forUnits([&](Value unit) {
    Value sample = b.divIndex(unit, blocks),
          first = b.mulIndex(b.remIndex(unit, blocks), kUnitElements);
    Value end = b.minIndex(b.addIndex(first, b.index(kUnitElements)), b.index(elements));
    Value global = b.add(base, b.create<arith::IndexCastOp>(b.getI64Type(), sample));
    Value start = b.mulIndex(sample, elements);
    b.loop(first, end, kStep, [&](Value i) {
      Value quarter = b.create<arith::IndexCastOp>(b.getI32Type(), b.divIndex(i, 4));
      std::array<Value, 4> numbers =
          philox.numbers(op, seed, step, global, b.add(b.splat(quarter), b.lanes(words)));
      Value ordered = interleave(b, interleave(b, numbers[0], numbers[2]),
                                 interleave(b, numbers[1], numbers[3]));
      for (int64_t k = 0; k < 4; ++k) {
        SmallVector<int64_t> part;
        for (int64_t lane = 0; lane < DSC_LANES; ++lane) {
          part.push_back(k * DSC_LANES + lane);
        }
        Value values = emitCast(b, b.getF32Type(), element,
                                b.create<vector::ShuffleOp>(ordered, ordered, part));
        Value place = b.addIndex(i, b.index(k * DSC_LANES)), mask;
        if (elements % kStep != 0) {
          Value left = b.create<arith::MaxSIOp>(b.create<arith::SubIOp>(b.index(elements), place),
                                                b.index(0));
          mask = b.maskBelow(left);
        }
        b.storeVector(element, values, kernel.resultMemory(), b.addIndex(start, place), mask);
      }
    });
  });
  return {samples * blocks, std::min(elements, kUnitElements) * 32};
}

std::optional<LoopUnits> dsc::emitRandomLoops(LoopKernel &kernel) {
  if (auto random = dyn_cast<RandomOp>(kernel.op())) {
    return emitRandom(kernel, random);
  }
  return std::nullopt;
}
