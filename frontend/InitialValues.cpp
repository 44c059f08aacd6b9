// Follows each parameter from the file through nodes that only move its elements to the first node
// that computes with it. Nothing is read but the graph and shapes, so the data may be missing.

#include "frontend/InitialValues.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;
using namespace dsc;
using namespace dsc::onnx_model;

namespace {

/// What a parameter is to the node that computes with it, the strongest first: a table that is also
/// a matrix (tied) starts like the matrix.
enum class Use { Matrix, Table, Positions, Slope, Scale, Bias, Offset, Unknown };

struct Finding {
  Use use = Use::Unknown;
  int64_t inputs = 0; // Matrix, Bias: elements of one row of the matrix, PyTorch's fan_in
};

class StartRule {
public:
  StartRule(const Model &model, const ParameterTable &table) : model(model), table(table) {
    for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
      for (const std::string &output : node.outputs) {
        producers[output] = position;
      }
      for (auto [slot, input] : llvm::enumerate(node.inputs)) {
        if (!input.empty()) {
          readers[input].emplace_back(position, slot);
        }
      }
    }
    for (const ValueInfo &input : model.graph.inputs) {
      inputs.insert(input.name);
    }
  }

  /// Visits every operand that is parameter `index`, and what is made of it by moving elements.
  Finding find(int index, const Parameter &parameter);

private:
  using Dims = std::vector<int64_t>;

  void follow(StringRef value, const Dims &dims, int depth, Finding &best);
  Finding at(const Node &node, unsigned slot, const Dims &dims) const;
  int64_t inputsOfProduct(StringRef value, int depth) const;
  bool dependsOnInput(StringRef value, int depth) const;
  std::optional<Dims> shapeOfWeight(StringRef value, int64_t position, unsigned slot,
                                    int depth) const;

  const Model &model;
  const ParameterTable &table;
  llvm::StringMap<size_t> producers;
  llvm::StringMap<SmallVector<std::pair<int64_t, unsigned>>> readers;
  llvm::StringSet<> inputs;
};

constexpr int kMaxDepth = 12;

} // namespace

static bool movesElements(StringRef op) {
  static const llvm::StringSet<> ops = {"Identity", "Cast",      "Transpose", "Reshape",
                                        "Squeeze",  "Unsqueeze", "Slice",     "Split",
                                        "Flatten",  "Expand",    "CastLike",  "Concat"};
  return ops.contains(op);
}

static std::vector<int64_t> transposed(const Node &node, const std::vector<int64_t> &dims) {
  const NodeAttribute *order = node.attribute("perm");
  std::vector<int64_t> result(dims.rbegin(), dims.rend());
  if (order && order->ints.size() == dims.size()) {
    for (auto [i, from] : llvm::enumerate(order->ints)) {
      result[i] = from >= 0 && from < static_cast<int64_t>(dims.size()) ? dims[from] : 1;
    }
  }
  return result;
}

static int64_t product(llvm::ArrayRef<int64_t> dims) {
  int64_t count = 1;
  for (int64_t dim : dims) {
    count *= dim;
  }
  return count;
}

static bool isSet(const Node &node, StringRef key) {
  const NodeAttribute *attribute = node.attribute(key);
  return attribute && attribute->i != 0;
}

/// How many dims are longer than 1.
static int64_t longDims(llvm::ArrayRef<int64_t> dims) {
  return llvm::count_if(dims, [](int64_t dim) { return dim > 1; });
}

/// Inputs of one output of a product whose operand `slot` has `dims`; 0 where the operand is none
/// of its matrices.
static int64_t fanIn(const Node &node, unsigned slot, llvm::ArrayRef<int64_t> dims) {
  if (node.op == "MatMul" && slot < 2 && !dims.empty()) {
    return dims.size() == 1 || slot == 0 ? dims.back() : dims[dims.size() - 2];
  }
  if (node.op == "Gemm" && slot < 2 && dims.size() == 2) {
    return dims[isSet(node, slot ? "transB" : "transA") == (slot == 1) ? 1 : 0];
  }
  if ((node.op == "Conv" || node.op == "ConvTranspose") && slot == 1 && dims.size() >= 3) {
    return product(dims.drop_front()); // PyTorch counts a transposed convolution the same way
  }
  return 0;
}

