// Protobuf messages to plain data. Data that is too short or too long for its dims is a fault.

#include "frontend/OnnxConversion.h"

#include <cstring>

using namespace dsc;
using namespace dsc::onnx_model;

template <typename Element, typename Field> static std::string pack(const Field &field) {
  std::string bytes(field.size() * sizeof(Element), '\0');
  char *out = bytes.data();
  for (auto value : field) {
    auto element = static_cast<Element>(value);
    std::memcpy(out, &element, sizeof(Element));
    out += sizeof(Element);
  }
  return bytes;
}

/// The bytes of the typed field that `type` uses.
static std::string packTyped(const onnx::TensorProto &proto, DataType type) {
  switch (type) {
  case DataType::Float:
    return pack<float>(proto.float_data());
  case DataType::Double:
    return pack<double>(proto.double_data());
  case DataType::Int64:
    return pack<int64_t>(proto.int64_data());
  case DataType::Uint64:
    return pack<uint64_t>(proto.uint64_data());
  case DataType::Uint32:
    return pack<uint32_t>(proto.uint64_data());
  case DataType::Int32:
    return pack<int32_t>(proto.int32_data());
  case DataType::Int16:
  case DataType::Uint16:
  case DataType::Float16:
  case DataType::Bfloat16:
    return pack<uint16_t>(proto.int32_data());
  case DataType::Int8:
  case DataType::Uint8:
  case DataType::Bool:
    return pack<uint8_t>(proto.int32_data());
  default:
    return "";
  }
}

std::string dsc::takeTensor(onnx::TensorProto &proto, Tensor &tensor) {
  tensor.name = proto.name();
  tensor.type = static_cast<DataType>(proto.data_type());
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  if (bytesOf(tensor.type) == 0 || proto.data_location() == onnx::TensorProto::EXTERNAL) {
    return "";
  }
  int fields = proto.has_raw_data() + !proto.float_data().empty() + !proto.int32_data().empty() +
               !proto.int64_data().empty() + !proto.double_data().empty() +
               !proto.uint64_data().empty() + !proto.string_data().empty();
  if (fields > 1) {
    return "its data is stored in several fields";
  }
  tensor.bytes =
      proto.has_raw_data() ? std::move(*proto.mutable_raw_data()) : packTyped(proto, tensor.type);
  if (tensor.bytes.size() != tensor.byteCount()) {
    return "it holds " + std::to_string(tensor.bytes.size()) + " bytes, its dims and type need " +
           std::to_string(tensor.byteCount());
  }
  return "";
}

static std::string takeAttribute(onnx::AttributeProto &proto, NodeAttribute &attribute) {
  using Kind = NodeAttribute::Kind;
  using Proto = onnx::AttributeProto;
  switch (proto.type()) {
  case Proto::INT:
    attribute.kind = Kind::Int;
    attribute.i = proto.i();
    return "";
  case Proto::FLOAT:
    attribute.kind = Kind::Float;
    attribute.f = proto.f();
    return "";
  case Proto::STRING:
    attribute.kind = Kind::String;
    attribute.s = proto.s();
    return "";
  case Proto::INTS:
    attribute.kind = Kind::Ints;
    attribute.ints.assign(proto.ints().begin(), proto.ints().end());
    return "";
  case Proto::FLOATS:
    attribute.kind = Kind::Floats;
    attribute.floats.assign(proto.floats().begin(), proto.floats().end());
    return "";
  case Proto::STRINGS:
    attribute.kind = Kind::Strings;
    attribute.strings.assign(proto.strings().begin(), proto.strings().end());
    return "";
  case Proto::TENSOR:
    attribute.kind = Kind::Tensor;
    attribute.tensor = std::make_shared<Tensor>();
    if (proto.t().data_location() == onnx::TensorProto::EXTERNAL) {
      return "a tensor attribute has external data; only initializers may";
    }
    return takeTensor(*proto.mutable_t(), *attribute.tensor);
  case Proto::GRAPH:
    attribute.kind = Kind::Graph;
    attribute.graph = std::make_shared<Graph>();
    return takeGraph(*proto.mutable_g(), *attribute.graph);
  default:
    return "";
  }
}

std::string dsc::takeNode(onnx::NodeProto &proto, int64_t index, Node &node) {
  node.name = proto.name();
  node.op = proto.op_type();
  node.domain = proto.domain() == "ai.onnx" ? "" : proto.domain();
  node.inputs.assign(proto.input().begin(), proto.input().end());
  node.outputs.assign(proto.output().begin(), proto.output().end());
  node.index = index;
  for (onnx::AttributeProto &attribute : *proto.mutable_attribute()) {
    std::string fault = takeAttribute(attribute, node.attributes[attribute.name()]);
    if (!fault.empty()) {
      return "attribute '" + attribute.name() + "': " + fault;
    }
  }
  for (const auto &entry : proto.metadata_props()) {
    node.metadata[entry.key()] = entry.value();
  }
  return "";
}

