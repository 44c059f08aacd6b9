// The walk over the nodes: operands from scope, one row of the table or the operator's function
// body a node, results into scope.

#include "frontend/Importer.h"

#include "frontend/FunctionExpander.h"
#include "frontend/InitialValues.h"
#include "frontend/OpTable.h"
#include "frontend/ParameterNames.h"
#include "ir/Diagnostic.h"
#include "ir/Phase.h"

#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Regex.h"

#include <map>

using namespace mlir;
using namespace dsc;
using onnx_model::Dim;
using onnx_model::Model;
using onnx_model::nameOf;
using onnx_model::Node;
using onnx_model::Tensor;
using onnx_model::ValueInfo;

namespace {

/// Nodes that function bodies may add, all together.
constexpr int64_t kMaxNodes = 1000000;
constexpr int kMaxNesting = 16;
/// Constants above this many elements become globals.
constexpr int64_t kMaxInlineConstant = 32;

struct Unsupported {
  int64_t count = 0;
  std::string firstNode, why;
};

using UnsupportedTable = std::map<std::pair<std::string, std::string>, Unsupported>;

/// What both walks share.
struct ModuleState {
  MLIRContext &context;
  const Model &model;
  const ParameterTable &parameters;
  const ImportOptions &options;
  UnsupportedTable unsupported;
  llvm::StringMap<DenseElementsAttr> constantValues; // initializers, read once
  llvm::StringSet<> read; // names that a node or an output of the graph reads
  int64_t nodes = 0;
  FoldMemo folds;
  std::optional<llvm::Regex> keepValues; // --keep-values
  bool isMissingData = false;            // an error about it has been emitted
};

struct Entry {
  SmallVector<Value, 1> values;
  bool isSequence = false;
  bool poisoned = false; // comes from an unsupported node
};

/// Values by name in the main graph, in one function body, or in one branch of an If.
struct Scope {
  llvm::StringMap<Entry> entries;
  bool isMain = false;
  const Scope *outer = nullptr; // whose values a branch reads as well
};

class FunctionImporter {
public:
  FunctionImporter(ModuleState &shared, Mode mode, Block *block)
      : shared(shared), emitter(block, &shared.folds), state{mode, shared.options.options} {
    state.fromPyTorch = shared.model.producer == "pytorch";
  }

  LogicalResult importGraph(ArrayRef<Value> arguments, ArrayRef<const ValueInfo *> argumentInfos);
  FailureOr<SmallVector<Value>> outputs();

  Emitter &getEmitter() { return emitter; }
  /// Values that --keep-values asks for, in the order of the graph.
  ArrayRef<std::pair<std::string, Value>> keptValues() const { return kept; }
  ImportState &getState() { return state; }

private:
  LogicalResult importNode(const Node &node, int64_t position, Scope &scope, int depth);
  void keep(StringRef name, const Entry &entry);
  LogicalResult expandNode(const Node &node, NodeImport &import, int depth);
  LogicalResult takeBranch(const Node &node, NodeImport &import, const Scope &scope, int depth);
  Entry lookUp(const Node &node, StringRef name, int64_t position, unsigned slot,
               const Scope &scope);
  Value initializer(const ParameterUse &use);
  void recordUnsupported(const Node &node, StringRef why);
  Location locate(const Node &node);

  ModuleState &shared;
  Emitter emitter;
  ImportState state;
  Scope main;
  SmallVector<std::pair<std::string, Value>> kept;
};

} // namespace

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

Location FunctionImporter::locate(const Node &node) {
  MLIRContext *context = &shared.context;
  StringRef file = llvm::sys::path::filename(shared.model.path);
  Location place = FileLineColLoc::get(context, file, node.index, 0);
  std::string name = node.name;
  if (name.empty()) {
    name = node.op + "#" + std::to_string(node.index);
    if (!node.outputs.empty()) {
      name += "->" + node.outputs.front();
    }
  }
  return NameLoc::get(StringAttr::get(context, name),
                      NameLoc::get(StringAttr::get(context, node.op), place));
}

