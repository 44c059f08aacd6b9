// First every tensor takes the parameter that has its name, then operands take what they read, in
// the order of the graph; Identities of weights come last and backwards, since what they give is
// known once their readers are.

#include "frontend/WriteBack.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace dsc;
using namespace dsc::onnx_model;

namespace {

class WriteBackPlanner {
public:
  WriteBackPlanner(const Model &model, const ParameterTable &table) : model(model), table(table) {}

  WriteBack run() {
    collectNames();
    for (const Tensor &tensor : model.graph.initializers) {
      claimOwn(tensor.name);
    }
    for (const Node &node : model.graph.nodes) {
      llvm::for_each(node.outputs, [&](const std::string &output) { claimOwn(output); });
    }
    for (auto [position, node] : llvm::enumerate(model.graph.nodes)) {
      if (!isAlias(node)) {
        takeOperands(node, static_cast<int64_t>(position));
      }
    }
    for (const Node &node : llvm::reverse(model.graph.nodes)) {
      auto given = isAlias(node) ? result.contents.find(node.outputs[0]) : result.contents.end();
      if (given != result.contents.end()) {
        const Tensor *tensor = table.use(node.inputs[0], -1, 0).tensor;
        // Identity hands on what its operand holds.
        TensorContent content = given->second;
        result.contents.erase(given);
        take(node, 0, node.inputs[0], content, tensor->type, tensor->dims);
      }
    }
    return std::move(result);
  }

private:
  /// An Identity of a tensor of the table.
  bool isAlias(const Node &node) const {
    return node.op == "Identity" && node.domain.empty() && node.inputs.size() == 1 &&
           node.outputs.size() == 1 && table.use(node.inputs[0], -1, 0).tensor &&
           table.use(node.outputs[0], -1, 0).tensor;
  }

  TensorContent contentOf(const ParameterUse &use) const {
    return {use.parameter, table.parameters()[use.parameter].transposed != use.transposed};
  }

  void claimOwn(const std::string &name) {
    ParameterUse use = table.use(name, -1, 0);
    if (use.tensor && use.parameter >= 0) {
      result.contents[name] = contentOf(use);
    }
  }

  void takeOperands(const Node &node, int64_t position) {
    for (auto [slot, name] : llvm::enumerate(node.inputs)) {
      ParameterUse use = table.use(name, position, slot);
      if (use.tensor && use.parameter >= 0) {
        take(node, slot, name, contentOf(use), use.tensor->type, use.tensor->dims);
      }
    }
    if (int bias = table.droppedBias(position); bias >= 0) {
      const Tensor &tensor = *table.parameters()[bias].tensor;
      redirect(node, 2, "", {bias, false}, tensor.type, tensor.dims);
    }
  }

  /// `name` holds `content` if nothing else has claimed it, else the operand reads another tensor.
  void take(const Node &node, unsigned slot, const std::string &name, TensorContent content,
            DataType type, const std::vector<int64_t> &dims) {
    auto [held, isNew] = result.contents.try_emplace(name, content);
    if (!isNew && !(held->second == content)) {
      redirect(node, slot, name, content, type, dims);
    }
  }

  void redirect(const Node &node, unsigned slot, const std::string &from, TensorContent content,
                DataType type, const std::vector<int64_t> &dims) {
    auto known = llvm::find_if(result.added, [&](const AddedTensor &tensor) {
      return tensor.content == content && tensor.dims == dims && tensor.type == type;
    });
    size_t index = known - result.added.begin();
    if (known == result.added.end()) {
      result.added.push_back(
          {uniqueName(table.parameters()[content.parameter].name), content, type, dims});
    }
    auto output =
        llvm::find_if(node.outputs, [](const std::string &name) { return !name.empty(); });
    result.redirections.push_back({output == node.outputs.end() ? "" : *output, slot, from, index});
  }

  void collectNames() {
    for (const Tensor &tensor : model.graph.initializers) {
      names.insert(tensor.name);
    }
    for (const ValueInfo &input : model.graph.inputs) {
      names.insert(input.name);
    }
    for (const Node &node : model.graph.nodes) {
      names.insert(node.outputs.begin(), node.outputs.end());
    }
  }

  std::string uniqueName(const std::string &name) {
    std::string unique = name;
    for (int i = 1; !names.insert(unique).second; ++i) {
      unique = name + ".trained" + (i > 1 ? std::to_string(i) : "");
    }
    return unique;
  }

  const Model &model;
  const ParameterTable &table;
  WriteBack result;
  llvm::StringSet<> names;
};

} // namespace

WriteBack dsc::planWriteBack(const Model &model, const ParameterTable &table) {
  return WriteBackPlanner(model, table).run();
}
