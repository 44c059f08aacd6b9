// CompileOptions <-> the module attribute `dsc.options`, through one list of fields.

#include "ir/Options.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kOptionsAttr = "dsc.options";

/// Calls `visit(key, field)` for every option.
template <typename Options, typename Visitor> static void forEachOption(Options &o, Visitor visit) {
  visit("target", o.target);
  visit("cpu", o.cpu);
  visit("arch", o.arch);
  visit("loss", o.loss);
  visit("output", o.output);
  visit("labels", o.labels);
  visit("shift_labels", o.shiftLabels);
  visit("ignore_index", o.ignoreIndex);
  visit("label_smoothing", o.labelSmoothing);
  visit("loss_mean", o.lossMean);
  visit("optimizer", o.optimizer);
  visit("initial_accumulator", o.initialAccumulator);
  visit("accumulate", o.accumulate);
  visit("batch_norm", o.batchNorm);
  visit("dropout", o.dropout);
  visit("deterministic", o.deterministic);
  visit("zero", o.zero);
  visit("precision", o.precision);
  visit("recompute", o.recompute);
  visit("max_ranks", o.maxRanks);
  visit("bucket_bytes", o.bucketBytes);
  visit("lr", o.lr);
  visit("weight_decay", o.weightDecay);
  visit("beta1", o.beta1);
  visit("beta2", o.beta2);
  visit("epsilon", o.epsilon);
  visit("momentum", o.momentum);
  visit("dampening", o.dampening);
  visit("lr_decay", o.lrDecay);
  visit("min_coeff", o.minCoeff);
  visit("max_coeff", o.maxCoeff);
  visit("nesterov", o.nesterov);
  visit("clip", o.clip);
  visit("loss_scale", o.lossScale);
  visit("initial_scale_power", o.initialScalePower);
  visit("loss_scale_window", o.lossScaleWindow);
  visit("hysteresis", o.hysteresis);
  visit("min_loss_scale", o.minLossScale);
  visit("consecutive_hysteresis", o.consecutiveHysteresis);
  visit("seed", o.seed);
  visit("schedule", o.schedule);
  visit("groups", o.groups);
  visit("no_decay", o.noDecay);
}

DictionaryAttr CompileOptions::toAttribute(MLIRContext *context) const {
  Builder b(context);
  SmallVector<NamedAttribute> attributes;
  auto add = [&](StringRef key, const auto &field) {
    using T = std::decay_t<decltype(field)>;
    Attribute value;
    if constexpr (std::is_same_v<T, std::string>) {
      value = b.getStringAttr(field);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      value = b.getStrArrayAttr(SmallVector<StringRef>(field.begin(), field.end()));
    } else if constexpr (std::is_same_v<T, bool>) {
      value = b.getBoolAttr(field);
    } else if constexpr (std::is_same_v<T, int64_t>) {
      value = b.getI64IntegerAttr(field);
    } else {
      value = b.getF64FloatAttr(field);
    }
    attributes.push_back(b.getNamedAttr(key, value));
  };
  forEachOption(*this, add);
  return b.getDictionaryAttr(attributes);
}

FailureOr<CompileOptions> CompileOptions::from(ModuleOp module) {
  CompileOptions options;
  auto dictionary = module->getAttrOfType<DictionaryAttr>(kOptionsAttr);
  if (!dictionary) {
    return options;
  }
  size_t known = 0;
  bool ok = true;
  auto read = [&](StringRef key, auto &field) {
    using T = std::decay_t<decltype(field)>;
    Attribute value = dictionary.get(key);
    if (!value) {
      return;
    }
    ++known;
    if constexpr (std::is_same_v<T, std::string>) {
      auto typed = dyn_cast<StringAttr>(value);
      ok = ok && typed;
      field = typed ? typed.getValue().str() : field;
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      auto typed = dyn_cast<ArrayAttr>(value);
      ok = ok && typed && llvm::all_of(typed, llvm::IsaPred<StringAttr>);
      field.clear();
      for (Attribute text : ok ? typed.getValue() : ArrayRef<Attribute>()) {
        field.push_back(cast<StringAttr>(text).str());
      }
    } else if constexpr (std::is_same_v<T, bool>) {
      auto typed = dyn_cast<BoolAttr>(value);
      ok = ok && typed;
      field = typed ? typed.getValue() : field;
    } else if constexpr (std::is_same_v<T, int64_t>) {
      auto typed = dyn_cast<IntegerAttr>(value);
      ok = ok && typed && typed.getType().isInteger(64);
      field = ok ? typed.getInt() : field;
    } else {
      auto typed = dyn_cast<FloatAttr>(value);
      ok = ok && typed;
      field = typed ? typed.getValueAsDouble() : field;
    }
    if (!ok) {
      module.emitError("option '")
          << key << "' in " << kOptionsAttr << " has the wrong type: " << value;
    }
  };
  forEachOption(options, read);
  if (ok && known != dictionary.size()) {
    module.emitError() << kOptionsAttr << " holds an unknown option";
    ok = false;
  }
  if (!ok) {
    return failure();
  }
  return options;
}