void FunctionImporter::recordUnsupported(const Node &node, StringRef why) {
  Unsupported &entry = shared.unsupported[{node.op, node.domain}];
  if (entry.count++ == 0) {
    entry.firstNode =
        node.name.empty() && !node.outputs.empty() ? "-> " + node.outputs.front() : node.name;
    entry.why = why.str();
  }
}

Value FunctionImporter::initializer(const ParameterUse &use) {
  const Tensor &tensor = *use.tensor;
  Type element = elementType(&shared.context, tensor.type);
  if (!element) {
    return {};
  }
  const Parameter *parameter =
      use.parameter < 0 ? nullptr : &shared.parameters.parameters()[use.parameter];
  Value value;
  if (parameter && !parameter->folds) {
    value = emitter.getGlobal(parameter->name, RankedTensorType::get(parameter->dims, element));
    value = parameter->transposed ? emitter.transpose(value, {1, 0})
                                  : emitter.reshape(value, parameter->tensor->dims);
  } else {
    if (tensor.isMissing) {
      dsc::emitError(emitter.loc, ErrorId::ModelWeights)
          << "needs the values of the initializer \"" << tensor.name << "\" ("
          << (parameter ? parameter->reason : "a constant")
          << "), whose external data is not there: put the file beside the model, or "
             "export without external data; only parameters' values may be missing";
      shared.isMissingData = true;
      return {};
    }
    DenseElementsAttr &elements = shared.constantValues[tensor.name];
    if (!elements) {
      elements = toElements(&shared.context, tensor);
    }
    if (!elements) {
      return {};
    }
    value = emitter.constant(elements);
  }
  return use.transposed ? emitter.transpose(value, {1, 0}) : value;
}

Entry FunctionImporter::lookUp(const Node &node, StringRef name, int64_t position, unsigned slot,
                               const Scope &scope) {
  if (scope.isMain) {
    ParameterUse use = shared.parameters.use(name, position, slot);
    if (use.tensor) {
      Value value = initializer(use);
      if (!value && shared.isMissingData) {
        return {{}, false, true};
      }
      if (!value) {
        recordUnsupported(node, "its operand '" + name.str() + "' is of type " +
                                    nameOf(use.tensor->type));
        return {{}, false, true};
      }
      return {{value}, false, false};
    }
  }
  auto it = scope.entries.find(name);
  if (it != scope.entries.end()) {
    return it->second;
  }
  return scope.outer ? lookUp(node, name, -1, slot, *scope.outer) : Entry();
}

LogicalResult FunctionImporter::importNode(const Node &node, int64_t position, Scope &scope,
                                           int depth) {
  if (++shared.nodes > kMaxNodes) {
    return emitter.error() << "function bodies expand to more than " << kMaxNodes << " nodes";
  }
  if (depth == 0) {
    emitter.loc = locate(node);
    state.randomInNode = 0;
  }
  std::vector<SmallVector<Value, 1>> inputs(node.inputs.size());
  SmallVector<bool> sequences(node.inputs.size(), false);
  bool poisoned = false;
  for (unsigned i = 0; i < node.inputs.size(); ++i) {
    if (node.inputs[i].empty()) {
      continue;
    }
    Entry entry = lookUp(node, node.inputs[i], position, i, scope);
    inputs[i] = entry.values;
    sequences[i] = entry.isSequence;
    poisoned |= entry.poisoned;
  }
  if (int bias = scope.isMain ? shared.parameters.droppedBias(position) : -1; bias >= 0) {
    inputs.resize(3);
    sequences.resize(3, false);
    const Parameter &parameter = shared.parameters.parameters()[bias];
    inputs[2] = {initializer({parameter.tensor, bias, false})};
  }
  ImportFunction function = findImport(node.domain, node.op);
  LogicalResult status = success();
  NodeImport import(node, emitter, state, inputs, sequences);
  bool isBranch = node.op == "If" && node.domain.empty();
  if (!poisoned) {
    status = isBranch   ? takeBranch(node, import, scope, depth)
             : function ? function(import)
                        : expandNode(node, import, depth);
    if (import.wantsBody) {
      status = expandNode(node, import, depth);
    }
    if (failed(status) && import.refused.empty()) {
      return failure();
    }
  } else if (!function && !isBranch && !hasFunctionBody(node.op, node.domain)) {
    import.refused = "no such operator is known here";
    status = failure();
  }
  if (failed(status)) {
    recordUnsupported(node, import.refused);
  }
  for (unsigned i = 0; i < node.outputs.size(); ++i) {
    if (node.outputs[i].empty()) {
      continue;
    }
    Entry &entry = scope.entries[node.outputs[i]];
    if (poisoned || failed(status)) {
      entry.poisoned = true;
      continue;
    }
    entry.values = import.outputs[i];
    entry.isSequence = import.outputSequences[i];
    if (entry.values.empty() && !entry.isSequence) {
      entry.poisoned = true; // The row does not give this output.
      if (!scope.isMain || shared.read.contains(node.outputs[i])) {
        recordUnsupported(node, "its output " + std::to_string(i) + " is not supported");
      }
    } else if (scope.isMain) {
      keep(node.outputs[i], entry);
    }
  }
  return success();
}