/// The shape of the weight at an operand, through what moves its elements.
std::optional<StartRule::Dims> StartRule::shapeOfWeight(StringRef value, int64_t position,
                                                        unsigned slot, int depth) const {
  ParameterUse use = table.use(value, position, slot);
  if (use.tensor) {
    return use.tensor->dims;
  }
  auto producer = producers.find(value);
  if (producer == producers.end() || depth > kMaxDepth) {
    return std::nullopt;
  }
  const Node &node = model.graph.nodes[producer->second];
  if (node.inputs.empty() || (node.op != "Transpose" && node.op != "Identity" &&
                              node.op != "Cast" && node.op != "Split" && node.op != "Slice")) {
    return std::nullopt;
  }
  std::optional<Dims> dims = shapeOfWeight(node.inputs[0], producer->second, 0, depth + 1);
  return dims && node.op == "Transpose" ? transposed(node, *dims) : dims;
}

/// The fan_in of the product of a weight that `value` is, seen through what moves elements; 0 where
/// it is none: then a vector added to it is no layer's bias.
int64_t StartRule::inputsOfProduct(StringRef value, int depth) const {
  auto producer = producers.find(value);
  if (producer == producers.end() || depth > kMaxDepth) {
    return 0;
  }
  const Node &node = model.graph.nodes[producer->second];
  if (movesElements(node.op) && !node.inputs.empty()) {
    return inputsOfProduct(node.inputs[0], depth + 1);
  }
  for (unsigned slot : {1u, 0u}) {
    if (slot < node.inputs.size()) {
      std::optional<Dims> dims = shapeOfWeight(node.inputs[slot], producer->second, slot, 0);
      if (int64_t count = dims ? fanIn(node, slot, *dims) : 0) {
        return count;
      }
    }
  }
  return 0;
}

/// Whether `value` depends on the user's data; what does not is a table's fixed positions.
bool StartRule::dependsOnInput(StringRef value, int depth) const {
  if (inputs.contains(value)) {
    return true;
  }
  auto producer = producers.find(value);
  if (producer == producers.end()) {
    return false;
  }
  const Node &node = model.graph.nodes[producer->second];
  if (depth > 4 * kMaxDepth) {
    return true;
  }
  // Only shapes of the data go through these.
  if (node.op == "Shape" || node.op == "Size") {
    return false;
  }
  return llvm::any_of(node.inputs, [&](const std::string &input) {
    return !input.empty() && dependsOnInput(input, depth + 1);
  });
}

Finding StartRule::at(const Node &node, unsigned slot, const Dims &dims) const {
  StringRef op = node.op;
  if (int64_t count = fanIn(node, slot, dims)) {
    return {Use::Matrix, count};
  }
  bool isNorm = op.ends_with("Normalization") || op == "SkipLayerNormalization";
  if (isNorm && slot >= 1) {
    return {slot == 1 ? Use::Scale : Use::Offset, 0};
  }
  if ((op == "Gemm" || op == "Conv" || op == "ConvTranspose") && slot == 2) {
    std::optional<Dims> weight = shapeOfWeight(node.inputs[1], -1, 1, 0);
    return {Use::Bias, weight ? fanIn(node, 1, *weight) : 0};
  }
  if (op == "Gather" && slot == 0) {
    return {dependsOnInput(node.inputs[1], 0) ? Use::Table : Use::Positions, 0};
  }
  if (op == "PRelu" && slot == 1) {
    return {Use::Slope, 0};
  }
  bool isVector = longDims(dims) <= 1;
  if (op == "Mul" && isVector) {
    return {Use::Scale, 0};
  }
  if (op == "Add" && node.inputs.size() == 2) {
    if (!isVector) {
      return {Use::Positions, 0};
    }
    int64_t count = inputsOfProduct(node.inputs[1 - slot], 0);
    return {count ? Use::Bias : Use::Offset, count};
  }
  return {};
}

void StartRule::follow(StringRef value, const Dims &dims, int depth, Finding &best) {
  auto found = readers.find(value);
  if (found == readers.end() || depth > kMaxDepth) {
    return;
  }
  for (auto [position, slot] : found->second) {
    const Node &node = model.graph.nodes[position];
    if (movesElements(node.op)) {
      // Moved: the shape is followed through transposes, and stays about right through the others.
      for (const std::string &output : node.outputs) {
        follow(output, node.op == "Transpose" ? transposed(node, dims) : dims, depth + 1, best);
      }
      continue;
    }
    Finding finding = at(node, slot, dims);
    best = finding.use < best.use ? finding : best;
  }
}

