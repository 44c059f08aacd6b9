// Manifest from globals, entry signatures and the memory plan.

#include "codegen/Manifest.h"

#include "codegen/HostProgram.h"
#include "ir/Cost.h"
#include "ir/Evaluate.h"
#include "ir/Options.h"
#include "ir/Phase.h"
#include "ir/Storage.h"
#include "runtime/abi.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace dsc;

static std::string dtypeName(Type element) {
  if (isa<FloatType>(element)) {
    return element.isBF16() ? "bf16" : "f" + std::to_string(element.getIntOrFloatBitWidth());
  }
  unsigned width = element.getIntOrFloatBitWidth();
  return width == 1 ? "bool" : (element.isUnsignedInteger() ? "u" : "i") + std::to_string(width);
}

static llvm::json::Array shapeOf(RankedTensorType type) {
  llvm::json::Array shape;
  for (int64_t size : type.getShape()) {
    shape.push_back(size);
  }
  return shape;
}

static llvm::json::Object tensorObject(StringRef name, RankedTensorType type, SlotAttr slot) {
  return llvm::json::Object{{"name", name.str()},
                            {"dtype", dtypeName(type.getElementType())},
                            {"shape", shapeOf(type)},
                            {"space", stringifySpace(slot.getSpace()).str()},
                            {"offset", slot.getOffset()}};
}

//===----------------------------------------------------------------------===//
// Locations
//===----------------------------------------------------------------------===//

/// Names of the ONNX nodes in a location, in order, each once.
static void collectNodeNames(Location loc, llvm::SetVector<StringAttr> &names) {
  if (auto name = dyn_cast<NameLoc>(loc)) {
    if (isa<NameLoc, FusedLoc>(name.getChildLoc())) {
      collectNodeNames(name.getChildLoc(),
                       names); // a role such as "grad" around the forward op's location
    } else {
      names.insert(name.getName());
    }
  } else if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations()) {
      collectNodeNames(part, names);
    }
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    collectNodeNames(call.getCallee(), names);
  }
}

//===----------------------------------------------------------------------===//
// Parts of the manifest
//===----------------------------------------------------------------------===//

/// The object of `part`, which lies in a tensor laid out like its storing global.
static llvm::json::Object partObject(const Twine &name, GlobalOp part, RankedTensorType storing,
                                     SlotAttr slot) {
  RankedTensorType type = part.getTensorType().clone(storing.getElementType());
  StoredPart place = storedPart(part, storing);
  llvm::json::Object object = tensorObject(name.str(), type, slot);
  object["offset"] = slot.getOffset() + place.offset * elementBytes(type.getElementType());
  if (place.strides != rowMajorStrides(type.getShape())) {
    object["strides"] = llvm::json::Array(place.strides);
  }
  return object;
}

/// What `global` says of itself, but for its place.
static void describeGlobal(GlobalOp global, llvm::json::Object &object) {
  object["role"] = stringifyGlobalRole(global.getRole()).str();
  if (auto names = global.getOnnxNames()) {
    llvm::json::Array list;
    for (auto name : names->getAsRange<StringAttr>()) {
      list.push_back(name.getValue().str());
    }
    object["onnx_names"] = std::move(list);
  }
  if (auto reason = global.getReason()) {
    object["reason"] = reason->str();
  }
  if (auto of = global.getOf()) {
    object["of"] = of->str();
  }
  if (auto kind = global.getSlotKind()) {
    object["kind"] = kind->str();
  }
  if (auto source = global.getSource()) {
    object["init"] = llvm::json::Object{{"weights", source->getName().str()}};
  } else if (auto init = global->getAttrOfType<DictionaryAttr>("dsc.init")) {
    for (NamedAttribute entry : init) { // uniform or normal, and how wide
      object["init"] = llvm::json::Object{
          {entry.getName().getValue(), cast<FloatAttr>(entry.getValue()).getValueAsDouble()}};
    }
  } else if (auto value = dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr());
             value && value.isSplat()) {
    double fill = isa<FloatType>(global.getTensorType().getElementType())
                      ? value.getSplatValue<APFloat>().convertToDouble()
                      : value.getSplatValue<APInt>().getSExtValue();
    object["init"] = llvm::json::Object{{"fill", fill}};
  }
}

