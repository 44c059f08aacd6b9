// Gradient norm, clipping and the optimizer ops. Run-time values are read from globals, so that one
// program serves every learning rate; the norm is one sum a chunk added by one tree
// (runtime/abi.h), so that its bits depend on no bucket.

#include "passes/autodiff/AppendOptimizer.h"

#include "passes/autodiff/AppendSchedule.h"
#include "passes/autodiff/LossScale.h"

#include "llvm/ADT/StringMap.h"

#include <limits>

using namespace mlir;
using namespace dsc;

/// x is neither infinite nor NaN: comparisons with NaN are false.
static Value isFinite(ValueBuilder &b, Value x) {
  Value limit = b.create<ConstantOp>(DenseElementsAttr::get(
      RankedTensorType::get({}, tensorType(x).getElementType()),
      APFloat::getLargest(cast<FloatType>(tensorType(x).getElementType()).getFloatSemantics())));
  return b.compare(ComparePredicate::le, b.create<AbsOp>(x), limit);
}

/// sqrt of the sum of squares of all gradients
static Value gradientNorm(ValueBuilder &b, ArrayRef<ParameterGradient> parameters, Type element) {
  SmallVector<Value> parts;
  for (const ParameterGradient &entry : parameters) {
    parts.push_back(b.cast(b.create<ChunkSquaresOp>(entry.gradient), element));
  }
  Value all = parts.size() == 1 ? parts.front() : b.create<ConcatOp>(parts, 0).getResult();
  return b.create<SqrtOp>(b.sum(all));
}

/// clip > 0 ? min(1, clip / (norm + 1e-6)) : 1, as torch.nn.utils.clip_grad_norm_ and DeepSpeed
static Value clipScale(ValueBuilder &b, Value clip, Value norm) {
  Value one = b.scalar(1, clip);
  Value coefficient = b.create<MinOp>(b.div(clip, b.add(norm, 1e-6)), one);
  return b.select(b.compare(ComparePredicate::gt, clip, 0.0), coefficient, one);
}

namespace {
/// The numbers that all updates of a step share.
struct StepNumbers {
  ScheduledNumbers schedule;
  Value t, scale, ok;
};

/// Writes the update of one parameter after the other.
class Updater {
public:
  Updater(ValueBuilder &b, TrainingGlobals &globals, const CompileOptions &options,
          StepNumbers numbers)
      : b(b), globals(globals), options(options), n(std::move(numbers)) {}

  void update(const ParameterGradient &entry);

private:
  ValueBuilder &b;
  TrainingGlobals &globals;
  const CompileOptions &options;
  StepNumbers n;
  // Of the parameter under way.
  ParameterGradient of;
  Value lr, decay;
  llvm::StringMap<Value> runtimeValues;

  Type type() { return of.parameter.getType(); }
  /// Read once for all parameters, which makes their updates alike.
  Value runtime(StringRef name) {
    Value &value = runtimeValues[name];
    value = value ? value : globals.get(b, name);
    return value;
  }
  GlobalOp state(StringRef kind, double start = 0) {
    return globals.stateOf(of.parameter, kind, {}, start);
  }
  void adam(bool decoupled);
  void sgd();
  void lion();
  void adagrad();
  void lamb();
};
} // namespace

void Updater::adam(bool decoupled) {
  GlobalOp m = state("exp_avg"), v = state("exp_avg_sq");
  auto update =
      b.create<AdamOp>(type(), type(), type(), Type(), of.value, of.gradient, globals.get(b, m),
                       globals.get(b, v), n.t, lr, n.schedule.beta1, n.schedule.beta2,
                       runtime("rt.epsilon"), decay, n.scale, n.ok, decoupled);
  globals.set(b, of.parameter, update.getNewParam());
  globals.set(b, m, update.getNewM());
  globals.set(b, v, update.getNewV());
}

void Updater::sgd() {
  GlobalOp buffer = state("momentum_buffer");
  auto update = b.create<SgdOp>(type(), type(), Type(), of.value, of.gradient,
                                globals.get(b, buffer), n.t, lr, runtime("rt.momentum"),
                                runtime("rt.dampening"), decay, n.scale, n.ok, options.nesterov);
  globals.set(b, of.parameter, update.getNewParam());
  globals.set(b, buffer, update.getNewBuffer());
}

void Updater::lion() {
  GlobalOp m = state("exp_avg");
  auto update = b.create<LionOp>(type(), type(), Type(), of.value, of.gradient, globals.get(b, m),
                                 lr, n.schedule.beta1, n.schedule.beta2, decay, n.scale, n.ok);
  globals.set(b, of.parameter, update.getNewParam());
  globals.set(b, m, update.getNewM());
}

void Updater::adagrad() {
  GlobalOp sum = state("sum", options.initialAccumulator);
  auto update =
      b.create<AdagradOp>(type(), type(), Type(), of.value, of.gradient, globals.get(b, sum), n.t,
                          lr, runtime("rt.lr_decay"), runtime("rt.epsilon"), decay, n.scale, n.ok);
  globals.set(b, of.parameter, update.getNewParam());
  globals.set(b, sum, update.getNewSum());
}

