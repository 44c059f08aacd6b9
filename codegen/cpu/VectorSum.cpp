// Accumulators of reductions.

#include "codegen/cpu/VectorSum.h"

#include "codegen/EmitElementwise.h"

#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

SmallVector<Value> VectorSum::start() {
  VectorType type = b_.vectorOf(computeType(element_));
  return SmallVector<Value>(kAccumulators, neutralElement(b_, kind_, element_, type));
}

SmallVector<Value> VectorSum::add(ValueRange accumulators, Value term, Value mask) {
  if (mask) {
    term = b_.select(mask, term, neutralElement(b_, kind_, element_, term.getType()));
  }
  // The accumulators move on by one, so that a loop needs no index to find the next.
  SmallVector<Value> next(accumulators.drop_front());
  next.push_back(emitCombine(b_, kind_, element_, accumulators.front(), term));
  return next;
}

Value VectorSum::finish(ValueRange accumulators, int64_t vectors) {
  auto combine = [&](Value x, Value y) { return emitCombine(b_, kind_, element_, x, y); };
  SmallVector<Value> sums;
  for (int64_t i = 0; i < kAccumulators; ++i) {
    sums.push_back(accumulators[((i - vectors) % kAccumulators + kAccumulators) % kAccumulators]);
  }
  Value sum = combine(combine(sums[0], sums[1]), combine(sums[2], sums[3]));
  for (int64_t half = DSC_LANES / 2; half > 0; half /= 2) {
    SmallVector<int64_t> low(half), high(half);
    for (int64_t i = 0; i < half; ++i) {
      low[i] = i;
      high[i] = half + i;
    }
    sum = combine(b_.create<vector::ShuffleOp>(sum, sum, low),
                  b_.create<vector::ShuffleOp>(sum, sum, high));
  }
  return b_.roundTo(element_, b_.splat(b_.extractLane(sum, 0)));
}