/// Marks a value of the training function that --keep-values asks for.
void FunctionImporter::keep(StringRef name, const Entry &entry) {
  if (!shared.keepValues || state.mode != Mode::Train || entry.values.size() != 1 ||
      entry.isSequence || !shared.keepValues->match(name)) {
    return;
  }
  kept.emplace_back(name.str(), entry.values.front());
}

LogicalResult FunctionImporter::expandNode(const Node &node, NodeImport &import, int depth) {
  std::vector<OperandType> types(node.inputs.size());
  for (unsigned i = 0; i < node.inputs.size(); ++i) {
    if (Value value = import.input(i)) {
      types[i].type = dataType(Emitter::elementOf(value));
      types[i].dims = Emitter::shapeOf(value).vec();
    }
  }
  if (!hasFunctionBody(node.op, node.domain)) {
    return import.refuse("no such operator is known here");
  }
  std::optional<FunctionBody> body = expandFunction(node, types);
  if (!body || depth >= kMaxNesting) {
    return import.refuse("its function body does not fit these operands");
  }
  Scope scope;
  for (unsigned i = 0; i < body->inputs.size() && i < import.inputs.size(); ++i) {
    if (import.hasInput(i)) {
      scope.entries[body->inputs[i]].values = import.inputs[i];
    }
  }
  size_t before = shared.unsupported.size();
  for (Node &inner : body->nodes) {
    inner.name = node.name;
    // An operand that the call leaves out is left out inside, too.
    for (std::string &name : inner.inputs) {
      if (!name.empty() && !scope.entries.contains(name)) {
        name.clear();
      }
    }
    if (failed(importNode(inner, -1, scope, depth + 1))) {
      return failure();
    }
  }
  if (shared.unsupported.size() != before) {
    return import.refuse("its function body holds an operator that is not supported");
  }
  for (unsigned i = 0; i < node.outputs.size() && i < body->outputs.size(); ++i) {
    auto it = scope.entries.find(body->outputs[i]);
    if (it != scope.entries.end() && !it->second.poisoned) {
      import.outputs[i] = it->second.values;
      import.outputSequences[i] = it->second.isSequence;
    } else if (it != scope.entries.end()) {
      return import.refuse("its function body holds an operator that is not supported");
    }
  }
  return success();
}

