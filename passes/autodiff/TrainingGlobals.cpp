// Declarations and accesses of run-time values and state.

#include "passes/autodiff/TrainingGlobals.h"

#include "ir/ScheduleTable.h"

using namespace mlir;
using namespace dsc;

TrainingGlobals::TrainingGlobals(ModuleOp module) : module(module), table(module) {}

GlobalOp TrainingGlobals::declare(StringRef name, RankedTensorType type, GlobalRole role,
                                  double value, GlobalOp of, StringRef kind) {
  OpBuilder builder(module.getContext());
  if (auto functions = module.getOps<func::FuncOp>(); !functions.empty()) {
    builder.setInsertionPoint(*functions.begin());
  } else {
    builder.setInsertionPointToEnd(module.getBody());
  }
  Type element = type.getElementType();
  Attribute fill = isa<FloatType>(element)
                       ? Attribute(builder.getFloatAttr(element, value))
                       : Attribute(builder.getIntegerAttr(element, static_cast<int64_t>(value)));
  auto global = builder.create<GlobalOp>(
      builder.getUnknownLoc(), builder.getStringAttr(name), TypeAttr::get(type),
      GlobalRoleAttr::get(module.getContext(), role), DenseElementsAttr::get(type, fill),
      SourceAttr(), ArrayAttr(), StringAttr(),
      of ? FlatSymbolRefAttr::get(of.getSymNameAttr()) : FlatSymbolRefAttr(),
      kind.empty() ? StringAttr() : builder.getStringAttr(kind), SlotAttr(), StorageAttr(),
      PlaceAttr(), UnitAttr());
  // A model may have a parameter of this name; `of` and `slot_kind` say what the global is,
  // whatever it is called.
  table.insert(global, Block::iterator(global));
  return global;
}

LogicalResult TrainingGlobals::declareRuntime(StringRef name, RankedTensorType type, double value) {
  GlobalOp known = lookup(name);
  if (!known) {
    declare(name, type, GlobalRole::runtime, value, {}, {});
    return success();
  }
  if (known.getType() != type || known.getRole() != GlobalRole::runtime) {
    return known.emitError() << "global '" << name << "' is " << known.getType() << " of role "
                             << stringifyGlobalRole(known.getRole())
                             << ", the name is reserved for a run-time value " << type;
  }
  return success();
}

LogicalResult TrainingGlobals::declareRuntimeValues(const CompileOptions &options) {
  Builder b(module.getContext());
  struct Entry {
    StringRef name;
    Type element;
    double value;
    bool present = true;
  };
  const bool scales = options.precision == "fp16", sgd = options.optimizer == "sgd",
             adagrad = options.optimizer == "adagrad", lamb = options.optimizer == "lamb",
             hasBetas = !sgd && !adagrad, hasEpsilon = !sgd && options.optimizer != "lion";
  Type f32 = b.getF32Type(), i64 = b.getI64Type();
  const Entry entries[] = {
      {"rt.lr", f32, options.lr},
      {"rt.beta1", f32, options.beta1, hasBetas},
      {"rt.beta2", f32, options.beta2, hasBetas},
      {"rt.epsilon", f32, options.epsilon, hasEpsilon},
      {"rt.momentum", f32, options.momentum, sgd},
      {"rt.dampening", f32, options.dampening, sgd},
      {"rt.lr_decay", f32, options.lrDecay, adagrad},
      {"rt.min_coeff", f32, options.minCoeff, lamb},
      {"rt.max_coeff", f32, options.maxCoeff, lamb},
      {"rt.weight_decay", f32, options.weightDecay},
      {"rt.clip", f32, options.clip},
      {"rt.loss_scale", f32, options.lossScale, scales},
      {"rt.initial_scale_power", i64, static_cast<double>(options.initialScalePower), scales},
      {"rt.loss_scale_window", i64, static_cast<double>(options.lossScaleWindow), scales},
      {"rt.hysteresis", i64, static_cast<double>(options.hysteresis), scales},
      {"rt.min_loss_scale", f32, options.minLossScale, scales},
      {"rt.consecutive_hysteresis", i64, options.consecutiveHysteresis ? 1.0 : 0.0, scales},
      {"rt.seed", i64, static_cast<double>(options.seed)},
      {"rt.step", i64, 0},
      {"rt.sample_base", i64, 0},
      {"rt.micro_batches", f32, 1},
      {"rt.micro_index", i64, 0},
      {"rt.ranks", f32, 1, options.maxRanks > 1},
  };
  for (const Entry &entry : entries) {
    auto type = RankedTensorType::get({}, entry.element);
    if (entry.present && failed(declareRuntime(entry.name, type, entry.value))) {
      return failure();
    }
  }
  return declareRuntime(
      "rt.schedule",
      RankedTensorType::get({DSC_SCHEDULE_ROWS, DSC_SCHEDULE_PIECES}, b.getF64Type()), 0);
}

GlobalOp TrainingGlobals::numberOf(GlobalOp of, StringRef kind, double value) {
  Builder b(module.getContext());
  std::string name = (of.getSymName() + "." + kind).str();
  GlobalOp &global = declared[b.getStringAttr(name)];
  if (!global) {
    global = declare(name, RankedTensorType::get({}, b.getF32Type()), GlobalRole::runtime, value,
                     of, kind);
  }
  return global;
}

GlobalOp TrainingGlobals::stateOf(GlobalOp of, StringRef kind, Type element, double start) {
  Builder b(module.getContext());
  std::string name = (of.getSymName() + "." + kind).str();
  GlobalOp &global = declared[b.getStringAttr(name)];
  if (!global) {
    RankedTensorType type = of.getTensorType();
    global =
        declare(name, element ? type.clone(element) : type, GlobalRole::state, start, of, kind);
  }
  return global;
}

GlobalOp TrainingGlobals::scalarState(StringRef name, Type element) {
  Builder b(module.getContext());
  std::string full = ("state." + name).str();
  GlobalOp &global = declared[b.getStringAttr(full)];
  if (!global) {
    global = declare(full, RankedTensorType::get({}, element), GlobalRole::state, 0, {}, {});
  }
  return global;
}

Value TrainingGlobals::get(ValueBuilder &b, GlobalOp global) {
  return b.create<GetGlobalOp>(global.getTensorType(),
                               FlatSymbolRefAttr::get(global.getSymNameAttr()));
}

void TrainingGlobals::set(ValueBuilder &b, GlobalOp global, Value value) {
  b.create<SetGlobalOp>(FlatSymbolRefAttr::get(global.getSymNameAttr()), value);
}
