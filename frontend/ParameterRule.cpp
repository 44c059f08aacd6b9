// The rule, step by step: classify each initializer, split what the exporter merged, restore
// dropped biases, tie equal weights again, apply --train and --freeze. docs/parameters.md says the
// same for users, with the same numbers.

#include "frontend/ParameterRule.h"

#include "frontend/InitialValues.h"
#include "frontend/NodeImport.h"
#include "frontend/ParameterNames.h"
#include "frontend/WeightTies.h"
#include "ir/Diagnostic.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Regex.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::onnx_model;

namespace dsc {

/// One initializer (or an Identity of one) on its way to a role.
struct Candidate {
  std::string value; // the name that nodes read
  const Tensor *tensor = nullptr;
  std::string name; // the name for the user
  std::optional<GlobalRole> role;
  std::string reason;
  SmallVector<std::pair<int64_t, unsigned>> uses; // (node position, operand)
  bool folds = false;
  std::vector<int64_t> dims; // PyTorch's shape, where it is not the file's
  bool transposed = false;
  int original = -1; // the candidate that this one is an Identity of
};

class ParameterRule {
public:
  ParameterRule(const Model &model, const ImportOptions &options, Location loc)
      : model(model), options(options), loc(loc), result(std::make_unique<ParameterTable>()) {}
  FailureOr<std::unique_ptr<ParameterTable>> run();

private:
  void collect();
  LogicalResult classify(Candidate &candidate);
  LogicalResult classifyByName(Candidate &candidate);
  bool isAttributeOperand(const Candidate &candidate) const;
  bool isStatistic(const Candidate &candidate) const;
  bool isReadBy(const Candidate &candidate,
                llvm::function_ref<bool(const Node &, unsigned)> reads) const;
  bool isFoldedWeight(const Candidate &candidate) const;
  LogicalResult classifyFolded(Candidate &candidate, StringRef list);
  void restoreShape(Candidate &candidate);
  void splitMerged(Candidate &candidate);
  void restoreDroppedBiases();
  LogicalResult applyFlags();
  void tie();
  int add(const Candidate &candidate);
  std::string uniqueName(std::string name);
  std::string scopeOf(const Node &node) const;

  const Model &model;
  const ImportOptions &options;
  Location loc;
  std::unique_ptr<ParameterTable> result;
  std::vector<Candidate> candidates;
  llvm::StringMap<size_t> byValue;
  llvm::StringSet<> names;
  llvm::StringSet<> computed;      // values of the graph that are no initializers
  std::vector<std::string> unsure; // constants that may be weights: name and shape
  int64_t splitCount = 0, restoredCount = 0, foldedNorms = 0, madeKernels = 0;
};

} // namespace dsc

//===----------------------------------------------------------------------===//
// Facts about one tensor
//===----------------------------------------------------------------------===//

static bool isFloatType(DataType type) {
  return type == DataType::Float || type == DataType::Double || type == DataType::Float16 ||
         type == DataType::Bfloat16;
}

static bool matches(StringRef text, StringRef pattern) { return llvm::Regex(pattern).match(text); }

/// A vector in the shape that broadcasts it along one dimension of a larger tensor: [C, 1, 1].
static bool isReshapedVector(const Tensor &tensor) {
  return tensor.dims.size() >= 3 &&
         llvm::count_if(tensor.dims, [](int64_t dim) { return dim != 1; }) <= 1;
}

/// Whether the values look like a weight's: hardly a number twice, no sines and cosines.
static bool looksLearned(const Tensor &tensor) {
  ValueFacts facts = factsOf(tensor);
  return !facts.isMask && !facts.isSinusoid && facts.distinct * 2 > facts.elements;
}

/// Whether nodes read the candidate, and all so.
bool ParameterRule::isReadBy(const Candidate &candidate,
                             llvm::function_ref<bool(const Node &, unsigned)> reads) const {
  return !candidate.uses.empty() &&
         llvm::all_of(candidate.uses, [&](std::pair<int64_t, unsigned> use) {
           return reads(model.graph.nodes[use.first], use.second);
         });
}