/// An If whose condition is known once shapes are: the nodes of the branch that it takes. Exporters
/// write one where the rank of a tensor was not known to them.
LogicalResult FunctionImporter::takeBranch(const Node &node, NodeImport &import, const Scope &scope,
                                           int depth) {
  FailureOr<SmallVector<int64_t>> condition = import.constantInts(0, "the condition");
  if (failed(condition)) {
    return failure();
  }
  bool isTaken = condition->size() == 1 && condition->front() != 0;
  const onnx_model::NodeAttribute *branch = node.attribute(isTaken ? "then_branch" : "else_branch");
  if (condition->size() != 1 || !branch || !branch->graph ||
      branch->graph->outputs.size() != node.outputs.size()) {
    return import.error() << "needs a condition of one element, and two branches with "
                          << node.outputs.size() << " outputs";
  }
  Scope inner; // The reader bounds how deep branches nest.
  inner.outer = &scope;
  for (const Tensor &tensor : branch->graph->initializers) {
    DenseElementsAttr elements = toElements(&shared.context, tensor);
    if (!elements) {
      return import.refuse("its branch holds a tensor of type " + Twine(nameOf(tensor.type)));
    }
    inner.entries[tensor.name].values = {emitter.constant(elements)};
  }
  size_t before = shared.unsupported.size();
  for (const Node &innerNode : branch->graph->nodes) {
    if (failed(importNode(innerNode, -1, inner, depth + 1))) {
      return failure();
    }
  }
  for (auto [i, output] : llvm::enumerate(branch->graph->outputs)) {
    Entry entry = lookUp(node, output.name, -1, 0, inner);
    if (entry.poisoned || shared.unsupported.size() != before) {
      return import.refuse("its branch holds an operator that is not supported");
    }
    import.outputs[i] = entry.values;
    import.outputSequences[i] = entry.isSequence;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// The graph
//===----------------------------------------------------------------------===//

LogicalResult FunctionImporter::importGraph(ArrayRef<Value> arguments,
                                            ArrayRef<const ValueInfo *> infos) {
  main.isMain = true;
  for (auto [value, info] : llvm::zip_equal(arguments, infos)) {
    main.entries[info->name].values = {value};
    keep(info->name, main.entries[info->name]);
  }
  for (auto [position, node] : llvm::enumerate(shared.model.graph.nodes)) {
    if (failed(importNode(node, position, main, 0)) || shared.isMissingData) {
      return failure();
    }
  }
  return success();
}

FailureOr<SmallVector<Value>> FunctionImporter::outputs() {
  SmallVector<Value> results;
  for (const ValueInfo &output : shared.model.graph.outputs) {
    ParameterUse use = shared.parameters.use(output.name, -1, 0);
    Entry entry = main.entries.lookup(output.name);
    bool isOne = !entry.isSequence && entry.values.size() == 1;
    results.push_back(use.tensor ? initializer(use) : isOne ? entry.values[0] : Value());
    if (!results.back() && shared.isMissingData) {
      return failure(); // said already
    }
    if (!results.back()) {
      emitter.loc =
          FileLineColLoc::get(&shared.context, llvm::sys::path::filename(shared.model.path), 0, 0);
      return emitter.error() << "output \"" << output.name << "\" is not a tensor that dsc computes"
                             << (use.tensor ? ", but of type " + nameOf(use.tensor->type) : "");
    }
  }
  return results;
}

/// Emits all unsupported nodes as one error.
static LogicalResult reportUnsupported(const ModuleState &shared, Location loc) {
  if (shared.unsupported.empty()) {
    return success();
  }
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "these operators are not supported:\n  operator, domain, count, first node, why\n";
  for (const auto &[key, entry] : shared.unsupported) {
    out << "  " << key.first << ", " << (key.second.empty() ? "ai.onnx" : key.second) << ", "
        << entry.count << ", \"" << entry.firstNode << "\", " << entry.why << "\n";
  }
  return dsc::emitError(loc, ErrorId::ImportUnsupported) << StringRef(text).rtrim();
}

/// Removes ops whose results nothing uses; constants and reads of globals too.
static void removeDeadOps(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
    }
  }
}