/// sqrt of the sum of squares of one tensor, from the sums of its chunks
static Value normOf(ValueBuilder &b, Value x) {
  return b.create<SqrtOp>(b.sum(b.create<ChunkSquaresOp>(x)));
}

/// The norms are those of whole parameters; where either is 0, the trust ratio is 1.
void Updater::lamb() {
  GlobalOp m = state("exp_avg"), v = state("exp_avg_sq");
  auto direction = b.create<LambOp>(type(), type(), type(), of.value, of.gradient,
                                    globals.get(b, m), globals.get(b, v), n.schedule.beta1,
                                    n.schedule.beta2, runtime("rt.epsilon"), decay, n.scale, n.ok);
  Value weight = normOf(b, of.value), length = normOf(b, direction.getDirection());
  auto isPositive = [&](Value x) { return b.compare(ComparePredicate::gt, x, 0.0); };
  Value limited = b.create<MaxOp>(
      b.create<MinOp>(b.div(weight, length),
                      b.cast(runtime("rt.max_coeff"), tensorType(weight).getElementType())),
      b.cast(runtime("rt.min_coeff"), tensorType(weight).getElementType()));
  Value ratio = b.select(b.create<AndOp>(isPositive(weight), isPositive(length)), limited,
                         b.scalar(1, limited));
  // FusedLamb's step size: lr sqrt(1 - beta2^t) / (1 - beta1^t), the powers in f64.
  Type f64 = b.builder.getF64Type(), f32 = b.builder.getF32Type();
  auto bias = [&](Value beta) {
    Value power = b.create<PowOp>(b.cast(beta, f64), b.cast(n.t, f64));
    return b.sub(b.scalar(1, power), power);
  };
  Value correction =
      b.cast(b.div(b.create<SqrtOp>(bias(n.schedule.beta2)), bias(n.schedule.beta1)), f32);
  Value size = b.mul(b.mul(lr, correction), b.cast(ratio, f32));
  auto step = b.create<LambStepOp>(type(), Type(), of.value, direction.getDirection(), size, n.ok);
  globals.set(b, of.parameter, step.getNewParam());
  globals.set(b, m, direction.getNewM());
  globals.set(b, v, direction.getNewV());
}

void Updater::update(const ParameterGradient &entry) {
  of = entry;
  b.loc = NameLoc::get(of.parameter.getSymNameAttr());
  // A group's own rate is what the schedule starts from, as with PyTorch's param_groups.
  Value own = globals.get(b, globals.numberOf(of.parameter, "lr", options.lr));
  lr = b.add(n.schedule.offset, b.mul(n.schedule.factor, own));
  decay = globals.get(b, globals.numberOf(of.parameter, "weight_decay", options.weightDecay));
  const std::string &kind = options.optimizer;
  if (kind == "sgd") {
    sgd();
  } else if (kind == "lion") {
    lion();
  } else if (kind == "adagrad") {
    adagrad();
  } else if (kind == "lamb") {
    lamb();
  } else {
    adam(/*decoupled=*/kind == "adamw");
  }
}

UpdateResult dsc::appendOptimizer(OpBuilder &builder, TrainingGlobals &globals,
                                  const CompileOptions &options,
                                  ArrayRef<ParameterGradient> parameters, Value loss,
                                  Value lossScale) {
  ValueBuilder b(builder, NameLoc::get(builder.getStringAttr("optimizer")));
  Type f32 = builder.getF32Type();
  UpdateResult result;
  bool allWide = llvm::all_of(parameters, [](const ParameterGradient &entry) {
    return tensorType(entry.gradient).getElementType().isF64();
  });
  result.norm = gradientNorm(b, parameters, allWide ? Type(builder.getF64Type()) : f32);
  if (lossScale) {
    result.norm = b.div(result.norm, b.cast(lossScale, tensorType(result.norm).getElementType()));
  }
  result.ok = b.create<AndOp>(isFinite(b, loss), isFinite(b, result.norm));

  Value scale = clipScale(b, globals.get(b, "rt.clip"), b.cast(result.norm, f32));
  if (lossScale) {
    scale = b.div(scale, lossScale);
    Value overflow = b.create<NotOp>(isFinite(b, result.norm));
    result.scaleExhausted = updateLossScale(b, globals, overflow);
  }
  GlobalOp stepCount = globals.scalarState("step", f32);
  Value applied = globals.get(b, stepCount), t = b.add(applied, 1);
  globals.set(b, stepCount, b.select(result.ok, t, applied));
  Updater updater(b, globals, options, {appendSchedule(b, globals, applied), t, scale, result.ok});
  for (const ParameterGradient &entry : parameters) {
    updater.update(entry);
  }
  return result;
}
