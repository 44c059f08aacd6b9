// Pass: @forward and @inference become the entries @micro, @last, @eval and @gather.
//
// Accumulation needs no reset: the first micro-batch of a step (rt.micro_index == 0) starts the
// accumulators, later ones add to them. Buffers that the forward pass updates go through pending
// copies in the same way, so that a step that is skipped at its end leaves them as they were.

#include "passes/Passes.h"
#include "passes/autodiff/AddLoss.h"
#include "passes/autodiff/AppendOptimizer.h"
#include "passes/autodiff/BuildBackward.h"
#include "passes/autodiff/IndexBound.h"
#include "passes/autodiff/LossScale.h"
#include "passes/autodiff/ParameterUse.h"

#include "ir/Storage.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/MapVector.h"

#include <limits>

namespace dsc {
#define GEN_PASS_DEF_BUILDENTRIES
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

namespace {

enum class EntryKind { Micro, Last, Eval };

/// A value that --keep-values asks for, and the loss's gradient by it where there is one.
struct KeptValue {
  std::string name;
  Value value, gradient;
};

class EntryBuilder {
public:
  EntryBuilder(ModuleOp module, func::FuncOp forward, func::FuncOp inference,
               ArrayRef<KeptValue> kept, const CompileOptions &options)
      : module(module), forward(forward), inference(inference), kept(kept), options(options),
        globals(module), builder(module.getContext()) {}

  LogicalResult run();

private:
  /// An entry under construction.
  struct Entry {
    EntryKind kind;
    func::FuncOp function;
    SmallVector<Value> outputs; // of the model
    Value labels, sampleWeight;
    Value isFirst; // i1: the first micro-batch of the step; null without accumulation
    llvm::MapVector<GlobalOp, Value> written; // buffers and their new values
    SmallVector<KeptValue> kept;              // @last only
    SmallVector<std::pair<StringRef, Value>> results;
  };

  FailureOr<Entry> begin(EntryKind kind, StringRef name, func::FuncOp source);
  void cloneBody(Entry &entry, func::FuncOp source);
  void end(Entry &entry);
  Value carried(ValueBuilder &b, Entry &entry, GlobalOp state, Value value);

  LogicalResult buildTraining(EntryKind kind, StringRef name);
  FailureOr<SmallVector<ParameterGradient>> gradientsOf(Entry &entry, Value loss, Value scale);
  LogicalResult finishLast(Entry &entry, ValueBuilder &b, const LossTerms &terms, Value loss,
                           Value scale, MutableArrayRef<ParameterGradient> parameters);
  void finishMicro(Entry &entry, ValueBuilder &b, const LossTerms &terms, Value loss,
                   ArrayRef<ParameterGradient> parameters);
  LogicalResult buildEval();
  LogicalResult buildForwardOnly();
  void returnOutputs(Entry &entry);

  bool accumulates() const { return options.accumulate != 1; }
  bool meansGlobally() const { return options.lossMean == "global"; }
  Value overRanks(ValueBuilder &b, Value value);
  /// --loss=none: only @eval, which returns the outputs.
  bool isForwardOnly() const { return options.loss == "none"; }