/// Whether `global` is what the runner fills for an update: the schedule, or a number of a
/// parameter.
static bool isOfUpdates(GlobalOp global) {
  return global.getRole() == GlobalRole::runtime &&
         (global.getOf() || global.getTensorType().getRank() > 0);
}

/// What each parameter's update has of its own, by the names that the user knows.
static llvm::json::Array updatesOf(ModuleOp module) {
  llvm::MapVector<StringAttr, SmallVector<GlobalOp>> parts = storedParts(module);
  llvm::MapVector<StringAttr, llvm::json::Object> updates;
  SymbolTable symbols(module);
  for (auto global : module.getOps<GlobalOp>()) {
    auto of = global.getOf() ? symbols.lookup<GlobalOp>(*global.getOf()) : nullptr;
    bool isFlat = of && !global.getWithin() && global.getTensorType().getRank() > 0;
    if (!of || !isOfUpdates(global) || isFlat) {
      continue;
    }
    auto [entry, isNew] = updates.try_emplace(of.getSymNameAttr());
    llvm::json::Object &update = entry->second;
    if (isNew) {
      llvm::json::Array names, uses;
      SmallVector<GlobalOp> members = parts.lookup(of.getSymNameAttr());
      for (GlobalOp each : members.empty() ? SmallVector<GlobalOp>{of} : members) {
        names.push_back(each.getSymName().str());
      }
      if (auto words = of->getAttrOfType<ArrayAttr>("dsc.use")) {
        for (auto word : words.getAsRange<StringAttr>()) {
          uses.push_back(word.getValue().str());
        }
      }
      update["parameters"] = std::move(names);
      update["use"] = std::move(uses);
    }
    update[*global.getSlotKind()] =
        tensorObject(global.getSymName(), global.getTensorType(), *global.getSlot());
  }
  llvm::json::Array list;
  for (auto &[name, update] : updates) {
    list.push_back(std::move(update));
  }
  return list;
}

/// Globals as the user knows them: the parts of a storing global and of its state take its place.
static llvm::json::Array globalsOf(ModuleOp module) {
  llvm::json::Array globals;
  llvm::MapVector<StringAttr, SmallVector<GlobalOp>> parts = storedParts(module);
  llvm::DenseSet<Attribute> flat; // storage of others, which the user does not know
  for (auto global : module.getOps<GlobalOp>()) {
    if (std::optional<PlaceAttr> place = global.getWithin()) {
      flat.insert(place->getFlat().getAttr());
    }
  }
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() == GlobalRole::constant || global.getStorage() || isOfUpdates(global) ||
        flat.contains(global.getSymNameAttr())) {
      continue;
    }
    RankedTensorType type = global.getTensorType();
    for (GlobalOp part : parts.lookup(global.getSymNameAttr())) {
      llvm::json::Object object = partObject(part.getSymName(), part, type, *global.getSlot());
      describeGlobal(part, object);
      globals.push_back(std::move(object));
    }
    if (parts.contains(global.getSymNameAttr())) {
      continue;
    }
    if (StringAttr of = global.getOfAttr() ? global.getOfAttr().getAttr() : StringAttr();
        of && parts.contains(of)) {
      StringRef suffix =
          global.getSlotKind() ? *global.getSlotKind() : stringifyGlobalRole(global.getRole());
      for (GlobalOp part : parts.lookup(of)) {
        llvm::json::Object object =
            partObject(part.getSymName() + "." + suffix, part, type, *global.getSlot());
        describeGlobal(global, object);
        object["of"] = part.getSymName().str();
        globals.push_back(std::move(object));
      }
      continue;
    }
    llvm::json::Object object = tensorObject(global.getSymName(), type, *global.getSlot());
    object["bytes"] = tensorBytes(type);
    describeGlobal(global, object);
    globals.push_back(std::move(object));
  }
  return globals;
}