/// What an optimizer made of a weight by moving its numbers, without a note about it: the matrix of
/// a product or the kernel of a convolution, the slopes of a PRelu, a norm's vector for images.
bool ParameterRule::isFoldedWeight(const Candidate &candidate) const {
  bool isSlope = isReadBy(
      candidate, [](const Node &node, unsigned slot) { return node.op == "PRelu" && slot == 1; });
  bool isMatrix = isReadBy(candidate, [&](const Node &node, unsigned slot) {
    return slot == 1 && ((node.op == "MatMul" && candidate.tensor->dims.size() == 2) ||
                         node.op == "Gemm" || node.op == "Conv" || node.op == "ConvTranspose");
  });
  bool isChannelVector = isReadBy(candidate, [&](const Node &node, unsigned slot) {
    return isReshapedVector(*candidate.tensor) && candidate.tensor->dims.back() == 1 &&
           (node.op == "Mul" || node.op == "Add" || (node.op == "CastLike" && slot == 0));
  });
  return isSlope || isChannelVector || (isMatrix && looksLearned(*candidate.tensor));
}

/// Operands that are settings rather than weights, though they may be floats.
bool ParameterRule::isAttributeOperand(const Candidate &candidate) const {
  return isReadBy(candidate, [](const Node &node, unsigned slot) {
    if (node.op == "Resize" || node.op == "Upsample" || node.op == "Clip" || node.op == "Dropout") {
      return slot >= 1;
    }
    return node.op == "Range" || (node.op == "Pad" && slot == 2) ||
           (node.op == "OneHot" && slot >= 1) || (node.op == "CastLike" && slot == 1) ||
           node.op == "ConstantOfShape";
  });
}

bool ParameterRule::isStatistic(const Candidate &candidate) const {
  return llvm::any_of(candidate.uses, [&](std::pair<int64_t, unsigned> use) {
    return model.graph.nodes[use.first].op == "BatchNormalization" && use.second >= 3;
  });
}

/// The path of the module that `node` belongs to ("h.0.ln_1"), "" where the file does not say.
std::string ParameterRule::scopeOf(const Node &node) const {
  auto it = node.metadata.find("pkg.torch.onnx.name_scopes");
  if (it != node.metadata.end()) {
    SmallVector<std::string> scopes = pythonStrings(it->second);
    return scopes.size() >= 2 ? scopes[scopes.size() - 2] : "";
  }
  // TorchScript's exporter writes the path into the node's name: /h.0/c_attn/MatMul.
  SmallVector<StringRef> parts;
  StringRef(node.name).split(parts, '/', -1, false);
  if (!StringRef(node.name).starts_with("/") || parts.size() < 2) {
    return "";
  }
  std::string path;
  for (StringRef part : ArrayRef<StringRef>(parts).drop_back()) {
    path += (path.empty() ? "" : ".") + part.str();
  }
  return path;
}

std::string ParameterRule::uniqueName(std::string name) {
  if (name.empty() || isFunctionName(name)) {
    name += ".parameter";
  }
  std::string unique = name;
  for (int i = 1; !names.insert(unique).second; ++i) {
    unique = name + "." + std::to_string(i);
  }
  return unique;
}

//===----------------------------------------------------------------------===//
// Rules 1 to 3: the role of one tensor
//===----------------------------------------------------------------------===//

void ParameterRule::collect() {
  for (const Tensor &tensor : model.graph.initializers) {
    byValue[tensor.name] = candidates.size();
    candidates.push_back({tensor.name, &tensor, tensor.name, {}, "", {}, false, {}, false, -1});
  }
  auto isIdentityOfWeight = [&](const Node &node) {
    if (node.op != "Identity" || !node.domain.empty() || node.inputs.size() != 1 ||
        node.outputs.size() != 1) {
      return false;
    }
    auto it = byValue.find(node.inputs[0]);
    return it != byValue.end() && isFloatType(candidates[it->second].tensor->type);
  };
  for (const ValueInfo &input : model.graph.inputs) {
    computed.insert(input.name);
  }
  for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
    for (const std::string &output : node.outputs) {
      computed.insert(output);
    }
    // TorchScript's exporter keeps one of several equal tensors; Identity gives the others back
    // their names.
    if (isIdentityOfWeight(node)) {
      auto original = static_cast<int>(byValue[node.inputs[0]]);
      const Tensor *tensor = candidates[original].tensor;
      byValue[node.outputs[0]] = candidates.size();
      candidates.push_back(
          {node.outputs[0], tensor, node.outputs[0], {}, "", {}, false, {}, false, original});
      continue;
    }
    // PaddlePaddle's exporter stores weights in Constant nodes.
    if (node.op == "Constant" && StringRef(model.producer).contains_insensitive("paddle") &&
        !node.outputs.empty()) {
      const NodeAttribute *value = node.attribute("value");
      if (value && value->tensor && isFloatType(value->tensor->type) &&
          value->tensor->elements() > 1) {
        value->tensor->name = node.outputs[0];
        byValue[node.outputs[0]] = candidates.size();
        candidates.push_back({node.outputs[0],
                              value->tensor.get(),
                              node.outputs[0],
                              {},
                              "",
                              {},
                              false,
                              {},
                              false,
                              -1});
        continue;
      }
    }
    for (auto [slot, input] : llvm::enumerate(node.inputs)) {
      auto it = byValue.find(input);
      if (it != byValue.end()) {
        candidates[it->second].uses.emplace_back(position, slot);
      }
    }
    // Reads in branches count as one of the If, in no slot that says anything.
    forEachInnerRead(node, [&, position = position](const std::string &name) {
      auto it = byValue.find(name);
      if (it != byValue.end()) {
        candidates[it->second].uses.emplace_back(position, ~0U);
      }
    });
  }
}

