// The limits, in the order in which they are looked at: counts and nesting, attributes, tensors,
// names and order, functions.

#include "frontend/OnnxCheck.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

using namespace llvm;
using onnx::AttributeProto;
using onnx::GraphProto;
using onnx::NodeProto;

namespace {

constexpr int64_t kMaxNodes = 500000;
constexpr int64_t kMaxExpandedNodes = 1000000;
constexpr int kMaxNesting = 20;
constexpr int64_t kMaxDim = int64_t(1) << 40;
constexpr int kMaxRank = 64;
constexpr int64_t kMaxAxis = 64;
constexpr int64_t kMaxWindow = int64_t(1) << 31;

using Fault = std::optional<std::string>;

std::string quote(const std::string &name) { return "\"" + dsc::printableName(name) + "\""; }

std::string describe(const NodeProto &node) {
  std::string text =
      "node " + quote(node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name());
  return text + " (" + dsc::printableName(node.op_type()) + ")";
}

/// Dimensions as sizes of memory: each and their product within bounds.
Fault checkDims(const google::protobuf::RepeatedField<int64_t> &dims, const std::string &what) {
  if (dims.size() > kMaxRank) {
    return what + " has rank " + std::to_string(dims.size()) + ", the limit is " +
           std::to_string(kMaxRank);
  }
  int64_t product = 1;
  for (int64_t dim : dims) {
    if (dim < 0 || dim > kMaxDim) {
      return what + " has dimension " + std::to_string(dim) + ", outside [0, 2^40]";
    }
    if (__builtin_mul_overflow(product, dim, &product) || product > kMaxDim * 64) {
      return what + " has dimensions whose product overflows";
    }
  }
  return {};
}

Fault checkType(const onnx::TypeProto &type, const std::string &what) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape()) {
    return {};
  }
  const onnx::TensorShapeProto &shape = type.tensor_type().shape();
  if (shape.dim_size() > kMaxRank) {
    return what + " has rank " + std::to_string(shape.dim_size()) + ", the limit is " +
           std::to_string(kMaxRank);
  }
  for (const auto &dim : shape.dim()) {
    if (dim.has_dim_value() && (dim.dim_value() < -1 || dim.dim_value() > kMaxDim)) {
      return what + " has dimension " + std::to_string(dim.dim_value()) + ", outside [0, 2^40]";
    }
  }
  return {};
}

/// Attributes that count dimensions: libonnx indexes arrays with them unchecked.
bool isAxisLike(StringRef name) {
  return llvm::is_contained({"axis", "axes", "perm", "batch_dims", "batch_axis", "time_axis",
                             "scan_input_axes", "scan_output_axes", "new_axis", "start", "end",
                             "num_scan_inputs", "allowzero", "keepdims"},
                            name);
}

bool isWindowLike(StringRef name) {
  return llvm::is_contained({"pads", "strides", "dilations", "kernel_shape", "output_padding",
                             "output_shape", "group", "blocksize", "num_outputs", "num_groups",
                             "hidden_size", "split", "p", "size", "shape", "q_num_heads",
                             "kv_num_heads", "num_heads", "rotary_embedding_dim"},
                            name);
}

Fault checkInts(const AttributeProto &attribute, int64_t limit, const NodeProto &node) {
  auto check = [&](int64_t value) -> Fault {
    if (value >= -limit && value <= limit) {
      return {};
    }
    return describe(node) + ": attribute '" + dsc::printableName(attribute.name()) + "' is " +
           std::to_string(value) + ", outside [-" + std::to_string(limit) + ", " +
           std::to_string(limit) + "]";
  };
  if (Fault fault = check(attribute.i())) {
    return fault;
  }
  for (int64_t value : attribute.ints()) {
    if (Fault fault = check(value)) {
      return fault;
    }
  }
  return {};
}

Fault checkTensor(const onnx::TensorProto &tensor, const std::string &what) {
  if (Fault fault = checkDims(tensor.dims(), what)) {
    return fault;
  }
  if (tensor.has_segment()) {
    return what + " is stored in segments, which nothing writes and dsc does not read";
  }
  return {};
}

struct Walk {
  int64_t nodes = 0;