static llvm::json::Array inputsOf(ModuleOp module) {
  llvm::json::Array inputs;
  llvm::StringSet<> seen;
  for (func::FuncOp entry : entriesOf(module)) {
    for (BlockArgument argument : entry.getArguments()) {
      unsigned i = argument.getArgNumber();
      auto name = entry.getArgAttrOfType<StringAttr>(i, "dsc.name");
      if (!name || !seen.insert(name.getValue()).second) {
        continue;
      }
      llvm::json::Object object =
          tensorObject(name.getValue(), cast<RankedTensorType>(argument.getType()),
                       entry.getArgAttrOfType<SlotAttr>(i, "dsc.slot"));
      auto role = entry.getArgAttrOfType<StringAttr>(i, "dsc.role");
      object["role"] = role ? role.getValue().str() : "input";
      if (auto classes = entry.getArgAttrOfType<IntegerAttr>(i, "dsc.classes")) {
        object["classes"] = classes.getInt();
      }
      inputs.push_back(std::move(object));
    }
  }
  return inputs;
}

static llvm::json::Array resultsOf(func::FuncOp entry) {
  llvm::json::Array results;
  for (auto [i, type] : llvm::enumerate(entry.getResultTypes())) {
    auto name = entry.getResultAttrOfType<StringAttr>(i, "dsc.name");
    auto slot = entry.getResultAttrOfType<SlotAttr>(i, "dsc.slot");
    if (name && slot) {
      results.push_back(tensorObject(name.getValue(), cast<RankedTensorType>(type), slot));
    }
  }
  return results;
}

/// What stands at the end of backward: gradients of parameters, or (`kept`) what --keep-values
/// kept.
static llvm::json::Array gradientsOf(func::FuncOp entry, bool kept) {
  llvm::json::Array list;
  llvm::MapVector<StringAttr, SmallVector<GlobalOp>> parts =
      storedParts(entry->getParentOfType<ModuleOp>());
  for (auto boundary : entry.getOps<GradientsOp>()) {
    size_t parameters = boundary.getGradients().size() - boundary.getKept();
    for (auto [i, value] : llvm::enumerate(boundary.getGradients())) {
      if ((i >= parameters) != kept) {
        continue;
      }
      SlotAttr slot;
      if (auto argument = dyn_cast<BlockArgument>(value)) {
        slot = entry.getArgAttrOfType<SlotAttr>(argument.getArgNumber(), "dsc.slot");
      } else {
        auto result = cast<OpResult>(value);
        auto slots = result.getOwner()->getAttrOfType<ArrayAttr>("dsc.slots");
        slot = cast<SlotAttr>(slots[result.getResultNumber()]);
      }
      auto name = cast<StringAttr>(boundary.getNames()[i]);
      auto type = cast<RankedTensorType>(value.getType());
      if (kept || !parts.contains(name)) {
        list.push_back(tensorObject(name.getValue(), type, slot));
        continue;
      }
      for (GlobalOp part : parts.lookup(name)) {
        list.push_back(partObject(part.getSymName(), part, type, slot));
      }
    }
  }
  return list;
}

static llvm::json::Array opsOf(ModuleOp module) {
  llvm::DenseMap<Operation *, int32_t> numbers = numberRuntimeOps(module);
  std::vector<Operation *> ops(numbers.size());
  for (auto [op, number] : numbers) {
    ops[number] = op;
  }
  llvm::json::Array list;
  for (Operation *op : ops) {
    llvm::SetVector<StringAttr> names;
    collectNodeNames(op->getLoc(), names);
    llvm::json::Array onnx;
    for (StringAttr name : names) {
      onnx.push_back(name.getValue().str());
    }
    std::string kind = op->getName().stripDialect().str(), title = kind;
    int64_t launches = 1;
    if (auto launch = dyn_cast<LaunchOp>(op)) {
      launches = static_cast<int64_t>(launch.getKernels().size());
      kind = title = cast<FlatSymbolRefAttr>(launch.getKernels()[0]).getValue().str();
    }
    if (!names.empty()) {
      title += " " + names.front().getValue().str();
    }
    Cost cost = costOf(op);
    llvm::json::Array results;
    auto slots = op->getAttrOfType<ArrayAttr>("dsc.slots");
    for (auto [i, result] : llvm::enumerate(op->getResults())) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (slots && type && isa<FloatType>(type.getElementType())) {
        results.push_back(tensorObject(std::to_string(i), type, cast<SlotAttr>(slots[i])));
      }
    }
    list.push_back(
        llvm::json::Object{{"name", title},
                           {"kind", kind},
                           {"entry", op->getParentOfType<func::FuncOp>().getName().str()},
                           {"onnx", std::move(onnx)},
                           {"launches", launches},
                           {"flops", cost.flops},
                           {"bytes", cost.bytes},
                           {"results", std::move(results)}});
  }
  return list;
}