LogicalResult ParameterRule::classifyFolded(Candidate &candidate, StringRef list) {
  SmallVector<std::string> sources;
  bool isComputed = false;
  for (const std::string &source : pythonStrings(list)) {
    // A lone number without a module's path is a setting of an operator ("beta", "threshold").
    bool setting = candidate.tensor->elements() == 1 && !StringRef(source).contains('.');
    // Of a value that the graph computes only the shape can have been folded.
    if (looksLikeParameter(source) && !setting && !computed.contains(source)) {
      sources.push_back(source);
    }
    isComputed |= isArithmeticName(source);
  }
  ValueFacts facts = factsOf(*candidate.tensor);
  if (sources.empty() || facts.isMask) {
    candidate.reason = "rule 2: folded by the exporter from constants and buffers";
    return success();
  }
  // A weight's numbers hardly repeat; in f32 half of them equal means that they were copied.
  bool wide =
      candidate.tensor->type == DataType::Float || candidate.tensor->type == DataType::Double;
  if (wide && facts.distinct > 1 && facts.elements >= 4 && facts.distinct * 2 <= facts.elements) {
    return dsc::emitError(loc, ErrorId::ImportCopies)
           << "initializer \"" << candidate.value << "\" holds copies of the parameter '"
           << sources[0] << "' (" << facts.elements << " elements, " << facts.distinct
           << " different ones), made by the exporter's folding; they cannot be "
              "trained: export with optimize=False";
  }
  candidate.role = GlobalRole::trained;
  if (sources.size() == 1) {
    candidate.name = sources[0];
    restoreShape(candidate);
  }
  candidate.reason = "rule 2: folded by the exporter from " + sources[0];
  bool isJoined = isReadBy(candidate, [](const Node &node, unsigned) {
    return node.op == "LSTM" || node.op == "GRU" || node.op == "RNN";
  });
  if ((sources.size() > 1 && !isJoined) || isComputed) {
    SmallVector<std::string> named; // values on the way have no module's path
    llvm::copy_if(sources, std::back_inserter(named),
                  [](const std::string &source) { return source.find('.') != std::string::npos; });
    result->notices.push_back("the exporter computed '" + candidate.value + "' from '" +
                              llvm::join(named.empty() ? sources : named, "', '") +
                              "': it is trained in place of what it was computed from (export with "
                              "optimize=False keeps that)");
  }
  return success();
}

