// Own expansion by libonnx's schemas: defaults are bound first, since libonnx's inliner forgets
// them, and omitted operands get an empty type. No exception leaves this file.

#include "frontend/FunctionExpander.h"

#include "frontend/OnnxConversion.h"

#include "onnx/defs/schema.h"
#include "onnx/shape_inference/attribute_binder.h"

using namespace dsc;
using namespace dsc::onnx_model;

static constexpr int kOpset = 28;

static const onnx::OpSchema *schemaOf(const std::string &op, const std::string &domain) {
  return onnx::OpSchemaRegistry::Schema(op, domain.empty() ? kOpset : 1, domain);
}

bool dsc::hasFunctionBody(const std::string &op, const std::string &domain) {
  const onnx::OpSchema *schema = schemaOf(op, domain);
  return schema && (schema->HasFunction() || schema->HasContextDependentFunction());
}

static std::optional<FunctionBody> expand(const Node &node,
                                          const std::vector<OperandType> &operands) {
  const onnx::OpSchema *schema = schemaOf(node.op, node.domain);
  if (!schema || (!schema->HasFunction() && !schema->HasContextDependentFunction())) {
    return std::nullopt;
  }
  onnx::NodeProto call;
  toProto(node, call);
  for (const auto &[name, attribute] : schema->attributes()) {
    if (!node.attribute(name) && attribute.default_value.has_name()) {
      *call.add_attribute() = attribute.default_value;
      call.mutable_attribute(call.attribute_size() - 1)->set_name(name);
    }
  }
  std::vector<onnx::TypeProto> types(operands.size());
  for (size_t i = 0; i < operands.size(); ++i) {
    if (operands[i].type == DataType::Undefined) {
      continue;
    }
    auto &tensor = *types[i].mutable_tensor_type();
    tensor.set_elem_type(static_cast<int32_t>(operands[i].type));
    tensor.mutable_shape();
    for (int64_t dim : operands[i].dims) {
      tensor.mutable_shape()->add_dim()->set_dim_value(dim);
    }
  }
  onnx::FunctionProto function;
  if (schema->HasFunction()) {
    const onnx::FunctionProto *fixed = schema->GetFunction(node.domain.empty() ? kOpset : 1, false);
    if (!fixed) {
      return std::nullopt;
    }
    function = *fixed;
  } else {
    onnx::FunctionBodyBuildContextImpl context(call, types);
    if (!schema->BuildContextDependentFunction(context, function,
                                               node.domain.empty() ? kOpset : 1)) {
      return std::nullopt;
    }
  }
  onnx::internal::AttributeBinder::BindAttributes(call, function);
  FunctionBody body;
  body.inputs.assign(function.input().begin(), function.input().end());
  body.outputs.assign(function.output().begin(), function.output().end());
  for (onnx::NodeProto &inner : *function.mutable_node()) {
    if (!takeNode(inner, node.index, body.nodes.emplace_back()).empty()) {
      return std::nullopt;
    }
  }
  return body;
}

std::optional<FunctionBody> dsc::expandFunction(const Node &node,
                                                const std::vector<OperandType> &operands) {
  try {
    return expand(node, operands);
  } catch (const std::exception &) {
    return std::nullopt; // The body does not fit these operands; the caller says that the node is
                         // not supported.
  }
}

std::vector<std::pair<std::string, std::string>> dsc::functionOperators() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const onnx::OpSchema &schema : onnx::OpSchemaRegistry::get_all_schemas()) {
    if (schema.HasFunction() || schema.HasContextDependentFunction()) {
      names.emplace_back(schema.domain(), schema.Name());
    }
  }
  return names;
}