/// The type that an input has after binding; errors name the flag to add.
static FailureOr<RankedTensorType> boundType(const ValueInfo &input, const ImportOptions &options,
                                             Location loc, MLIRContext &context) {
  Type element = input.isTensor ? elementType(&context, input.type) : Type();
  if (!element) {
    return dsc::emitError(loc, ErrorId::ImportDims)
           << "input \"" << input.name << "\" is of type "
           << (input.isTensor ? nameOf(input.type) : "sequence, map or optional")
           << ", which dsc does not have";
  }
  auto given = options.inputs.find(input.name);
  SmallVector<int64_t> shape;
  if (given != options.inputs.end()) {
    if (input.hasShape && given->second.size() != input.dims.size()) {
      return dsc::emitError(loc, ErrorId::ImportDims)
             << "--input " << input.name << " has " << given->second.size()
             << " dimensions, the model's input has " << input.dims.size();
    }
    for (int64_t dim : given->second) {
      if (dim < 0) {
        return dsc::emitError(loc, ErrorId::ImportDims)
               << "--input " << input.name << " has the negative dimension " << dim;
      }
    }
    return RankedTensorType::get(given->second, element);
  }
  if (!input.hasShape) {
    return dsc::emitError(loc, ErrorId::ImportDims)
           << "input \"" << input.name << "\" has no shape in the file: add --input " << input.name
           << "=DIMxDIM..";
  }
  std::string flags, pattern;
  for (const Dim &dim : input.dims) {
    auto bound = dim.name.empty() ? options.dims.end() : options.dims.find(dim.name);
    pattern +=
        (pattern.empty() ? "" : "x") + (dim.size ? std::to_string(*dim.size) : std::string("N"));
    if (bound != options.dims.end() && bound->second >= 0) {
      shape.push_back(bound->second);
    } else if (dim.size) {
      shape.push_back(*dim.size);
    } else {
      flags += dim.name.empty() ? "" : " --dim " + dim.name + "=N";
      shape.push_back(-1);
    }
  }
  if (llvm::is_contained(shape, -1)) {
    bool allNamed =
        llvm::all_of(input.dims, [](const Dim &dim) { return dim.size || !dim.name.empty(); });
    return dsc::emitError(loc, ErrorId::ImportDims)
           << "input \"" << input.name << "\" has unbound dimensions: add"
           << (allNamed ? flags : " --input " + input.name + "=" + pattern);
  }
  return RankedTensorType::get(shape, element);
}

/// The constant that --bind gives an input: one number for all elements, or one for each.
static FailureOr<DenseElementsAttr> boundValue(StringRef name, StringRef text,
                                               RankedTensorType type, Location loc) {
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  if (parts.size() != 1 && static_cast<int64_t>(parts.size()) != type.getNumElements()) {
    return dsc::emitError(loc, ErrorId::ImportName)
           << "--bind " << name << " gives " << parts.size() << " values, the input is " << type;
  }
  SmallVector<Attribute> values;
  for (StringRef part : parts) {
    double number;
    if (part == "true" || part == "false") {
      number = part == "true";
    } else if (part.trim().getAsDouble(number)) {
      return dsc::emitError(loc, ErrorId::ImportName)
             << "--bind " << name << ": '" << part << "' is not a number";
    }
    Type element = type.getElementType();
    if (isa<FloatType>(element)) {
      values.push_back(FloatAttr::get(element, number));
    } else {
      values.push_back(
          IntegerAttr::get(element, APInt(64, static_cast<uint64_t>(static_cast<int64_t>(number)))
                                        .trunc(element.getIntOrFloatBitWidth())));
    }
  }
  return DenseElementsAttr::get(type, values);
}

namespace {

/// Builds the module once the table of parameters is known.
class ModuleBuilder {
public:
  ModuleBuilder(ModuleState &shared, Location loc) : shared(shared), loc(loc) {}
  FailureOr<OwningOpRef<ModuleOp>> build(std::vector<std::string> &notices);

private:
  LogicalResult bindInputs();
  FailureOr<func::FuncOp> buildFunction(ModuleOp module, StringRef name, Mode mode,
                                        std::vector<std::string> &notices);
  void addGlobals(ModuleOp module);
  void moveConstants(ModuleOp module);