LogicalResult ParameterRule::classifyByName(Candidate &candidate) {
  StringRef name = candidate.value;
  const Tensor &tensor = *candidate.tensor;
  size_t rank = tensor.dims.size();
  bool isVector = isReshapedVector(tensor);
  if (matches(name, "^onnx::Add_[0-9]+$") && rank == 4 && tensor.dims[0] == 1 && !isVector) {
    return dsc::emitError(loc, ErrorId::ImportCopies)
           << "initializer \"" << name
           << "\" of rank 4 holds copies of a table of position biases, made "
           << "by the exporter's folding; they cannot be trained: export with "
              "do_constant_folding=False "
           << "(or dynamo=True, optimize=False)";
  }
  bool isRenamed =
      matches(name, "^onnx::(MatMul|Gemm|Conv|ConvTranspose|PRelu|LSTM|GRU|RNN)_[0-9]+$") ||
      (matches(name, "^onnx::(Mul|Add)_[0-9]+$") && isVector);
  if (isRenamed || (matches(name, "^val_[0-9]+$") && isFoldedWeight(candidate))) {
    candidate.role = GlobalRole::trained;
    candidate.reason = isRenamed ? "rule 3: a weight that the exporter renamed"
                                 : "rule 3: read as a weight, with numbers like a weight's";
    for (auto [position, slot] : candidate.uses) {
      const Node &node = model.graph.nodes[position];
      std::string scope = scopeOf(node);
      if (!scope.empty()) {
        candidate.name = scope + (slot == 2 ? ".bias" : ".weight");
      }
    }
    // A convolution's kernel is renamed only where something was computed from it.
    madeKernels += isReadBy(candidate, [](const Node &node, unsigned slot) {
      return slot == 1 && (node.op == "Conv" || node.op == "ConvTranspose");
    });
    restoreShape(candidate);
    return success();
  }
  // TorchScript's exporter folds the rows of a position table that a fixed sequence reads.
  bool table = rank == 2 || (rank == 3 && tensor.dims[0] == 1);
  if (matches(name, "^onnx::Add_[0-9]+$") && table && tensor.elements() > tensor.dims[rank - 1] &&
      looksLearned(tensor)) {
    candidate.role = GlobalRole::trained;
    candidate.reason = "rule 3: a position table that the exporter cut and renamed";
    return success();
  }
  if (matches(name,
              "^(val_[0-9]+|.*_cast(_[0-9]+)?|zeros|ones|unsqueeze_[0-9]+|expand(_[0-9]+)?)$") ||
      (rank == 0 && !name.contains('.') && !matches(name, "weight|bias"))) {
    candidate.reason = "rule 3: named like an intermediate value";
    return success();
  }
  if (name.starts_with("onnx::")) {
    candidate.reason = "rule 3: an operand of arithmetic that the exporter folded";
    if (tensor.elements() > 1 && looksLearned(tensor)) {
      unsure.push_back("'" + name.str() + "'");
    }
    return success();
  }
  if (isMask(tensor)) {
    candidate.reason = "rule 3: a mask: it holds two values";
    return success();
  }
  candidate.role = GlobalRole::trained;
  candidate.reason = "rule 3: a float initializer";
  if (name.ends_with(".weight_bias") && byValue.count(name.drop_back(5))) {
    candidate.name = (name.drop_back(11) + "bias").str();
    candidate.reason = "rule 3: the exporter folded a batch norm into this layer";
    ++foldedNorms;
  }
  return success();
}

LogicalResult ParameterRule::classify(Candidate &candidate) {
  if (candidate.original >= 0 && candidates[candidate.original].role != GlobalRole::trained) {
    candidate.role = candidates[candidate.original].role;
    candidate.reason = candidates[candidate.original].reason;
    candidate.folds = candidates[candidate.original].folds;
    return success();
  }
  auto metadata = model.metadata.find(candidate.value);
  std::string kind, folded;
  if (metadata != model.metadata.end()) {
    auto get = [&](StringRef key) {
      auto it = metadata->second.find(key);
      return it == metadata->second.end() ? std::string() : it->second;
    };
    kind = get("pkg.torch.export.graph_signature.InputSpec.kind");
    folded = get("pkg.onnxscript.optimizer.folded_from");
  }
  if (StringRef(kind).contains("PARAMETER") && isFloatType(candidate.tensor->type) &&
      !isStatistic(candidate)) {
    candidate.role = GlobalRole::trained;
    candidate.reason = "rule 1: kind PARAMETER";
    return success();
  }
  if (isStatistic(candidate)) {
    candidate.role = GlobalRole::buffer;
    candidate.reason = "rule 1: running statistics of a BatchNormalization";
    return success();
  }
  if (StringRef(kind).contains("BUFFER") || isBufferName(candidate.value)) {
    candidate.role = GlobalRole::buffer;
    candidate.reason = kind.empty() ? "rule 1: named like a buffer" : "rule 1: kind BUFFER";
    candidate.folds = true;
    return success();
  }
  if (!isFloatType(candidate.tensor->type)) {
    candidate.reason = "rule 3: not floats";
    return success();
  }
  if (isAttributeOperand(candidate)) {
    candidate.reason = "rule 3: a setting of the operator that reads it";
    return success();
  }
  if (!folded.empty()) {
    return classifyFolded(candidate, folded);
  }
  return classifyByName(candidate);
}

