// The only way a model comes in. In order: open, measure and parse (OnnxMessage), our own limits
// (OnnxCheck), weights moved out of the message, ONNX's checker, local functions inlined,
// conversion to the newest opset. No exception leaves this file.

#include "frontend/OnnxReader.h"

#include "frontend/ExternalData.h"
#include "frontend/OnnxCheck.h"
#include "frontend/OnnxConversion.h"
#include "frontend/OnnxMessage.h"
#include "ir/Diagnostic.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/Path.h"

#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/version_converter/convert.h"

using namespace mlir;
using namespace dsc;
using namespace dsc::onnx_model;

namespace {

/// The opset that the op table knows.
constexpr int kOpset = 28;
/// Initializers up to this many bytes stay visible to libonnx: its converter reads scales, pads and
/// the like.
constexpr size_t kSmallTensor = 1024;

class Reader {
public:
  Reader(Location loc, const std::string &folder, const ReadOptions &options)
      : loc(loc), external(folder, options.allowSymlinks, options.allowMissing),
        model(std::make_unique<Model>()) {
    model->folder = folder;
  }

  LogicalResult fail(const std::string &text, ErrorId id = ErrorId::ModelInvalid) {
    return dsc::emitError(loc, id) << text;
  }

  LogicalResult parseFile(const std::string &path) { return parseModelFile(path, loc, proto); }
  LogicalResult parseBytes(StringRef bytes);
  FailureOr<std::unique_ptr<Model>> finish();

private:
  LogicalResult checkOpsets();
  LogicalResult takeWeights();
  void rememberNodes();
  LogicalResult normalise();
  LogicalResult takeNodes();

  Location loc;
  ExternalData external;
  std::unique_ptr<Model> model;
  onnx::ModelProto proto;
  llvm::StringMap<Tensor> weights; // initializers out of libonnx's sight
  std::vector<std::string> order;  // of all initializers, as in the file
  llvm::StringSet<> ordered;
  struct Origin {
    int64_t index;
    std::string name;
    llvm::StringMap<std::string> metadata;
  };
  llvm::StringMap<Origin>
      origins; // of nodes, by their outputs: the converter forgets names' places and metadata
};

} // namespace

LogicalResult Reader::parseBytes(StringRef bytes) {
  if (!proto.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return fail("is not an ONNX model, or is cut short: it does not parse as one");
  }
  return success();
}

/// Finds the opset of ONNX's own domain; the table and the converter know up to kOpset.
LogicalResult Reader::checkOpsets() {
  for (auto &entry : *proto.mutable_opset_import()) {
    if (entry.domain() == "ai.onnx") {
      entry.set_domain("");
    }
    if (entry.domain().empty()) {
      model->opset = entry.version();
    }
  }
  if (model->opset > kOpset) {
    return fail("is of opset " + std::to_string(model->opset) + ", the newest known here is " +
                std::to_string(kOpset) + ": export with opset_version=20");
  }
  bool hasOwn = false;
  for (onnx::NodeProto &node : *proto.mutable_graph()->mutable_node()) {
    if (node.domain() == "ai.onnx") {
      node.clear_domain();
    }
    // ONNX Runtime writes this name into ONNX's domain, where the checker does not know it.
    if (node.domain().empty() && node.op_type() == "SimplifiedLayerNormalization") {
      node.set_domain("com.microsoft");
    }
    hasOwn |= node.domain().empty();
  }
  if (hasOwn && model->opset < 1) {
    return fail("imports no opset of ONNX's domain, but has nodes of it");
  }
  return success();
}

