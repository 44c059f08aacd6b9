// The loss scaler. State: state.loss_scale (f32) and state.hysteresis (i64), 0 before the first
// step, and state.good_steps (i64), the clean steps since the last overflow.

#include "passes/autodiff/LossScale.h"

#include <cmath>

using namespace mlir;
using namespace dsc;

/// Doubling ends here: infinity halved stays infinity.
static const double kLargestScale = std::ldexp(1.0, 126);

namespace {
/// The state before the step, with the first step's values in the place of zeros.
struct ScalerState {
  Value isDynamic, scale, hysteresis, goodSteps;

  ScalerState(ValueBuilder &b, TrainingGlobals &globals) {
    Type f32 = b.builder.getF32Type(), i64 = b.builder.getI64Type();
    isDynamic = b.compare(ComparePredicate::eq, globals.get(b, "rt.loss_scale"), 0.0);
    Value stored = globals.get(b, globals.scalarState("loss_scale", f32));
    // A power of two exactly, which pow need not give.
    Value power = globals.get(b, "rt.initial_scale_power");
    Value initial = b.cast(b.create<ShiftLeftOp>(b.scalar(1, power), power), f32);
    scale = b.select(b.compare(ComparePredicate::eq, stored, 0.0), initial, stored);
    Value left = globals.get(b, globals.scalarState("hysteresis", i64));
    hysteresis =
        b.select(b.compare(ComparePredicate::eq, left, 0.0), globals.get(b, "rt.hysteresis"), left);
    goodSteps = globals.get(b, globals.scalarState("good_steps", i64));
  }
};
} // namespace

Value dsc::currentLossScale(ValueBuilder &b, TrainingGlobals &globals) {
  ScalerState state(b, globals);
  return b.select(state.isDynamic, state.scale, globals.get(b, "rt.loss_scale"));
}

Value dsc::updateLossScale(ValueBuilder &b, TrainingGlobals &globals, Value overflow) {
  ScalerState state(b, globals);
  Value scale = state.scale, h = state.hysteresis, good = state.goodSteps;
  Value full = globals.get(b, "rt.hysteresis"), minimum = globals.get(b, "rt.min_loss_scale");
  auto isOne = [&](Value x) { return b.compare(ComparePredicate::eq, x, 1.0); };

  // Overflow: the first ones only use up the hysteresis, which comes back when the scale grows.
  Value lowers = b.create<OrOp>(isOne(full), isOne(h));
  Value halved = b.create<MaxOp>(b.mul(scale, 0.5), minimum);
  Value lowered = b.select(lowers, halved, scale);
  Value used = b.select(lowers, h, b.add(h, -1));

  // A clean step: the scale doubles after each window of them.
  Value rest = b.create<ModOp>(good, globals.get(b, "rt.loss_scale_window"), false);
  Value grows = b.create<AndOp>(b.compare(ComparePredicate::gt, good, 0.0),
                                b.compare(ComparePredicate::eq, rest, 0.0));
  Value doubled = b.create<MinOp>(b.mul(scale, 2), b.scalar(kLargestScale, scale));
  Value grown = b.select(grows, doubled, scale);
  Value consecutive =
      b.compare(ComparePredicate::ne, globals.get(b, "rt.consecutive_hysteresis"), 0.0);
  Value restored = b.select(b.create<OrOp>(consecutive, grows), full, h);

  auto keep = [&](StringRef name, Value onOverflow, Value onClean, Value before) {
    Value moved = b.select(overflow, onOverflow, onClean);
    globals.set(b, globals.scalarState(name, tensorType(before).getElementType()),
                b.select(state.isDynamic, moved, before));
  };
  keep("loss_scale", lowered, grown, scale);
  keep("hysteresis", used, restored, h);
  keep("good_steps", b.scalar(0, good), b.add(good, 1), good);

  Value atMinimum = b.compare(ComparePredicate::le, scale, minimum);
  return b.create<AndOp>(b.create<AndOp>(overflow, state.isDynamic),
                         b.create<AndOp>(lowers, atMinimum));
}