/// The shape that PyTorch knows a folded or renamed weight by: a Linear's weight is transposed, a
/// position table or a group norm's scale has gained dimensions of 1.
void ParameterRule::restoreShape(Candidate &candidate) {
  const std::vector<int64_t> &dims = candidate.tensor->dims;
  bool onlyProducts = !candidate.uses.empty() &&
                      llvm::all_of(candidate.uses, [&](std::pair<int64_t, unsigned> use) {
                        return model.graph.nodes[use.first].op == "MatMul" && use.second == 1;
                      });
  if (dims.size() == 2 && onlyProducts) {
    candidate.dims = {dims[1], dims[0]};
    candidate.transposed = true;
    return;
  }
  llvm::ArrayRef<int64_t> kept(dims);
  while (kept.size() > 1 && kept.front() == 1) {
    kept = kept.drop_front();
  }
  while (isReshapedVector(*candidate.tensor) && kept.size() > 1) {
    kept = kept.drop_back();
  }
  candidate.dims.assign(kept.begin(), kept.end());
}

//===----------------------------------------------------------------------===//
// Rule 4: merged, dropped, tied
//===----------------------------------------------------------------------===//

int ParameterRule::add(const Candidate &candidate) {
  Parameter parameter;
  parameter.name = uniqueName(candidate.name);
  parameter.onnxNames = {candidate.value};
  parameter.tensor = candidate.tensor;
  parameter.dims = candidate.dims.empty() ? candidate.tensor->dims : candidate.dims;
  parameter.transposed = candidate.transposed;
  parameter.role = *candidate.role;
  parameter.reason = candidate.reason;
  parameter.folds = candidate.folds;
  result->table.push_back(std::move(parameter));
  return static_cast<int>(result->table.size()) - 1;
}

/// "weight" or "bias" where `slot` of `node` is a norm's or a linear layer's vector, "" elsewhere.
static StringRef vectorSlot(const Node &node, unsigned slot, bool ones) {
  StringRef op = node.op;
  bool norm = op == "LayerNormalization" || op == "BatchNormalization" ||
              op == "GroupNormalization" || op == "InstanceNormalization" ||
              op == "RMSNormalization" || op == "SimplifiedLayerNormalization";
  if (norm && (slot == 1 || slot == 2)) {
    return slot == 1 ? "weight" : "bias";
  }
  if ((op == "Gemm" || op == "Conv" || op == "ConvTranspose") && slot == 2) {
    return "bias";
  }
  if (op == "Add") {
    return "bias";
  }
  return op == "Mul" && ones ? "weight" : "";
}

/// One initializer that several modules read, because their vectors held the same number: one
/// parameter a use.
void ParameterRule::splitMerged(Candidate &candidate) {
  const Tensor &tensor = *candidate.tensor;
  if (tensor.dims.size() != 1 || candidate.uses.size() < 2 ||
      candidate.role != GlobalRole::trained || !isFill(tensor)) {
    return;
  }
  bool ones = !isZero(tensor);
  for (auto [position, slot] : candidate.uses) {
    if (vectorSlot(model.graph.nodes[position], slot, ones).empty()) {
      return; // Read by arithmetic as well: it is what its name says.
    }
  }
  bool keptFirst = false;
  for (auto [position, slot] : candidate.uses) {
    const Node &node = model.graph.nodes[position];
    std::string scope = scopeOf(node);
    Candidate part = candidate;
    part.name = scope.empty() ? candidate.name : scope + "." + vectorSlot(node, slot, ones).str();
    if (scope.empty() && keptFirst) {
      part.name = candidate.name + "." + std::to_string(splitCount);
    }
    keptFirst = true;
    part.reason = "rule 4: the exporter merged equal vectors; split again";
    result->splits[{position, slot}] = add(part);
    ++splitCount;
  }
}