namespace {
struct RunTimeValue {
  const char *name;
  const char *global;
  const char *flag;
  const char *help;
  double below = 0;        // an exclusive upper bound, 0 = none
  double least = 0;        // a lower bound
  bool aboveLeast = false; // which is not allowed itself
};
} // namespace

/// The run-time values of contract section 3 that a program may hold; those whose global exists are
/// offered.
static const RunTimeValue kRunTimeValues[] = {
    {"lr", "rt.lr", "--lr", "learning rate", 0},
    {"weight-decay", "rt.weight_decay", "--weight-decay", "weight decay", 0},
    {"beta1", "rt.beta1", "--beta1", "decay of the first moment; Lion: of the momentum it follows",
     1},
    {"beta2", "rt.beta2", "--beta2", "decay of the second moment; Lion: of the momentum it keeps",
     1},
    {"eps", "rt.epsilon", "--eps", "added to the root of the second moment", 0},
    {"lr-decay", "rt.lr_decay", "--lr-decay", "Adagrad: step t goes by lr / (1 + (t - 1) this)", 0},
    {"min-coeff", "rt.min_coeff", "--min-coeff", "LAMB: least trust ratio", 0},
    {"max-coeff", "rt.max_coeff", "--max-coeff", "LAMB: largest trust ratio", 0},
    {"momentum", "rt.momentum", "--momentum", "SGD: momentum", 0},
    {"dampening", "rt.dampening", "--dampening", "SGD: dampening of the momentum", 0},
    {"clip", "rt.clip", "--clip", "clip gradients to this global L2 norm; 0 = off", 0},
    {"loss-scale", "rt.loss_scale", "--loss-scale", "fp16: factor of the loss; 0 = dynamic"},
    {"initial-scale-power", "rt.initial_scale_power", "--initial-scale-power",
     "fp16: the dynamic scale starts at 2 to this power", 63},
    {"loss-scale-window", "rt.loss_scale_window", "--loss-scale-window",
     "fp16: steps without overflow after which the scale doubles", 0, 1},
    {"hysteresis", "rt.hysteresis", "--hysteresis", "fp16: overflows before the scale is halved", 0,
     1},
    {"min-loss-scale", "rt.min_loss_scale", "--min-loss-scale",
     "fp16: overflow at this scale ends the run", 0, 0, true},
    {"consecutive-hysteresis", "rt.consecutive_hysteresis", "--consecutive-hysteresis",
     "fp16: 1 = any step without overflow restores the hysteresis", 2},
    {"seed", "rt.seed", "--seed", "seed of shuffling and Dropout", 0},
};

static llvm::json::Array runTimeValuesOf(ModuleOp module) {
  llvm::json::Array values;
  for (const RunTimeValue &value : kRunTimeValues) {
    auto global = module.lookupSymbol<GlobalOp>(value.global);
    auto initial = global ? dyn_cast_if_present<DenseElementsAttr>(global.getValueAttr()) : nullptr;
    if (!initial) {
      continue;
    }
    llvm::json::Value fallback = nullptr;
    if (isa<FloatType>(global.getTensorType().getElementType())) {
      // The shortest decimal that is this f32, not its binary expansion in f64.
      char shortest[32];
      float exact = initial.getSplatValue<APFloat>().convertToFloat();
      for (int digits = 1; digits < 10; ++digits) {
        snprintf(shortest, sizeof shortest, "%.*g", digits, exact);
        if (strtof(shortest, nullptr) == exact) {
          break;
        }
      }
      fallback = strtod(shortest, nullptr);
    } else {
      fallback = initial.getSplatValue<APInt>().getSExtValue();
    }
    llvm::json::Object object{{"name", value.name}, {"global", value.global},
                              {"flag", value.flag}, {"default", std::move(fallback)},
                              {"min", value.least}, {"help", value.help}};
    if (value.aboveLeast) {
      object["min_exclusive"] = true;
    }
    if (value.below != 0) {
      object["max"] = value.below;
      object["max_exclusive"] = true;
    }
    values.push_back(std::move(object));
  }
  return values;
}