  Fault checkAttribute(const AttributeProto &attribute, const NodeProto &node, int depth) {
    StringRef name = attribute.name();
    if (isAxisLike(name)) {
      if (Fault fault = checkInts(attribute, kMaxAxis, node)) {
        return fault;
      }
    }
    if (isWindowLike(name)) {
      if (Fault fault = checkInts(attribute, kMaxWindow, node)) {
        return fault;
      }
    }
    if (name == "num_outputs" && attribute.i() != node.output_size()) {
      // libonnx's shape inference makes a list of as many.
      return describe(node) + ": num_outputs is " + std::to_string(attribute.i()) +
             ", but the node has " + std::to_string(node.output_size()) + " outputs";
    }
    if (name == "equation") {
      for (char c : attribute.s()) {
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !StringRef(" ,.->").contains(c)) {
          return describe(node) + ": equation " + quote(attribute.s()) +
                 " holds a character other than letters and ',.->'";
        }
      }
    } else if (node.op_type() != "Constant") {
      for (char c : attribute.s()) {
        if (c < 0x20 || c > 0x7e) {
          return describe(node) + ": attribute '" + dsc::printableName(attribute.name()) +
                 "' is not ASCII text";
        }
      }
    }
    if (attribute.has_t()) {
      if (Fault fault = checkTensor(attribute.t(), describe(node) + ": its tensor")) {
        return fault;
      }
    }
    for (const auto &tensor : attribute.tensors()) {
      if (Fault fault = checkTensor(tensor, describe(node) + ": its tensor")) {
        return fault;
      }
    }
    if (attribute.has_g()) {
      if (Fault fault = checkGraph(attribute.g(), depth + 1)) {
        return fault;
      }
    }
    for (const GraphProto &graph : attribute.graphs()) {
      if (Fault fault = checkGraph(graph, depth + 1)) {
        return fault;
      }
    }
    return {};
  }

  template <typename Nodes> Fault checkNodes(const Nodes &list, int depth) {
    if (depth > kMaxNesting) {
      return "subgraphs are nested more than " + std::to_string(kMaxNesting) + " deep";
    }
    nodes += list.size();
    if (nodes > kMaxNodes) {
      return "the model has more than " + std::to_string(kMaxNodes) + " nodes";
    }
    for (const NodeProto &node : list) {
      for (const AttributeProto &attribute : node.attribute()) {
        if (Fault fault = checkAttribute(attribute, node, depth)) {
          return fault;
        }
      }
    }
    return {};
  }

  Fault checkGraph(const GraphProto &graph, int depth) {
    if (graph.sparse_initializer_size() > 0) {
      return std::string("sparse initializers are not supported: store the tensor dense");
    }
    for (const auto &tensor : graph.initializer()) {
      if (Fault fault = checkTensor(tensor, "initializer " + quote(tensor.name()))) {
        return fault;
      }
    }
    for (const auto *list : {&graph.input(), &graph.output(), &graph.value_info()}) {
      for (const auto &value : *list) {
        if (Fault fault = checkType(value.type(), "value " + quote(value.name()))) {
          return fault;
        }
      }
    }
    return checkNodes(graph.node(), depth);
  }
};

/// Names that `node` reads, those captured by its subgraphs included.
void collectReads(const NodeProto &node, SmallVectorImpl<const std::string *> &reads) {
  for (const std::string &input : node.input()) {
    if (!input.empty()) {
      reads.push_back(&input);
    }
  }
  for (const AttributeProto &attribute : node.attribute()) {
    auto fromGraph = [&](const GraphProto &graph) {
      StringSet<> own;
      for (const auto &input : graph.input()) {
        own.insert(input.name());
      }
      for (const auto &tensor : graph.initializer()) {
        own.insert(tensor.name());
      }
      for (const NodeProto &inner : graph.node()) {
        for (const std::string &output : inner.output()) {
          own.insert(output);
        }
      }
      SmallVector<const std::string *> inner;
      for (const NodeProto &innerNode : graph.node()) {
        collectReads(innerNode, inner);
      }
      for (const std::string *name : inner) {
        if (!own.contains(*name)) {
          reads.push_back(name);
        }
      }
    };
    if (attribute.has_g()) {
      fromGraph(attribute.g());
    }
    for (const GraphProto &graph : attribute.graphs()) {
      fromGraph(graph);
    }
  }
}

/// Expanded node counts of local functions, and whether they call each other in a circle.
struct Functions {
  StringMap<const onnx::FunctionProto *> byName;
  StringMap<int64_t> counts; // -1 while being counted
  Fault fault;

  static std::string key(const std::string &domain, const std::string &name,
                         const std::string &overload) {
    return domain + "\n" + name + "\n" + overload;
  }

  template <typename Nodes> int64_t count(const Nodes &nodes, int depth) {
    int64_t total = 0;
    for (const NodeProto &node : nodes) {
      total += 1;
      auto it = byName.find(key(node.domain(), node.op_type(), node.overload()));
      if (it != byName.end()) {
        total += countFunction(*it->second, depth);
      }
      for (const AttributeProto &attribute : node.attribute()) {
        if (attribute.has_g()) {
          total += count(attribute.g().node(), depth);
        }
      }
      if (fault || total > kMaxExpandedNodes) {
        return kMaxExpandedNodes + 1;
      }
    }
    return total;
  }