  ModuleState &shared;
  Location loc;
  SmallVector<const ValueInfo *> arguments;
  SmallVector<Type> argumentTypes;
  SmallVector<std::pair<const ValueInfo *, DenseElementsAttr>> bound;
};

} // namespace

LogicalResult ModuleBuilder::bindInputs() {
  llvm::StringSet<> names, dims;
  for (const ValueInfo &input : shared.model.graph.inputs) {
    names.insert(input.name);
    for (const Dim &dim : input.dims) {
      dims.insert(dim.name);
    }
    FailureOr<RankedTensorType> type = boundType(input, shared.options, loc, shared.context);
    if (failed(type)) {
      return failure();
    }
    auto bind = shared.options.bind.find(input.name);
    if (bind != shared.options.bind.end()) {
      FailureOr<DenseElementsAttr> value = boundValue(input.name, bind->second, *type, loc);
      if (failed(value)) {
        return failure();
      }
      bound.emplace_back(&input, *value);
      continue;
    }
    arguments.push_back(&input);
    argumentTypes.push_back(*type);
  }
  for (const auto &entry : shared.options.dims) {
    if (!dims.contains(entry.first())) {
      return dsc::emitError(loc, ErrorId::ImportName)
             << "--dim " << entry.first() << ": no input has a dimension of that name";
    }
  }
  auto checkInput = [&](StringRef flag, StringRef name) -> LogicalResult {
    if (names.contains(name)) {
      return success();
    }
    return dsc::emitError(loc, ErrorId::ImportName)
           << flag << " " << name << ": the model has no input of that name";
  };
  for (const auto &entry : shared.options.inputs) {
    if (failed(checkInput("--input", entry.first()))) {
      return failure();
    }
  }
  for (const auto &entry : shared.options.bind) {
    if (failed(checkInput("--bind", entry.first()))) {
      return failure();
    }
  }
  return success();
}

FailureOr<func::FuncOp> ModuleBuilder::buildFunction(ModuleOp module, StringRef name, Mode mode,
                                                     std::vector<std::string> &notices) {
  auto builder = OpBuilder::atBlockEnd(module.getBody());
  auto function =
      builder.create<func::FuncOp>(loc, name, builder.getFunctionType(argumentTypes, {}));
  Block *block = function.addEntryBlock();
  FunctionImporter importer(shared, mode, block);
  SmallVector<Value> values(block->args_begin(), block->args_end());
  SmallVector<const ValueInfo *> infos(arguments);
  for (auto &[info, elements] : bound) {
    values.push_back(importer.getEmitter().constant(elements));
    infos.push_back(info);
  }
  if (failed(importer.importGraph(values, infos)) || failed(reportUnsupported(shared, loc))) {
    return failure();
  }
  FailureOr<SmallVector<Value>> results = importer.outputs();
  if (failed(results)) {
    return failure();
  }
  if (shared.keepValues && mode == Mode::Train && importer.keptValues().empty()) {
    return dsc::emitError(loc, ErrorId::ImportName)
           << "--keep-values '" << shared.options.keepValues
           << "' matches no input and no node's output of the graph (parameters are in the weights "
              "file, their gradients come from `./model gradients`)";
  }
  for (const auto &[keptName, value] : importer.keptValues()) {
    results->push_back(value);
  }
  Emitter &emitter = importer.getEmitter();
  for (const StatisticUpdate &update : importer.getState().updates) {
    auto source = update.running.getDefiningOp<GetGlobalOp>();
    emitter.builder.create<SetGlobalOp>(update.value.getLoc(), source.getNameAttr(), update.value);
  }
  emitter.builder.create<func::ReturnOp>(loc, *results);
  function.setType(builder.getFunctionType(argumentTypes, ValueRange(*results).getTypes()));
  for (auto [i, info] : llvm::enumerate(arguments)) {
    function.setArgAttr(i, "dsc.name", builder.getStringAttr(info->name));
  }
  for (auto [i, info] : llvm::enumerate(shared.model.graph.outputs)) {
    function.setResultAttr(i, "dsc.name", builder.getStringAttr(info.name));
  }
  for (auto [i, kept] : llvm::enumerate(importer.keptValues())) {
    unsigned result = shared.model.graph.outputs.size() + i;
    function.setResultAttr(result, "dsc.name", builder.getStringAttr(kept.first));
    function.setResultAttr(result, "dsc.keep", builder.getUnitAttr());
  }
  removeDeadOps(*block);
  llvm::append_range(notices, importer.getState().notices);
  return function;
}