static llvm::json::Object optionsOf(ModuleOp module) {
  llvm::json::Object options;
  if (auto dictionary = module->getAttrOfType<DictionaryAttr>("dsc.options")) {
    for (NamedAttribute option : dictionary) {
      llvm::json::Value value = nullptr;
      if (auto text = dyn_cast<StringAttr>(option.getValue())) {
        value = text.getValue().str();
      } else if (auto list = dyn_cast<ArrayAttr>(option.getValue())) {
        llvm::json::Array texts;
        for (auto each : list.getAsRange<StringAttr>()) {
          texts.push_back(each.getValue().str());
        }
        value = std::move(texts);
      } else if (auto flag = dyn_cast<BoolAttr>(option.getValue())) {
        value = flag.getValue();
      } else if (auto integer = dyn_cast<IntegerAttr>(option.getValue())) {
        value = integer.getInt();
      } else if (auto real = dyn_cast<FloatAttr>(option.getValue())) {
        value = real.getValueAsDouble();
      }
      options[option.getName().getValue()] = std::move(value);
    }
  }
  // What --config made of a ds_config.json, of which the program needs the samples of a step.
  if (auto config = module->getAttrOfType<StringAttr>("dsc.config")) {
    options["config"] = config.getValue().str();
  }
  if (auto samples = module->getAttrOfType<IntegerAttr>("dsc.train_batch_size")) {
    options["train_batch_size"] = samples.getInt();
  }
  return options;
}

/// What each rank has its own chunks of.
static llvm::json::Array shardsOf(ModuleOp module) {
  llvm::json::Array shards;
  for (GlobalOp global : shardedGlobals(module)) {
    RankedTensorType type = global.getTensorType();
    shards.push_back(llvm::json::Object{{"name", global.getSymName().str()},
                                        {"chunks", type.getDimSize(0)},
                                        {"chunk_bytes", tensorBytes(type) / type.getDimSize(0)}});
  }
  return shards;
}

/// The wire plan. What ranks send together for a collective in a step, in bytes: of reduce_scatter
/// and all_gather (ranks - 1) times its chunks.
static llvm::json::Array collectiveList(ModuleOp module) {
  llvm::StringMap<int64_t> elements; // of parameters, by the location's name of their bucket
  for (auto global : module.getOps<GlobalOp>()) {
    if (std::optional<PlaceAttr> place = global.getWithin()) {
      elements[place->getFlat().getValue()] += global.getTensorType().getNumElements();
    }
  }
  llvm::json::Array list;
  for (Operation *op : collectivesOf(module)) {
    auto type = cast<RankedTensorType>(op->getResult(0).getType());
    int64_t chunks = isa<AllReduceOp>(op) ? 1 : type.getDimSize(0);
    std::string name = collectiveName(op), bucket = StringRef(name).split(' ').second.str();
    bool isBucket = type.getRank() == 2 && type.getDimSize(1) == DSC_CHUNK_ELEMENTS;
    auto known = elements.find(bucket);
    list.push_back(
        llvm::json::Object{{"name", name},
                           {"kind", op->getName().stripDialect().str()},
                           {"entry", op->getParentOfType<func::FuncOp>().getName().str()},
                           {"dtype", dtypeName(type.getElementType())},
                           {"chunks", chunks},
                           {"chunk_elements", type.getNumElements() / chunks},
                           {"elements", isBucket && known != elements.end() ? known->second : 0}});
  }
  return list;
}