  int64_t countFunction(const onnx::FunctionProto &function, int depth) {
    std::string name = key(function.domain(), function.name(), function.overload());
    auto [it, inserted] = counts.try_emplace(name, -1);
    if (!inserted) {
      if (it->second < 0) {
        fault = "function " + quote(function.name()) + " calls itself";
      }
      return it->second;
    }
    if (depth > 1000) {
      fault = "functions call each other more than 1000 deep";
      return 0;
    }
    int64_t total = count(function.node(), depth + 1);
    counts[name] = total;
    return total;
  }
};

} // namespace

std::string dsc::printableName(const std::string &name) {
  std::string text;
  for (char c : name) {
    if (text.size() >= 120) {
      return text + "...";
    }
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      text += c;
    } else {
      static const char digits[] = "0123456789abcdef";
      text += "\\x";
      text += digits[(c >> 4) & 15];
      text += digits[c & 15];
    }
  }
  return text;
}

std::optional<std::string> dsc::findGraphFault(const GraphProto &graph) {
  StringMap<int> producer; // -1: an input or initializer
  StringSet<> initializers;
  for (const auto &input : graph.input()) {
    if (!producer.try_emplace(input.name(), -1).second) {
      return "input " + quote(input.name()) + " is declared twice";
    }
  }
  for (const auto &tensor : graph.initializer()) {
    if (!initializers.insert(tensor.name()).second) {
      return "initializer " + quote(tensor.name()) + " is there twice";
    }
    producer.try_emplace(tensor.name(), -1); // Up to IR 3 initializers are inputs as well.
  }
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string &output : graph.node(i).output()) {
      if (!output.empty() && !producer.try_emplace(output, i).second) {
        return describe(graph.node(i)) + ": its output " + quote(output) + " has another producer";
      }
    }
  }
  // Kahn's algorithm: nodes whose inputs are known leave, what stays is in a cycle or behind one.
  std::vector<SmallVector<int, 2>> users(graph.node_size());
  std::vector<int> waiting(graph.node_size());
  for (int i = 0; i < graph.node_size(); ++i) {
    SmallVector<const std::string *> reads;
    collectReads(graph.node(i), reads);
    for (const std::string *name : reads) {
      auto it = producer.find(*name);
      if (it == producer.end()) {
        return describe(graph.node(i)) + ": its input " + quote(*name) +
               " is no node's output, input or initializer";
      }
      if (it->second >= 0) {
        users[it->second].push_back(i);
        ++waiting[i];
      }
    }
  }
  std::vector<int> ready;
  for (int i = graph.node_size(); i-- > 0;) {
    if (waiting[i] == 0) {
      ready.push_back(i);
    }
  }
  int64_t done = 0;
  while (!ready.empty()) {
    int node = ready.back();
    ready.pop_back();
    ++done;
    for (int user : users[node]) {
      if (--waiting[user] == 0) {
        ready.push_back(user);
      }
    }
  }
  if (done != graph.node_size()) {
    int first = static_cast<int>(llvm::find_if(waiting, [](int count) { return count > 0; }) -
                                 waiting.begin());
    return describe(graph.node(first)) + ": it is in a cycle, or reads a value of one";
  }
  for (const auto &output : graph.output()) {
    if (!producer.contains(output.name())) {
      return "output " + quote(output.name()) + " is computed by no node";
    }
  }
  return {};
}

std::optional<std::string> dsc::findFault(const onnx::ModelProto &model) {
  Walk walk;
  if (Fault fault = walk.checkGraph(model.graph(), 0)) {
    return fault;
  }
  Functions functions;
  for (const auto &function : model.functions()) {
    if (Fault fault = walk.checkNodes(function.node(), 0)) {
      return "function " + quote(function.name()) + ": " + *fault;
    }
    std::string key = Functions::key(function.domain(), function.name(), function.overload());
    if (!functions.byName.try_emplace(key, &function).second) {
      return "function " + quote(function.name()) + " is defined twice";
    }
  }
  int64_t expanded = functions.count(model.graph().node(), 0);
  if (functions.fault) {
    return functions.fault;
  }
  if (expanded > kMaxExpandedNodes) {
    return "its functions expand to more than " + std::to_string(kMaxExpandedNodes) + " nodes";
  }
  return findGraphFault(model.graph());
}