  ModuleOp module;
  func::FuncOp forward, inference;
  ArrayRef<KeptValue> kept; // values of forward, in the order of the graph
  CompileOptions options;
  TrainingGlobals globals;
  OpBuilder builder;
  LossChoice choice;
  int64_t batch = 0;
  LabelsInfo labels;
};

} // namespace

//===----------------------------------------------------------------------===//
// The frame of an entry
//===----------------------------------------------------------------------===//

/// Starts an entry with the arguments of `source` and those that the loss needs, and the body of
/// `source` in it.
FailureOr<EntryBuilder::Entry> EntryBuilder::begin(EntryKind kind, StringRef name,
                                                   func::FuncOp source) {
  Entry entry;
  entry.kind = kind;
  if (module.lookupSymbol(name)) {
    return module.emitError() << "'" << name << "' is already defined; the entries are made once";
  }
  builder.setInsertionPoint(source);
  SmallVector<Type> types(source.getArgumentTypes());
  SmallVector<DictionaryAttr> attributes;
  std::optional<unsigned> labelsAt, weightAt;
  const bool needsLabels = !isForwardOnly() && choice.needsLabels();
  auto describe = [&](DictionaryAttr known, StringRef role, StringRef argument, int64_t classes) {
    NamedAttrList list(known);
    list.set("dsc.role", builder.getStringAttr(role));
    if (!argument.empty()) {
      list.set("dsc.name", builder.getStringAttr(argument));
    }
    if (classes > 0) {
      list.set("dsc.classes", builder.getI64IntegerAttr(classes));
    }
    attributes.push_back(list.getDictionary(module.getContext()));
  };
  for (unsigned i = 0; i < types.size(); ++i) {
    auto argument = source.getArgAttrOfType<StringAttr>(i, "dsc.name");
    bool isLabels = needsLabels && argument && argument.getValue() == options.labels;
    labelsAt = isLabels ? i : labelsAt;
    // As labels, classes may have the ignored value; as an index into a table they may not.
    int64_t bound = indexBound(source.getArgument(i));
    bool isClasses = isLabels && bound == 0 && labels.classes > 0;
    describe(source.getArgAttrDict(i), isClasses ? "labels" : "input", "",
             isClasses ? labels.classes : bound);
  }
  if (needsLabels && !labelsAt) {
    labelsAt = types.size();
    types.push_back(labels.type);
    describe({}, "labels", options.labels, labels.classes);
  }
  if (kind == EntryKind::Eval && !isForwardOnly()) {
    weightAt = types.size();
    types.push_back(RankedTensorType::get({batch}, builder.getF32Type()));
    describe({}, "sample_weight", "sample_weight", 0);
  }
  entry.function =
      builder.create<func::FuncOp>(source.getLoc(), name, builder.getFunctionType(types, {}));
  for (auto [i, dictionary] : llvm::enumerate(attributes)) {
    entry.function.setArgAttrs(i, dictionary);
  }
  Block *block = entry.function.addEntryBlock();
  builder.setInsertionPointToStart(block);
  entry.labels = labelsAt ? block->getArgument(*labelsAt) : Value();
  entry.sampleWeight = weightAt ? block->getArgument(*weightAt) : Value();
  if (kind != EntryKind::Eval && accumulates()) {
    ValueBuilder b(builder, NameLoc::get(builder.getStringAttr("accumulate")));
    entry.isFirst = b.compare(ComparePredicate::eq, globals.get(b, "rt.micro_index"), 0.0);
  }
  cloneBody(entry, source);
  return entry;
}

/// Copies the ops of `source`. What it writes to globals is held back in `written`: where and
/// whether a new value is stored is the entry's decision.
void EntryBuilder::cloneBody(Entry &entry, func::FuncOp source) {
  llvm::SmallDenseSet<StringAttr> isWritten;
  for (auto set : source.getOps<SetGlobalOp>()) {
    isWritten.insert(set.getNameAttr().getAttr());
  }
  IRMapping mapping;
  for (auto [from, to] : llvm::zip(source.getArguments(), entry.function.getArguments())) {
    mapping.map(from, to);
  }
  Block &body = source.getBody().front();
  for (Operation &op : body.without_terminator()) {
    if (auto set = dyn_cast<SetGlobalOp>(op)) {
      entry.written[globals.lookup(set.getName())] = mapping.lookup(set.getValue());
      continue;
    }
    auto get = dyn_cast<GetGlobalOp>(op);
    if (!get || !isWritten.contains(get.getNameAttr().getAttr())) {
      builder.clone(op, mapping);
      continue;
    }
    GlobalOp buffer = globals.lookup(get.getName());
    Value value = entry.written.lookup(buffer);
    if (!value) {
      value = builder.clone(op)->getResult(0);
      if (entry.isFirst) {
        ValueBuilder b(builder, op.getLoc());
        value = b.select(entry.isFirst, value, globals.get(b, globals.stateOf(buffer, "pending")));
      }
    }
    mapping.map(get.getResult(), value);
  }
  for (Value output : body.getTerminator()->getOperands()) {
    entry.outputs.push_back(mapping.lookup(output));
  }
  for (const KeptValue &value : entry.kind == EntryKind::Last ? kept : ArrayRef<KeptValue>()) {
    entry.kept.push_back({value.name, mapping.lookup(value.value), {}});
  }
}

/// Returns `results` and gives them their names.
void EntryBuilder::end(Entry &entry) {
  SmallVector<Value> values;
  for (auto &[name, value] : entry.results) {
    values.push_back(value);
  }
  builder.create<func::ReturnOp>(entry.function.getLoc(), values);
  entry.function.setType(
      builder.getFunctionType(entry.function.getArgumentTypes(), ValueRange(values).getTypes()));
  for (auto [i, result] : llvm::enumerate(entry.results)) {
    entry.function.setResultAttr(i, "dsc.name", builder.getStringAttr(result.first));
  }
}

/// What the step has gathered in `state` so far and `value`: just `value` in the first micro-batch.
Value EntryBuilder::carried(ValueBuilder &b, Entry &entry, GlobalOp state, Value value) {
  value = b.cast(value, state.getTensorType().getElementType());
  return b.select(entry.isFirst, value, b.add(globals.get(b, state), value));
}

/// The sum of a number of the step over the ranks.
Value EntryBuilder::overRanks(ValueBuilder &b, Value value) {
  if (options.maxRanks == 1) {
    return value;
  }
  Type element = tensorType(value).getElementType(), wide = statisticsType(element);
  return b.cast(b.create<AllReduceOp>(b.cast(value, wide), IntegerAttr()), element);
}

//===----------------------------------------------------------------------===//
// @micro and @last
//===----------------------------------------------------------------------===//

/// Gradients of `scale` (null: 1) times the loss with respect to all trained parameters that it
/// depends on, in the order in which backward finishes them.
FailureOr<SmallVector<ParameterGradient>> EntryBuilder::gradientsOf(Entry &entry, Value loss,
                                                                    Value scale) {
  llvm::MapVector<GlobalOp, SmallVector<Value>> reads;
  SmallVector<Value> leaves;
  for (auto get : entry.function.getOps<GetGlobalOp>()) {
    GlobalOp global = globals.lookup(get.getName());
    if (global.getRole() == GlobalRole::trained) {
      reads[global].push_back(get.getResult());
      leaves.push_back(get.getResult());
    }
  }
  llvm::DenseMap<Value, Value> keptGradients;
  for (const KeptValue &value : entry.kept) {
    if (isa<FloatType>(tensorType(value.value).getElementType()) &&
        !llvm::is_contained(leaves, value.value) && keptGradients.try_emplace(value.value).second) {
      leaves.push_back(value.value);
    }
  }
  ValueBuilder b(builder, NameLoc::get(builder.getStringAttr("loss")));
  RankedTensorType type = tensorType(loss);
  Value seed =
      scale ? b.broadcast(b.cast(scale, type.getElementType()), type.getShape()) : b.splat(type, 1);
  FailureOr<SmallVector<ValueGradient>> gradients =
      buildBackward(builder, ValueGradient{loss, seed}, leaves);
  if (failed(gradients)) {
    return failure();
  }
  // A parameter read twice gets the sum; it is finished when its last part is.
  DenseMap<GlobalOp, std::pair<Value, size_t>> sums;
  for (auto [i, part] : llvm::enumerate(*gradients)) {
    if (auto found = keptGradients.find(part.value); found != keptGradients.end()) {
      found->second = part.gradient;
      continue;
    }
    GlobalOp global = globals.lookup(part.value.getDefiningOp<GetGlobalOp>().getName());
    auto &[sum, last] = sums[global];
    sum = sum ? b.add(sum, part.gradient) : part.gradient;
    last = i;
  }
  for (KeptValue &value : entry.kept) {
    value.gradient = keptGradients.lookup(value.value);
  }
  SmallVector<ParameterGradient> parameters;
  for (auto &[global, values] : reads) {
    if (Value sum = sums.lookup(global).first) {
      parameters.push_back({global, values.front(), sum});
    }
  }
  llvm::sort(parameters, [&](const ParameterGradient &x, const ParameterGradient &y) {
    return sums.lookup(x.parameter).second < sums.lookup(y.parameter).second;
  });
  return parameters;
}

LogicalResult EntryBuilder::buildTraining(EntryKind kind, StringRef name) {
  FailureOr<Entry> entry = begin(kind, name, forward);
  if (failed(entry)) {
    return failure();
  }
  ValueBuilder b(builder, NameLoc::get(builder.getStringAttr("loss")));
  FailureOr<LossTerms> terms =
      buildLoss(b, choice, options, entry->outputs[choice.output], entry->labels, Value(), batch);
  if (failed(terms)) {
    return failure();
  }
  // A micro-batch without a counted label adds 0, not 0 / 0. The global mean divides once, at the
  // end of the step.
  Value number = terms->isCounted
                     ? b.create<MaxOp>(terms->count, b.scalar(1, terms->count)).getResult()
                     : terms->count;
  Value loss = meansGlobally() ? terms->sum : b.div(terms->sum, number);
  Value scale = scalesLoss(options) ? currentLossScale(b, globals) : Value();
  FailureOr<SmallVector<ParameterGradient>> parameters = gradientsOf(*entry, loss, scale);
  if (failed(parameters)) {
    return failure();
  }
  if (parameters->empty()) {
    return forward.emitError()
           << "the loss (" << choice.option() << " of '" << choice.outputName
           << "') depends on no trained parameter, so there is nothing to train";
  }
  if (kind == EntryKind::Micro) {
    finishMicro(*entry, b, *terms, loss, *parameters);
  } else if (failed(finishLast(*entry, b, *terms, loss, scale, *parameters))) {
    return failure();
  }
  end(*entry);
  return success();
}

/// @micro: everything is added to the step's accumulators.
void EntryBuilder::finishMicro(Entry &entry, ValueBuilder &b, const LossTerms &terms, Value loss,
                               ArrayRef<ParameterGradient> parameters) {
  b.loc = NameLoc::get(builder.getStringAttr("accumulate"));
  Type element = tensorType(loss).getElementType();
  auto keep = [&](GlobalOp state, Value value) {
    globals.set(b, state, carried(b, entry, state, value));
  };
  keep(globals.scalarState("loss", element), loss);
  if (terms.isCounted || meansGlobally()) {
    keep(globals.scalarState("count", element), terms.count);
  }
  for (const ParameterGradient &part : parameters) {
    GlobalOp parameter = part.parameter;
    b.loc = NameLoc::get(parameter.getSymNameAttr());
    Type wide = statisticsType(tensorType(part.gradient).getElementType());
    keep(globals.stateOf(parameter, "accumulator", wide), part.gradient);
  }
  for (auto &[buffer, value] : entry.written) {
    globals.set(b, globals.stateOf(buffer, "pending"), value);
  }
}

/// @last: the step's loss and averaged gradients; behind dsc.gradients the update, with every write
/// predicated.
LogicalResult EntryBuilder::finishLast(Entry &entry, ValueBuilder &b, const LossTerms &terms,
                                       Value loss, Value scale,
                                       MutableArrayRef<ParameterGradient> parameters) {
  Type element = tensorType(loss).getElementType();
  Value count = terms.count, average; // what the sums are multiplied by; null: 1
  if (accumulates()) {
    b.loc = NameLoc::get(builder.getStringAttr("accumulate"));
    loss = carried(b, entry, globals.scalarState("loss", element), loss);
    if (terms.isCounted || meansGlobally()) {
      count = carried(b, entry, globals.scalarState("count", element), count);
    }
    average = b.create<ReciprocalOp>(b.cast(globals.get(b, "rt.micro_batches"), element));
  }
  // The step is that of all ranks: each has the same loss and counts, and decides the same.
  b.loc = NameLoc::get(builder.getStringAttr("loss"));
  Value ranks;
  if (options.maxRanks > 1) {
    ranks = b.cast(globals.get(b, "rt.ranks"), element);
    loss = b.div(overRanks(b, loss), ranks);
    if (terms.isCounted || meansGlobally()) {
      count = overRanks(b, count);
    }
  }
  if (meansGlobally()) {
    // Gradients are reduced to their mean over the ranks, the loss is by now.
    Value number = b.create<MaxOp>(count, b.scalar(1, count));
    average = b.create<ReciprocalOp>(ranks ? b.div(number, ranks) : number);
  }
  if (average) {
    loss = b.mul(loss, average);
  }
  if (terms.isCounted) {
    // A step without any counted label has no loss: NaN, which also skips the update.
    Value counted = b.compare(ComparePredicate::gt, count, 0.0);
    loss = b.select(counted, loss, b.scalar(std::numeric_limits<double>::quiet_NaN(), loss));
  }
  SmallVector<Value> gradients;
  SmallVector<std::string> names;
  for (ParameterGradient &parameter : parameters) {
    b.loc = NameLoc::get(parameter.parameter.getSymNameAttr());
    Type wide = statisticsType(tensorType(parameter.gradient).getElementType());
    if (accumulates()) {
      parameter.gradient = carried(
          b, entry, globals.stateOf(parameter.parameter, "accumulator", wide), parameter.gradient);
    }
    if (average) {
      parameter.gradient = b.mul(b.cast(parameter.gradient, wide), b.cast(average, wide));
    }
    gradients.push_back(parameter.gradient);
    names.push_back(parameter.parameter.getSymName().str());
  }
  const size_t parameterCount = gradients.size();
  for (const KeptValue &value : entry.kept) {
    gradients.push_back(value.value);
    names.push_back(value.name);
  }
  for (const KeptValue &value : llvm::reverse(entry.kept)) { // backward meets the last one first
    if (value.gradient) {
      gradients.push_back(value.gradient);
      names.push_back(value.name + ".grad");
    }
  }
  SmallVector<StringRef> nameRefs(names.begin(), names.end());
  builder.create<GradientsOp>(NameLoc::get(builder.getStringAttr("gradients")), gradients,
                              builder.getStrArrayAttr(nameRefs),
                              static_cast<int64_t>(gradients.size() - parameterCount));
  UpdateResult update = appendOptimizer(builder, globals, options, parameters, loss, scale);
  b.loc = NameLoc::get(builder.getStringAttr("buffers"));
  for (auto &[buffer, value] : entry.written) {
    globals.set(b, buffer, b.select(update.ok, value, globals.get(b, buffer)));
  }
  Value zero = b.scalar(0, update.norm),
        skipped = b.select(update.ok, zero, b.scalar(1, update.norm));
  entry.results = {{"loss", loss}, {"grad_norm", update.norm}, {"skipped", skipped}};
  if (scale) {
    entry.results.push_back({"loss_scale", scale});
    entry.results.push_back(
        {"loss_scale_exhausted", b.cast(update.scaleExhausted, builder.getF32Type())});
  }
  return success();
}

//===----------------------------------------------------------------------===//
// @eval
//===----------------------------------------------------------------------===//

LogicalResult EntryBuilder::buildEval() {
  FailureOr<Entry> entry = begin(EntryKind::Eval, "eval", inference);
  if (failed(entry)) {
    return failure();
  }
  ValueBuilder b(builder, NameLoc::get(builder.getStringAttr("loss")));
  FailureOr<LossTerms> terms = buildLoss(b, choice, options, entry->outputs[choice.output],
                                         entry->labels, entry->sampleWeight, batch);
  if (failed(terms)) {
    return failure();
  }
  entry->results = {{"loss_sum", terms->sum}, {"loss_weight", terms->count}};
  if (terms->correct) {
    entry->results.push_back({"correct", terms->correct});
    entry->results.push_back({"counted", terms->count});
  }
  returnOutputs(*entry);
  end(*entry);
  return success();
}

/// Adds the model's outputs to the results, under their names.
void EntryBuilder::returnOutputs(Entry &entry) {
  for (auto [i, output] : llvm::enumerate(entry.outputs)) {
    auto name = inference.getResultAttrOfType<StringAttr>(i, "dsc.name");
    entry.results.push_back({name ? name.getValue() : StringRef("output"), output});
  }
}

LogicalResult EntryBuilder::buildForwardOnly() {
  FailureOr<Entry> entry = begin(EntryKind::Eval, "eval", inference);
  if (failed(entry)) {
    return failure();
  }
  returnOutputs(*entry);
  end(*entry);
  return success();
}

//===----------------------------------------------------------------------===//
// All of it
//===----------------------------------------------------------------------===//

/// Options that the driver has checked may be edited in a dump.
static LogicalResult checkOptions(ModuleOp module, const CompileOptions &options) {
  static const StringRef kinds[] = {"adamw", "adam", "sgd", "lion", "adagrad", "lamb"};
  if (!llvm::is_contained(kinds, options.optimizer)) {
    return module.emitError() << "unknown optimizer '" << options.optimizer
                              << "'; choose --optimizer=" << llvm::join(ArrayRef(kinds), "|");
  }
  if (options.lossMean != "micro-batch" && options.lossMean != "global") {
    return module.emitError() << "unknown mean of the loss '" << options.lossMean
                              << "'; choose --loss-mean=micro-batch|global";
  }
  if (!(options.labelSmoothing >= 0 && options.labelSmoothing <= 1)) {
    return module.emitError() << "--label-smoothing is " << options.labelSmoothing
                              << ", it lies between 0 and 1";
  }
  if (options.accumulate < 0) {
    return module.emitError() << "--accumulate is " << options.accumulate
                              << "; give 1 or more, or any";
  }
  return success();
}

/// Trained parameters are f32 or f64: a half type would lose small updates.
static LogicalResult checkParameters(ModuleOp module) {
  for (auto global : module.getOps<GlobalOp>()) {
    Type element = global.getTensorType().getElementType();
    if (global.getRole() == GlobalRole::trained && !element.isF32() && !element.isF64()) {
      return global.emitError() << "parameter '" << global.getSymName() << "' is " << element
                                << ", training needs f32: export the model in float32";
    }
  }
  return success();
}

/// Parameters that @last does not update stay as they are; worth a word, since it is seldom meant.
static void warnAboutUntouched(ModuleOp module) {
  auto last = module.lookupSymbol<func::FuncOp>("last");
  llvm::DenseSet<Attribute> updated;
  last.walk([&](SetGlobalOp set) { updated.insert(set.getNameAttr().getAttr()); });
  auto parts = storedParts(module);
  auto storageOf = [](GlobalOp global) {
    return global.getStorage() ? global.getStorage()->getGlobal().getAttr()
                               : global.getSymNameAttr();
  };
  for (auto global : module.getOps<GlobalOp>()) {
    if (global.getRole() == GlobalRole::trained && !parts.contains(global.getSymNameAttr()) &&
        !updated.contains(storageOf(global))) {
      global.emitWarning() << "parameter '" << global.getSymName()
                           << "' does not reach the loss and stays as it is";
    }
  }
}

LogicalResult EntryBuilder::run() {
  if (failed(checkOptions(module, options))) {
    return failure();
  }
  if (isForwardOnly()) {
    // No data to speak of, so nothing is asked of the inputs' shapes either.
    if (failed(buildForwardOnly())) {
      return failure();
    }
    forward.erase();
    inference.erase();
    return success();
  }
  FailureOr<LossChoice> chosen = chooseLoss(forward, options);
  if (failed(chosen)) {
    return failure();
  }
  FailureOr<int64_t> samples = batchSize(forward);
  if (failed(samples)) {
    return failure();
  }
  choice = *chosen;
  batch = *samples;
  markParameterUses(module, forward);
  if (choice.needsLabels()) {
    FailureOr<LabelsInfo> info = labelsInfo(forward, choice, options, batch);
    if (failed(info)) {
      return failure();
    }
    labels = *info;
  }
  if (failed(globals.declareRuntimeValues(options)) || failed(checkParameters(module)) ||
      (accumulates() && failed(buildTraining(EntryKind::Micro, "micro"))) ||
      failed(buildTraining(EntryKind::Last, "last")) || failed(buildEval())) {
    return failure();
  }
  // One rank holds all weights, so gathering them is nothing.
  builder.setInsertionPoint(forward);
  auto gather =
      builder.create<func::FuncOp>(module.getLoc(), "gather", builder.getFunctionType({}, {}));
  builder.setInsertionPointToStart(gather.addEntryBlock());
  builder.create<func::ReturnOp>(module.getLoc());

  warnAboutUntouched(module);
  forward.erase();
  inference.erase();
  // What was chosen is in effect from here on.
  options.loss = choice.option();
  options.output = choice.outputName;
  module->setAttr("dsc.options", options.toAttribute(module.getContext()));
  return success();
}

/// Takes the results that --keep-values added to the model's off @forward.
static SmallVector<KeptValue> takeKeptValues(func::FuncOp forward) {
  SmallVector<KeptValue> kept;
  Operation *terminator = forward.getBody().front().getTerminator();
  llvm::BitVector taken(forward.getNumResults());
  for (unsigned i = 0; i < forward.getNumResults(); ++i) {
    if (forward.getResultAttr(i, "dsc.keep")) {
      taken.set(i);
      kept.push_back({forward.getResultAttrOfType<StringAttr>(i, "dsc.name").str(),
                      terminator->getOperand(i),
                      {}});
    }
  }
  forward.eraseResults(taken);
  terminator->eraseOperands(taken);
  return kept;
}

namespace {
struct BuildEntries : dsc::impl::BuildEntriesBase<BuildEntries> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<CompileOptions> options = CompileOptions::from(module);
    if (failed(options)) {
      return signalPassFailure();
    }
    func::FuncOp functions[2];
    const StringRef names[] = {"forward", "inference"};
    for (auto [function, name] : llvm::zip(functions, names)) {
      function = module.lookupSymbol<func::FuncOp>(name);
      if (!function) {
        module.emitError() << "function '" << name
                           << "' is missing: autodiff starts from a module after raise";
        return signalPassFailure();
      }
    }
    SmallVector<KeptValue> kept = takeKeptValues(functions[0]);
    if (functions[0].getFunctionType() != functions[1].getFunctionType()) {
      functions[1].emitError() << "is " << functions[1].getFunctionType() << ", 'forward' is "
                               << functions[0].getFunctionType();
      return signalPassFailure();
    }
    if (failed(EntryBuilder(module, functions[0], functions[1], kept, *options).run())) {
      signalPassFailure();
    }
  }
};
} // namespace