LogicalResult dsc::attachManifest(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  auto memory = module->getAttrOfType<DictionaryAttr>("dsc.memory");
  if (!memory) {
    return module.emitError("module has no memory plan");
  }
  llvm::json::Object spaces;
  for (NamedAttribute size : memory) {
    if (size.getName() != "arena_lower_bound") {
      spaces[size.getName().getValue()] = cast<IntegerAttr>(size.getValue()).getInt();
    }
  }
  llvm::json::Array entries;
  llvm::json::Object results;
  llvm::json::Array gradients, values;
  for (func::FuncOp entry : entriesOf(module)) {
    entries.push_back(entry.getName().str());
    results[entry.getName()] = resultsOf(entry);
    if (entry.getName() == "last") {
      gradients = gradientsOf(entry, /*kept=*/false);
      values = gradientsOf(entry, /*kept=*/true);
    }
  }
  llvm::json::Array inputs = inputsOf(module);
  const bool isForwardOnly = options->loss == "none";
  // Forward only, inputs need not be samples: 0 where they share no first dimension.
  int64_t microBatch = 0, tokens = 0;
  bool sharesBatch = true;
  for (const llvm::json::Value &input : inputs) {
    const llvm::json::Array &shape = *input.getAsObject()->getArray("shape");
    if (microBatch == 0 && !shape.empty()) {
      microBatch = *shape[0].getAsInteger();
    }
    sharesBatch &= !shape.empty() && *shape[0].getAsInteger() == microBatch;
    StringRef dtype = *input.getAsObject()->getString("dtype");
    if (tokens == 0 && *input.getAsObject()->getString("role") == "input" && shape.size() == 2 &&
        (dtype == "i64" || dtype == "i32")) {
      tokens = *shape[1].getAsInteger();
    }
  }
  if (isForwardOnly && !sharesBatch) {
    microBatch = 0;
  }
  auto text = [&](StringRef key) {
    auto value = module->getAttrOfType<StringAttr>(key);
    return value ? value.getValue().str() : std::string();
  };
  auto maxRanks = module->getAttrOfType<IntegerAttr>("dsc.max_ranks");
  llvm::json::Object manifest{
      {"format", 1},
      {"abi", DSC_ABI_VERSION},
      {"name", text("dsc.model_name")},
      {"version", text("dsc.version")},
      {"compile_command", text("dsc.command")},
      {"options", optionsOf(module)},
      {"target", llvm::json::Object{{"kind", options->target},
                                    {"features", text("dsc.target_features")},
                                    {"lanes", DSC_LANES}}},
      {"spaces", std::move(spaces)},
      {"entries", std::move(entries)},
      {"accumulate", options->accumulate == 0 ? llvm::json::Value("any")
                                              : llvm::json::Value(options->accumulate)},
      {"micro_batch", microBatch},
      {"tokens_per_sample", tokens},
      {"inputs", std::move(inputs)},
      {"results", std::move(results)},
      {"gradients", std::move(gradients)},
      {"values", std::move(values)},
      {"globals", globalsOf(module)},
      {"run_time_values", runTimeValuesOf(module)},
      {"schedule", options->schedule},
      {"updates", updatesOf(module)},
      {"loss", llvm::json::Object{{"kind", isForwardOnly ? "" : options->loss},
                                  {"ignore_index", options->ignoreIndex},
                                  {"shift_labels", options->shiftLabels},
                                  {"mean", options->lossMean}}},
      {"ops", opsOf(module)},
      {"zero", options->zero},
      {"max_ranks", maxRanks ? maxRanks.getInt() : 1},
      {"shards", shardsOf(module)},
      {"collectives", collectiveList(module)},
      {"weights", llvm::json::Object{{"file", text("dsc.weights_file")},
                                     {"sha256", text("dsc.weights_sha256")}}},
  };
  if (auto table = module.lookupSymbol<GlobalOp>("rt.schedule")) {
    manifest["schedule_table"] =
        tensorObject(table.getSymName(), table.getTensorType(), *table.getSlot());
  }
  std::string json;
  llvm::raw_string_ostream stream(json);
  stream << llvm::json::Value(std::move(manifest));
  module->setAttr("dsc.manifest", StringAttr::get(module.getContext(), json));
  return success();
}