/// A tensor of one number.
static DenseElementsAttr splatOf(RankedTensorType type, double number) {
  Type element = type.getElementType();
  if (isa<FloatType>(element)) {
    return DenseElementsAttr::get(type, FloatAttr::get(element, number));
  }
  return DenseElementsAttr::get(type, IntegerAttr::get(element, static_cast<int64_t>(number)));
}

/// Declares parameters and buffers in the file's order, then the run-time values that random ops
/// read.
void ModuleBuilder::addGlobals(ModuleOp module) {
  auto builder = OpBuilder::atBlockBegin(module.getBody());
  std::string file = llvm::sys::path::filename(shared.model.path).str();
  for (const Parameter &parameter : shared.parameters.parameters()) {
    Type element = elementType(&shared.context, parameter.tensor->type);
    if (!element) {
      continue;
    }
    Location place = NameLoc::get(builder.getStringAttr(parameter.name));
    SmallVector<StringRef> names(parameter.onnxNames.begin(), parameter.onnxNames.end());
    auto type = RankedTensorType::get(parameter.dims, element);
    SourceAttr source;
    ElementsAttr fill;
    DictionaryAttr random;
    std::string reason = parameter.reason;
    if (!parameter.start) {
      source = SourceAttr::get(&shared.context,
                               parameter.tensor->file ? parameter.tensor->file->path : file,
                               parameter.tensor->name, "");
    } else if (parameter.start->kind == InitialValue::Kind::Fill) {
      fill = splatOf(type, parameter.start->number);
    } else {
      // The runner makes the numbers; the value is not used.
      bool isUniform = parameter.start->kind == InitialValue::Kind::Uniform;
      fill = splatOf(type, 0);
      random = builder.getDictionaryAttr(builder.getNamedAttr(
          isUniform ? "uniform" : "normal", builder.getF64FloatAttr(parameter.start->number)));
    }
    if (parameter.start) {
      reason += "; starts at " + describe(*parameter.start);
    }
    auto global = builder.create<GlobalOp>(place, parameter.name, type, parameter.role, fill,
                                           source, builder.getStrArrayAttr(names),
                                           builder.getStringAttr(reason), FlatSymbolRefAttr(),
                                           StringAttr(), SlotAttr(), StorageAttr(), PlaceAttr());
    if (random) {
      global->setAttr("dsc.init", random);
    }
  }
  auto scalar = RankedTensorType::get({}, builder.getI64Type());
  for (StringRef name : {"rt.seed", "rt.step", "rt.sample_base"}) {
    bool used = false;
    module.walk([&](GetGlobalOp op) { used |= op.getName() == name; });
    if (used) {
      builder.create<GlobalOp>(NameLoc::get(builder.getStringAttr(name)), name, scalar,
                               GlobalRole::runtime, DenseElementsAttr::get(scalar, int64_t(0)),
                               SourceAttr(), ArrayAttr(), StringAttr(), FlatSymbolRefAttr(),
                               StringAttr(), SlotAttr(), StorageAttr(), PlaceAttr());
    }
  }
}