ValueInfo dsc::toValueInfo(const onnx::ValueInfoProto &proto) {
  ValueInfo info;
  info.name = proto.name();
  info.isTensor = proto.type().has_tensor_type();
  if (!info.isTensor) {
    return info;
  }
  const auto &type = proto.type().tensor_type();
  info.type = static_cast<DataType>(type.elem_type());
  info.hasShape = type.has_shape();
  for (const auto &dim : type.shape().dim()) {
    Dim entry;
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      entry.size = dim.dim_value();
    } else if (dim.has_dim_param()) {
      entry.name = dim.dim_param();
    }
    info.dims.push_back(entry);
  }
  return info;
}

std::string dsc::takeGraph(onnx::GraphProto &proto, Graph &graph) {
  for (const auto &input : proto.input()) {
    graph.inputs.push_back(toValueInfo(input));
  }
  for (const auto &output : proto.output()) {
    graph.outputs.push_back(toValueInfo(output));
  }
  graph.initializers.reserve(proto.initializer_size());
  for (onnx::TensorProto &tensor : *proto.mutable_initializer()) {
    std::string fault = takeTensor(tensor, graph.initializers.emplace_back());
    if (!fault.empty()) {
      return "initializer \"" + tensor.name() + "\": " + fault;
    }
  }
  graph.nodes.reserve(proto.node_size());
  for (int i = 0; i < proto.node_size(); ++i) {
    std::string fault = takeNode(*proto.mutable_node(i), i, graph.nodes.emplace_back());
    if (!fault.empty()) {
      return "node \"" + proto.node(i).name() + "\" (" + proto.node(i).op_type() + "): " + fault;
    }
  }
  return "";
}

static void tensorToProto(const Tensor &tensor, onnx::TensorProto &proto) {
  proto.set_name(tensor.name);
  proto.set_data_type(static_cast<int32_t>(tensor.type));
  proto.mutable_dims()->Add(tensor.dims.begin(), tensor.dims.end());
  proto.set_raw_data(tensor.bytes);
}

/// A subgraph, whose inputs and outputs libonnx's builders know by name.
static void graphToProto(const Graph &graph, onnx::GraphProto &proto) {
  proto.set_name("graph");
  auto declare = [](const ValueInfo &info, onnx::ValueInfoProto &value) {
    value.set_name(info.name);
    auto &type = *value.mutable_type()->mutable_tensor_type();
    type.set_elem_type(static_cast<int32_t>(info.type));
    for (size_t i = 0; info.hasShape && i <= info.dims.size(); ++i) {
      auto &shape = *type.mutable_shape();
      if (i < info.dims.size() && info.dims[i].size) {
        shape.add_dim()->set_dim_value(*info.dims[i].size);
      } else if (i < info.dims.size()) {
        shape.add_dim()->set_dim_param(info.dims[i].name);
      }
    }
  };
  for (const ValueInfo &input : graph.inputs) {
    declare(input, *proto.add_input());
  }
  for (const ValueInfo &output : graph.outputs) {
    declare(output, *proto.add_output());
  }
  for (const Tensor &tensor : graph.initializers) {
    tensorToProto(tensor, *proto.add_initializer());
  }
  for (const Node &node : graph.nodes) {
    dsc::toProto(node, *proto.add_node());
  }
}

void dsc::toProto(const Node &node, onnx::NodeProto &proto) {
  proto.set_name(node.name);
  proto.set_op_type(node.op);
  proto.set_domain(node.domain);
  for (const std::string &input : node.inputs) {
    proto.add_input(input);
  }
  for (const std::string &output : node.outputs) {
    proto.add_output(output);
  }
  for (const auto &entry : node.attributes) {
    const NodeAttribute &from = entry.second;
    onnx::AttributeProto &to = *proto.add_attribute();
    to.set_name(entry.first().str());
    switch (from.kind) {
    case NodeAttribute::Kind::Int:
      to.set_type(onnx::AttributeProto::INT);
      to.set_i(from.i);
      break;
    case NodeAttribute::Kind::Float:
      to.set_type(onnx::AttributeProto::FLOAT);
      to.set_f(from.f);
      break;
    case NodeAttribute::Kind::String:
      to.set_type(onnx::AttributeProto::STRING);
      to.set_s(from.s);
      break;
    case NodeAttribute::Kind::Ints:
      to.set_type(onnx::AttributeProto::INTS);
      to.mutable_ints()->Add(from.ints.begin(), from.ints.end());
      break;
    case NodeAttribute::Kind::Floats:
      to.set_type(onnx::AttributeProto::FLOATS);
      to.mutable_floats()->Add(from.floats.begin(), from.floats.end());
      break;
    case NodeAttribute::Kind::Strings:
      to.set_type(onnx::AttributeProto::STRINGS);
      for (const std::string &text : from.strings) {
        to.add_strings(text);
      }
      break;
    case NodeAttribute::Kind::Tensor:
      to.set_type(onnx::AttributeProto::TENSOR);
      tensorToProto(*from.tensor, *to.mutable_t());
      break;
    case NodeAttribute::Kind::Graph:
      to.set_type(onnx::AttributeProto::GRAPH);
      graphToProto(*from.graph, *to.mutable_g());
      break;
    case NodeAttribute::Kind::Other:
      proto.mutable_attribute()->RemoveLast();
      break;
    }
  }
}