/// Gemm nodes whose zero bias the exporter removed still name it in their metadata.
void ParameterRule::restoreDroppedBiases() {
  for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
    if (node.op != "Gemm" || node.inputs.size() > 2) {
      continue;
    }
    auto call = node.metadata.find("pkg.torch.onnx.fx_node");
    std::string scope = scopeOf(node);
    auto rewrite = node.metadata.find("pkg.onnxscript.rewriter.rule_name");
    bool dropped =
        rewrite != node.metadata.end() && rewrite->second == "RemoveOptionalBiasFromGemm";
    if (call == node.metadata.end() || scope.empty() || !dropped ||
        !StringRef(call->second).contains("_bias")) {
      continue;
    }
    auto weight = byValue.find(node.inputs[1]);
    if (weight == byValue.end() || candidates[weight->second].tensor->dims.size() != 2) {
      continue;
    }
    const NodeAttribute *transB = node.attribute("transB");
    const Tensor &matrix = *candidates[weight->second].tensor;
    auto zeros = std::make_unique<Tensor>();
    zeros->type = matrix.type;
    zeros->dims = {matrix.dims[transB && transB->i ? 0 : 1]};
    zeros->bytes.assign(zeros->byteCount(), '\0');
    zeros->name = scope + ".bias";
    Candidate bias{zeros->name,
                   zeros.get(),
                   zeros->name,
                   GlobalRole::trained,
                   "rule 4: a zero bias that the exporter dropped",
                   {},
                   false,
                   {},
                   false,
                   -1};
    result->madeTensors.push_back(std::move(zeros));
    result->biases[position] = add(bias);
    ++restoredCount;
  }
}

void ParameterRule::tie() {
  std::vector<const Tensor *> tensors;
  std::vector<int> owners;
  for (auto [i, parameter] : llvm::enumerate(result->table)) {
    if (parameter.role == GlobalRole::trained && parameter.tensor->dims.size() >= 2) {
      tensors.push_back(parameter.tensor);
      owners.push_back(static_cast<int>(i));
    }
  }
  // The table that an embedding reads gives the name: PyTorch lists it first.
  llvm::DenseMap<int, bool> isTable;
  for (const Candidate &candidate : candidates) {
    auto place = result->places.find(candidate.value);
    if (place == result->places.end() || place->second.parameter < 0) {
      continue;
    }
    for (auto [position, slot] : candidate.uses) {
      isTable[place->second.parameter] |= model.graph.nodes[position].op == "Gather" && slot == 0;
    }
  }
  std::vector<int> replacement(result->table.size());
  std::vector<bool> transposed(result->table.size(), false);
  for (size_t i = 0; i < replacement.size(); ++i) {
    replacement[i] = static_cast<int>(i);
  }
  for (const WeightTie &found : findTies(tensors)) {
    int first = owners[found.first], second = owners[found.second];
    if (isTable[second] && !isTable[first]) {
      std::swap(first, second);
    }
    if (replacement[first] != first || replacement[second] != second) {
      continue;
    }
    replacement[second] = first;
    transposed[second] = found.transposed;
    Parameter &kept = result->table[first];
    kept.onnxNames.push_back(result->table[second].onnxNames.front());
    kept.reason += found.transposed ? "; rule 4: tied with its transposed copy"
                                    : "; rule 4: tied with an equal tensor";
    result->notices.push_back(
        "'" + result->table[second].name + "' and '" + kept.name +
        "' are equal and are trained as one parameter (--no-tie keeps them apart)");
  }
  // Close the gaps.
  std::vector<int> index(result->table.size(), -1);
  std::vector<Parameter> kept;
  for (size_t i = 0; i < result->table.size(); ++i) {
    if (replacement[i] == static_cast<int>(i)) {
      index[i] = static_cast<int>(kept.size());
      kept.push_back(std::move(result->table[i]));
    }
  }
  for (auto &place : result->places) {
    int old = place.second.parameter;
    if (old >= 0) {
      place.second.transposed = transposed[old];
      place.second.parameter = index[replacement[old]];
    }
  }
  for (auto &split : result->splits) {
    split.second = index[split.second];
  }
  for (auto &bias : result->biases) {
    bias.second = index[bias.second];
  }
  result->table = std::move(kept);
}

//===----------------------------------------------------------------------===//
// Rule 5 and the whole
//===----------------------------------------------------------------------===//

LogicalResult ParameterRule::applyFlags() {
  std::string fault;
  for (const auto &[flag, pattern] :
       {std::pair("--train", options.trainRegex), {"--freeze", options.freezeRegex}}) {
    if (pattern.empty()) {
      continue;
    }
    llvm::Regex regex(pattern);
    if (!regex.isValid(fault)) {
      return dsc::emitError(loc, ErrorId::FlagValue)
             << flag << " '" << pattern << "' is not a regular expression: " << fault;
    }
    bool train = StringRef(flag) == "--train";
    bool any = false;
    for (Parameter &parameter : result->table) {
      if (!regex.match(parameter.name) || !isFloatType(parameter.tensor->type)) {
        continue;
      }
      any = true;
      parameter.role = train ? GlobalRole::trained : GlobalRole::buffer;
      parameter.reason = std::string("rule 5: ") + flag;
      parameter.folds = false;
    }
    if (!any) {
      return dsc::emitError(loc, ErrorId::ImportName)
             << flag << " '" << pattern << "' matches no parameter; 'dsc inspect' lists them";
    }
  }
  return success();
}