/// Turns constants with many different elements into globals, each once for both functions.
void ModuleBuilder::moveConstants(ModuleOp module) {
  llvm::StringSet<> taken;
  Operation *last = nullptr;
  for (auto global : module.getOps<GlobalOp>()) {
    taken.insert(global.getSymName());
    last = global;
  }
  llvm::DenseMap<Attribute, StringRef> names;
  llvm::DenseMap<Attribute, StringRef> known;
  for (const auto &entry : shared.constantValues) {
    if (entry.second) {
      known.try_emplace(entry.second, entry.first());
    }
  }
  int64_t number = 0;
  SmallVector<ConstantOp> constants;
  module.walk([&](ConstantOp op) { constants.push_back(op); });
  for (ConstantOp op : constants) {
    auto elements = dyn_cast<DenseElementsAttr>(op.getValue());
    if (!elements || elements.isSplat() || elements.getNumElements() <= kMaxInlineConstant) {
      continue;
    }
    OpBuilder builder(op);
    auto [it, isNew] = names.try_emplace(elements);
    if (isNew) {
      auto origin = known.find(elements);
      std::string name =
          origin != known.end() ? origin->second.str() : "constant." + std::to_string(number++);
      while (isFunctionName(name) || !taken.insert(name).second) {
        name = "constant." + std::to_string(number++);
      }
      OpBuilder at(&shared.context);
      if (last) {
        at.setInsertionPointAfter(last);
      } else {
        at.setInsertionPointToStart(module.getBody());
      }
      std::string reason =
          origin != known.end() ? "an initializer that is no parameter" : "folded while importing";
      auto global = at.create<GlobalOp>(
          NameLoc::get(at.getStringAttr(name)), name, elements.getType(), GlobalRole::constant,
          elements, SourceAttr(), ArrayAttr(), at.getStringAttr(reason), FlatSymbolRefAttr(),
          StringAttr(), SlotAttr(), StorageAttr(), PlaceAttr());
      last = global;
      it->second = global.getSymName();
    }
    Value read = builder.create<GetGlobalOp>(op.getLoc(), op.getType(),
                                             FlatSymbolRefAttr::get(&shared.context, it->second));
    op.replaceAllUsesWith(read);
    op.erase();
  }
}

FailureOr<OwningOpRef<ModuleOp>> ModuleBuilder::build(std::vector<std::string> &notices) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  if (failed(bindInputs()) || failed(buildFunction(*module, "forward", Mode::Train, notices))) {
    return failure();
  }
  std::vector<std::string> repeated;
  if (failed(buildFunction(*module, "inference", Mode::Inference, repeated))) {
    return failure();
  }
  addGlobals(*module);
  moveConstants(*module);
  (*module)->setAttr("dsc.options", shared.options.options.toAttribute(&shared.context));
  setPhase(*module, Phase::Import);
  return module;
}

FailureOr<ImportResult> dsc::importGraph(MLIRContext &context, const Model &model,
                                         const ParameterTable &parameters,
                                         const ImportOptions &options) {
  ModuleState shared{context, model, parameters, options, {}, {}, {}, 0, FoldMemo(), {}, false};
  for (const Node &node : model.graph.nodes) {
    for (const std::string &name : node.inputs) {
      shared.read.insert(name);
    }
    onnx_model::forEachInnerRead(node, [&](const std::string &name) { shared.read.insert(name); });
  }
  for (const ValueInfo &output : model.graph.outputs) {
    shared.read.insert(output.name);
  }
  Location loc = FileLineColLoc::get(&context, llvm::sys::path::filename(model.path), 0, 0);
  if (!options.keepValues.empty()) {
    shared.keepValues.emplace(options.keepValues);
    std::string fault;
    if (!shared.keepValues->isValid(fault)) {
      return dsc::emitError(loc, ErrorId::FlagValue) << "--keep-values '" << options.keepValues
                                                     << "' is not a regular expression: " << fault;
    }
  }
  ImportResult result;
  FailureOr<OwningOpRef<ModuleOp>> module = ModuleBuilder(shared, loc).build(result.notices);
  if (failed(module)) {
    return failure();
  }
  result.module = std::move(*module);
  return result;
}
