// Dropout of opset 12 and later is live where its third operand is true; before, an inference graph
// has no live one. Batch norms of opset 14 and later have an attribute, older ones told by their
// number of outputs.

#include "frontend/InferenceForm.h"

#include "llvm/ADT/StringSet.h"

using namespace dsc;

using Nodes = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

/// Names that nodes of `nodes` and of their subgraphs read, and outputs of subgraphs.
static void collectReads(const Nodes &nodes, llvm::StringSet<> &reads) {
  for (const onnx::NodeProto &node : nodes) {
    for (const std::string &name : node.input()) {
      reads.insert(name);
    }
    for (const onnx::AttributeProto &attribute : node.attribute()) {
      if (attribute.has_g()) {
        collectReads(attribute.g().node(), reads);
        for (const onnx::ValueInfoProto &output : attribute.g().output()) {
          reads.insert(output.name());
        }
      }
    }
  }
}

namespace {
/// Rewrites one list of nodes.
class InferenceRewriter {
public:
  /// `reads`: every name that is read where the nodes' outputs are visible.
  explicit InferenceRewriter(llvm::StringSet<> reads) : reads(std::move(reads)) {}

  void rewrite(Nodes &nodes) {
    Nodes rewritten;
    for (onnx::NodeProto &node : nodes) {
      for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) {
          rewrite(*attribute.mutable_g()->mutable_node());
        }
      }
      onnx::NodeProto &kept = *rewritten.Add();
      kept.Swap(&node);
      bool isOnnx = kept.domain().empty() || kept.domain() == "ai.onnx";
      if (isOnnx && kept.op_type() == "Dropout") {
        stopDropout(kept);
      } else if (isOnnx && kept.op_type() == "BatchNormalization") {
        useRunningStatistics(kept, rewritten);
      }
    }
    nodes.Swap(&rewritten);
  }

  const llvm::StringSet<> &droppedOperands() const { return operands; }
  const llvm::StringSet<> &droppedOutputs() const { return outputs; }

private:
  void stopDropout(onnx::NodeProto &node) {
    while (node.input_size() > 2) {
      operands.insert(node.input(node.input_size() - 1));
      node.mutable_input()->RemoveLast();
    }
    while (node.input_size() > 1 && node.input(node.input_size() - 1).empty()) {
      node.mutable_input()->RemoveLast();
    }
  }

  void useRunningStatistics(onnx::NodeProto &node, Nodes &nodes) {
    for (onnx::AttributeProto &attribute : *node.mutable_attribute()) {
      if (attribute.name() == "training_mode") {
        attribute.set_i(0);
      }
    }
    std::vector<std::string> statistics(node.output().begin(), node.output().end());
    std::vector<std::string> running(node.input().begin(), node.input().end());
    while (node.output_size() > 1) {
      node.mutable_output()->RemoveLast();
    }
    // Outputs 1 and 2 are the mean and the variance of operands 3 and 4.
    for (size_t i = 1; i < statistics.size(); ++i) {
      if (!reads.contains(statistics[i]) || i > 2 || running.size() < 5) {
        outputs.insert(statistics[i]);
        continue;
      }
      onnx::NodeProto &copy = *nodes.Add();
      copy.set_op_type("Identity");
      copy.set_name(statistics[i] + ".running");
      copy.add_input(running[i + 2]);
      copy.add_output(statistics[i]);
    }
  }

  llvm::StringSet<> reads, operands, outputs;
};
} // namespace

/// Removes the entries whose names `isGone` holds.
template <typename Entry, typename Predicate>
static void removeNamed(google::protobuf::RepeatedPtrField<Entry> &entries, Predicate isGone) {
  google::protobuf::RepeatedPtrField<Entry> kept;
  for (Entry &entry : entries) {
    if (!isGone(entry.name())) {
      kept.Add()->Swap(&entry);
    }
  }
  entries.Swap(&kept);
}

void dsc::setInferenceForm(onnx::ModelProto &model) {
  onnx::GraphProto &graph = *model.mutable_graph();
  llvm::StringSet<> reads;
  collectReads(graph.node(), reads);
  for (const onnx::ValueInfoProto &output : graph.output()) {
    reads.insert(output.name());
  }
  InferenceRewriter rewriter(reads);
  rewriter.rewrite(*graph.mutable_node());
  for (onnx::FunctionProto &function : *model.mutable_functions()) {
    llvm::StringSet<> inner;
    collectReads(function.node(), inner);
    for (const std::string &output : function.output()) {
      inner.insert(output);
    }
    InferenceRewriter(std::move(inner)).rewrite(*function.mutable_node());
  }
  // What only Dropout's training_mode read goes with it, as runtimes warn of unread initializers.
  llvm::StringSet<> stillRead;
  collectReads(graph.node(), stillRead);
  auto isUnread = [&](const std::string &name) {
    return rewriter.droppedOperands().contains(name) && !stillRead.contains(name);
  };
  removeNamed(*graph.mutable_initializer(), isUnread);
  removeNamed(*graph.mutable_value_info(),
              [&](const std::string &name) { return rewriter.droppedOutputs().contains(name); });
}