/// Moves initializers out of the message; what libonnx need not see becomes a graph input there.
LogicalResult Reader::takeWeights() {
  onnx::GraphProto &graph = *proto.mutable_graph();
  llvm::StringSet<> inputs;
  for (const auto &input : graph.input()) {
    inputs.insert(input.name());
  }
  google::protobuf::RepeatedPtrField<onnx::TensorProto> visible;
  for (onnx::TensorProto &tensor : *graph.mutable_initializer()) {
    order.push_back(tensor.name());
    ordered.insert(tensor.name());
    bool isExternal = tensor.data_location() == onnx::TensorProto::EXTERNAL;
    if (!isExternal && tensor.ByteSizeLong() <= kSmallTensor) {
      *visible.Add() = std::move(tensor);
      continue;
    }
    Tensor &plain = weights[tensor.name()];
    std::string fault = takeTensor(tensor, plain);
    if (fault.empty() && isExternal) {
      std::vector<std::pair<std::string, std::string>> entries;
      for (const auto &entry : tensor.external_data()) {
        entries.emplace_back(entry.key(), entry.value());
      }
      fault = external.locate(entries, plain);
    }
    if (!fault.empty()) {
      return fail("initializer \"" + printableName(tensor.name()) + "\": " + fault,
                  isExternal ? ErrorId::ModelWeights : ErrorId::ModelInvalid);
    }
    if (!inputs.contains(plain.name)) {
      onnx::ValueInfoProto &input = *graph.add_input();
      input.set_name(plain.name);
      auto &type = *input.mutable_type()->mutable_tensor_type();
      type.set_elem_type(static_cast<int32_t>(plain.type));
      for (int64_t dim : plain.dims) {
        type.mutable_shape()->add_dim()->set_dim_value(dim);
      }
    }
  }
  graph.mutable_initializer()->Swap(&visible);
  for (const auto &[file, count] : external.missingFiles()) {
    model->notices.push_back("external data file \"" + printableName(file) +
                             "\" is not there: " + std::to_string(count) +
                             " tensors have no values, and ties between them cannot be seen");
  }
  return success();
}

void Reader::rememberNodes() {
  onnx::GraphProto &graph = *proto.mutable_graph();
  for (int i = 0; i < graph.node_size(); ++i) {
    onnx::NodeProto &node = *graph.mutable_node(i);
    Origin origin{i, node.name(), {}};
    for (const auto &entry : node.metadata_props()) {
      if (entry.key() != "pkg.torch.onnx.stack_trace") {
        origin.metadata[entry.key()] = entry.value();
      }
    }
    node.clear_metadata_props();
    for (const std::string &output : node.output()) {
      if (!output.empty()) {
        origins[output] = origin;
        break;
      }
    }
  }
  for (const auto &value : graph.value_info()) {
    for (const auto &entry : value.metadata_props()) {
      model->metadata[value.name()][entry.key()] = entry.value();
    }
  }
  // The checker asks for a shape, ONNX does not: any will do, since they have been noted above and
  // libonnx must not use them.
  for (auto *values : {graph.mutable_input(), graph.mutable_output()}) {
    for (auto &value : *values) {
      if (value.type().has_tensor_type() && !value.type().tensor_type().has_shape()) {
        value.mutable_type()->mutable_tensor_type()->mutable_shape()->add_dim();
      }
    }
  }
  graph.clear_value_info(); // Shapes are inferred by the importer; a wrong one must not mislead
                            // libonnx.
}

/// Before opset 14 five outputs said that a batch norm trains. The converter refuses them; what a
/// plain node does in training is the same, so outputs that nothing reads are dropped.
static void dropOldStatistics(onnx::GraphProto &graph) {
  llvm::StringSet<> read;
  for (const auto &node : graph.node()) {
    for (const std::string &input : node.input()) {
      read.insert(input);
    }
  }
  for (const auto &output : graph.output()) {
    read.insert(output.name());
  }
  for (auto &node : *graph.mutable_node()) {
    if (node.op_type() != "BatchNormalization" || !node.domain().empty()) {
      continue;
    }
    while (node.output_size() > 1 && !read.contains(node.output(node.output_size() - 1))) {
      node.mutable_output()->RemoveLast();
    }
  }
}

/// Takes dimensions below 1 (old exporters write -1 for open ones) out of `types`: where the
/// converter infers the shape of a Slice, it ends the process on them.
static void openSmallDims(google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> &types) {
  for (onnx::ValueInfoProto &info : types) {
    if (!info.type().has_tensor_type() || !info.type().tensor_type().has_shape()) {
      continue;
    }
    for (auto &dim : *info.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim()) {
      if (dim.has_dim_value() && dim.dim_value() < 1) {
        dim.clear_dim_value();
      }
    }
  }
}

/// Brings `proto` to the newest opset; its inputs and outputs keep the types that they have.
static onnx::ModelProto convert(const onnx::ModelProto &proto, int version) {
  onnx::ModelProto open = proto;
  openSmallDims(*open.mutable_graph()->mutable_input());
  openSmallDims(*open.mutable_graph()->mutable_output());
  openSmallDims(*open.mutable_graph()->mutable_value_info());
  onnx::ModelProto converted = onnx::version_conversion::ConvertVersion(open, version);
  auto restore = [](const auto &from, auto &to) {
    for (int i = 0; i < std::min(from.size(), to.size()); ++i) {
      if (from[i].name() == to[i].name()) {
        *to[i].mutable_type() = from[i].type();
      }
    }
  };
  restore(proto.graph().input(), *converted.mutable_graph()->mutable_input());
  restore(proto.graph().output(), *converted.mutable_graph()->mutable_output());
  return converted;
}