FailureOr<std::unique_ptr<ParameterTable>> ParameterRule::run() {
  collect();
  llvm::Regex trainRegex(options.trainRegex);
  for (Candidate &candidate : candidates) {
    if (failed(classify(candidate))) {
      return failure();
    }
    if (!candidate.role && !options.trainRegex.empty() && isFloatType(candidate.tensor->type) &&
        trainRegex.match(candidate.name)) {
      candidate.role = GlobalRole::trained;
    }
    if (!candidate.role) {
      result->places[candidate.value] = {candidate.tensor, -1, false};
      ParameterInfo row{candidate.name,
                        {candidate.value},
                        candidate.tensor->dims,
                        nameOf(candidate.tensor->type),
                        "constant",
                        candidate.reason,
                        ""};
      result->constantRows.push_back(std::move(row));
      continue;
    }
    splitMerged(candidate);
    bool isSplit = !candidate.uses.empty() && result->splits.count(candidate.uses.front());
    bool onlyAlias = candidate.uses.empty() && *candidate.role == GlobalRole::trained &&
                     llvm::none_of(model.graph.outputs,
                                   [&](const ValueInfo &o) { return o.name == candidate.value; });
    bool sameBuffer = candidate.original >= 0 && *candidate.role != GlobalRole::trained;
    if (sameBuffer) {
      result->places[candidate.value] = result->places[candidates[candidate.original].value];
      continue;
    }
    if (isSplit || onlyAlias) {
      result->places[candidate.value] = {candidate.tensor, -1, false};
      continue;
    }
    int parameter = add(candidate);
    result->places[candidate.value] = {candidate.tensor, parameter, false};
  }
  restoreDroppedBiases();
  if (!options.noTie) {
    tie();
  }
  if (failed(applyFlags())) {
    return failure();
  }
  if (options.randomStart) {
    chooseInitialValues(model, *result, result->table);
  }
  if (splitCount > 0) {
    result->notices.push_back(std::to_string(splitCount) +
                              " vectors that the exporter had merged because they were equal are "
                              "parameters of their own again");
  }
  if (foldedNorms > 0) {
    result->notices.push_back(
        "the exporter folded " + std::to_string(foldedNorms) + " batch norm" +
        (foldedNorms == 1 ? "" : "s") +
        " into the layers before them: training goes on without them (export with "
        "optimize=False keeps them)");
  }
  if (madeKernels > 0) {
    result->notices.push_back(
        "the exporter folded batch norms, or what else kernels were computed with, into " +
        std::to_string(madeKernels) + " convolution" + (madeKernels == 1 ? "" : "s") +
        ": they are trained as they are now (export with training=TrainingMode.TRAINING and "
        "do_constant_folding=False, or with dynamo=True and optimize=False)");
  }
  if (!unsure.empty()) {
    result->notices.push_back("the exporter folded " + llvm::join(unsure, ", ") +
                              ", which are constants here: if they hold parameters, export with "
                              "do_constant_folding=False "
                              "(or dynamo=True, optimize=False), or give their names to --train");
  }
  if (restoredCount > 0) {
    result->notices.push_back(std::to_string(restoredCount) +
                              " zero biases that the exporter had dropped are back");
  }
  return std::move(result);
}

FailureOr<std::unique_ptr<ParameterTable>>
ParameterTable::decide(const Model &model, const ImportOptions &options, Location loc) {
  return ParameterRule(model, options, loc).run();
}

ParameterUse ParameterTable::use(StringRef value, int64_t position, unsigned slot) const {
  auto place = places.find(value);
  if (place == places.end()) {
    return {};
  }
  auto split = splits.find({position, slot});
  if (split != splits.end()) {
    return {place->second.tensor, split->second, false};
  }
  return {place->second.tensor, place->second.parameter, place->second.transposed};
}

int ParameterTable::droppedBias(int64_t position) const {
  auto it = biases.find(position);
  return it == biases.end() ? -1 : it->second;
}
