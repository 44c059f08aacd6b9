// Gradient norm, clipping and the optimizer ops. Run-time values are read from globals, so that one
// program serves every learning rate; the norm is one sum a chunk added by one tree
// (runtime/abi.h), so that its bits depend on no bucket.

#include "passes/autodiff/AppendOptimizer.h"

#include "passes/autodiff/LossScale.h"

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
  Value lr = globals.get(b, "rt.lr"), decay = globals.get(b, "rt.weight_decay");
  bool sgd = options.optimizer == "sgd";
  Value first = globals.get(b, sgd ? "rt.momentum" : "rt.beta1");
  Value second = globals.get(b, sgd ? "rt.dampening" : "rt.beta2");
  Value epsilon = sgd ? Value() : globals.get(b, "rt.epsilon");

  for (const ParameterGradient &entry : parameters) {
    GlobalOp parameter = entry.parameter;
    b.loc = NameLoc::get(parameter.getSymNameAttr());
    Type type = parameter.getType();
    if (sgd) {
      GlobalOp buffer = globals.stateOf(parameter, "momentum_buffer");
      auto update =
          b.create<SgdOp>(type, type, Type(), entry.value, entry.gradient, globals.get(b, buffer),
                          t, lr, first, second, decay, scale, result.ok, options.nesterov);
      globals.set(b, parameter, update.getNewParam());
      globals.set(b, buffer, update.getNewBuffer());
      continue;
    }
    GlobalOp m = globals.stateOf(parameter, "exp_avg"),
             v = globals.stateOf(parameter, "exp_avg_sq");
    auto update = b.create<AdamOp>(type, type, type, Type(), entry.value, entry.gradient,
                                   globals.get(b, m), globals.get(b, v), t, lr, first, second,
                                   epsilon, decay, scale, result.ok, options.optimizer == "adamw");
    globals.set(b, parameter, update.getNewParam());
    globals.set(b, m, update.getNewM());
    globals.set(b, v, update.getNewV());
  }
  return result;
}