/// Checks the message, and brings it to main-graph nodes of the newest opset.
LogicalResult Reader::normalise() {
  try {
    if (proto.ir_version() < 4) {
      proto.set_ir_version(
          4); // Before that all initializers had to be inputs, which the converter cannot keep up.
    }
    onnx::checker::check_model(proto);
    if (proto.functions_size() > 0) {
      onnx::inliner::InlineLocalFunctions(proto, true);
      if (std::optional<std::string> fault = findFault(proto)) {
        return fail(*fault);
      }
    }
    if (model->opset >= 1 && model->opset < kOpset) {
      if (model->opset < 14) {
        dropOldStatistics(*proto.mutable_graph());
      }
      proto = convert(proto, kOpset);
    }
  } catch (const std::exception &error) {
    std::string text = error.what();
    // Failed assertions of the library start with a path of the machine that it was built on.
    if (size_t at = text.find("Assertion "); at != std::string::npos) {
      text = text.substr(at);
    }
    return fail("is not a valid ONNX model: " + text.substr(0, 600));
  }
  return success();
}

LogicalResult Reader::takeNodes() {
  onnx::GraphProto &graph = *proto.mutable_graph();
  Graph plain;
  std::string fault = takeGraph(graph, plain);
  if (!fault.empty()) {
    return fail(fault);
  }
  int64_t index = 0;
  for (Node &node : plain.nodes) {
    for (const std::string &output : node.outputs) {
      auto it = origins.find(output);
      if (it != origins.end()) {
        index = it->second.index;
        node.name = it->second.name;
        node.metadata = it->second.metadata;
      }
    }
    node.index = index; // Nodes that the converter adds stand before the one they serve.
  }
  model->graph.nodes = std::move(plain.nodes);
  // Initializers in the file's order, then what the converter made.
  for (Tensor &tensor : plain.initializers) {
    if (ordered.insert(tensor.name).second) {
      order.push_back(tensor.name);
    }
    weights.try_emplace(tensor.name, std::move(tensor));
  }
  for (const std::string &name : order) {
    auto it = weights.find(name);
    if (it != weights.end()) {
      model->graph.initializers.push_back(std::move(it->second));
    }
  }
  return success();
}

FailureOr<std::unique_ptr<Model>> Reader::finish() {
  if (proto.ir_version() == 0 || !proto.has_graph()) {
    return fail("is not an ONNX model: it has no graph or no ir_version");
  }
  if (std::optional<std::string> fault = findFault(proto)) {
    return fail(*fault);
  }
  model->producer = proto.producer_name();
  model->producerVersion = proto.producer_version();
  model->hasTrainingInfo = proto.training_info_size() > 0;
  proto.clear_training_info();
  llvm::StringSet<> initializers;
  for (const auto &tensor : proto.graph().initializer()) {
    initializers.insert(tensor.name());
  }
  for (const auto &input : proto.graph().input()) {
    if (!initializers.contains(input.name())) {
      model->graph.inputs.push_back(toValueInfo(input));
    }
  }
  for (const auto &output : proto.graph().output()) {
    model->graph.outputs.push_back(toValueInfo(output));
  }
  if (failed(checkOpsets()) || failed(takeWeights())) {
    return failure();
  }
  rememberNodes();
  if (failed(normalise()) || failed(takeNodes())) {
    return failure();
  }
  return std::move(model);
}

FailureOr<std::unique_ptr<Model>> dsc::readModel(MLIRContext &context, StringRef path,
                                                 const ReadOptions &options) {
  StringRef folder = llvm::sys::path::parent_path(path);
  Location loc = FileLineColLoc::get(&context, llvm::sys::path::filename(path), 0, 0);
  Reader reader(loc, folder.empty() ? "." : folder.str(), options);
  if (failed(reader.parseFile(path.str()))) {
    return failure();
  }
  FailureOr<std::unique_ptr<Model>> model = reader.finish();
  if (succeeded(model)) {
    (*model)->path = path.str();
  }
  return model;
}

FailureOr<std::unique_ptr<Model>> dsc::readModelFromBytes(MLIRContext &context, StringRef bytes) {
  Reader reader(FileLineColLoc::get(&context, "bytes", 0, 0), "/nonexistent", ReadOptions());
  if (failed(reader.parseBytes(bytes))) {
    return failure();
  }
  FailureOr<std::unique_ptr<Model>> model = reader.finish();
  if (succeeded(model)) {
    (*model)->path = "bytes";
  }
  return model;
}