Finding StartRule::find(int index, const Parameter &parameter) {
  Finding best;
  for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
    if (table.droppedBias(position) == index) {
      Finding bias{Use::Bias, inputsOfProduct(node.outputs[0], 0)};
      best = bias.use < best.use ? bias : best;
    }
    for (auto [slot, input] : llvm::enumerate(node.inputs)) {
      if (input.empty()) {
        continue;
      }
      ParameterUse use = table.use(input, position, slot);
      if (!use.tensor || use.parameter != index) {
        continue;
      }
      Finding finding;
      if (movesElements(node.op)) {
        for (const std::string &output : node.outputs) {
          follow(output,
                 node.op == "Transpose" ? transposed(node, use.tensor->dims) : use.tensor->dims, 0,
                 finding);
        }
      } else {
        finding = at(node, slot, use.tensor->dims);
      }
      best = finding.use < best.use ? finding : best;
    }
  }
  return best;
}

static InitialValue startOf(const Finding &finding, const Parameter &parameter) {
  using Kind = InitialValue::Kind;
  auto inputs = static_cast<double>(finding.inputs);
  switch (finding.use) {
  case Use::Matrix:
    return {Kind::Uniform, 1 / std::sqrt(inputs),
            "a matrix of " + std::to_string(finding.inputs) + " inputs"};
  case Use::Bias:
    if (finding.inputs > 0) {
      return {Kind::Uniform, 1 / std::sqrt(inputs),
              "the bias of a matrix of " + std::to_string(finding.inputs) + " inputs"};
    }
    return {Kind::Fill, 0, "a bias"};
  case Use::Table:
    return {Kind::Normal, 1, "an embedding"};
  case Use::Positions:
    return {Kind::Normal, 0.02, "positions"};
  case Use::Slope:
    return {Kind::Fill, 0.25, "PReLU's slope"};
  case Use::Scale:
    return {Kind::Fill, 1, "a scale"};
  case Use::Offset:
    return {Kind::Fill, 0, "an offset"};
  case Use::Unknown:
    break;
  }
  if (parameter.dims.size() >= 2) {
    return {Kind::Normal, 0.02, "of no known kind"};
  }
  return {Kind::Fill, 0, "a vector of no known kind"};
}

/// The start of a batch norm's statistic by its name or slot; none for other buffers.
static std::optional<InitialValue> startOfBuffer(const Parameter &parameter) {
  using Kind = InitialValue::Kind;
  StringRef name = parameter.name;
  if (name.ends_with("running_mean") || name.ends_with("num_batches_tracked")) {
    return InitialValue{Kind::Fill, 0, "a running mean"};
  }
  if (name.ends_with("running_var")) {
    return InitialValue{Kind::Fill, 1, "a running variance"};
  }
  return std::nullopt;
}

void dsc::chooseInitialValues(const Model &model, const ParameterTable &table,
                              llvm::MutableArrayRef<Parameter> parameters) {
  StartRule rule(model, table);
  llvm::DenseMap<int, unsigned> statistics; // parameter -> operand of a BatchNormalization
  for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
    for (unsigned slot = 3; node.op == "BatchNormalization" && slot < node.inputs.size(); ++slot) {
      ParameterUse use = table.use(node.inputs[slot], position, slot);
      if (use.tensor && use.parameter >= 0) {
        statistics[use.parameter] = slot;
      }
    }
  }
  for (auto [i, parameter] : llvm::enumerate(parameters)) {
    auto index = static_cast<int>(i);
    if (auto found = statistics.find(index); found != statistics.end()) {
      bool isMean = found->second == 3;
      parameter.start = InitialValue{InitialValue::Kind::Fill, isMean ? 0.0 : 1.0,
                                     isMean ? "a running mean" : "a running variance"};
    } else if (parameter.role == GlobalRole::trained ||
               StringRef(parameter.reason).starts_with("rule 5")) { // --freeze

      parameter.start = startOf(rule.find(index, parameter), parameter);
    } else if (!parameter.folds) {
      parameter.start = startOfBuffer(parameter);
    }
  }
}

std::string dsc::describe(const InitialValue &value) {
  switch (value.kind) {
  case InitialValue::Kind::Fill:
    return llvm::formatv("{0} ({1})", value.number, value.why);
  case InitialValue::Kind::Uniform:
    return llvm::formatv("uniform within {0:f6} ({1})", value.number, value.why);
  case InitialValue::Kind::Normal:
    return llvm::formatv("normal of deviation {0} ({1})", value.number, value.why);
  }
  return "";
}
