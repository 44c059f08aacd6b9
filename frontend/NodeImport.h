// One ONNX node on its way into the IR: what an import function sees. Import functions read
// operands and attributes here, emit ops through `e`, and give each output its value. They return
// failure after an error, or refuse() where ONNX allows what dsc cannot do.

#ifndef DSC_FRONTEND_NODEIMPORT_H
#define DSC_FRONTEND_NODEIMPORT_H

#include "frontend/Emitter.h"
#include "frontend/OnnxModel.h"
#include "ir/Options.h"

namespace dsc {

/// How the model runs: as module.train() or as module.eval() does.
enum class Mode { Train, Inference };

/// A batch norm's running statistic that @forward updates.
struct StatisticUpdate {
  mlir::Value running; // the get_global that is replaced
  mlir::Value value;
};

/// What all nodes of one function share.
struct ImportState {
  Mode mode;
  const CompileOptions &options;
  bool fromPyTorch = false;
  std::vector<StatisticUpdate> updates = {};
  std::vector<std::string> notices = {};
  int64_t randomInNode = 0; // random ops made for the current node
};

class NodeImport {
public:
  NodeImport(const onnx_model::Node &node, Emitter &emitter, ImportState &state,
             mlir::ArrayRef<mlir::SmallVector<mlir::Value, 1>> inputs,
             mlir::ArrayRef<bool> sequences)
      : node(node), e(emitter), state(state), inputs(inputs), sequences(sequences),
        outputs(node.outputs.size()), outputSequences(node.outputs.size(), false) {}

  const onnx_model::Node &node;
  Emitter &e;
  ImportState &state;

  //===--- Operands -------------------------------------------------------===//

  unsigned numInputs() const { return inputs.size(); }
  bool hasInput(unsigned i) const { return i < inputs.size() && !inputs[i].empty(); }
  /// Operand `i`; null where it is left out.
  mlir::Value input(unsigned i) const {
    return hasInput(i) && !sequences[i] ? inputs[i].front() : mlir::Value();
  }
  /// The elements of a sequence operand; nothing for a tensor.
  std::optional<mlir::ArrayRef<mlir::Value>> sequence(unsigned i) const {
    return hasInput(i) && sequences[i] ? std::optional(mlir::ArrayRef<mlir::Value>(inputs[i]))
                                       : std::nullopt;
  }
  /// All present operands.
  mlir::SmallVector<mlir::Value> allInputs() const;

  /// Integers of operand `i`, which must be known at compile time; says which operand is not.
  mlir::FailureOr<mlir::SmallVector<int64_t>> constantInts(unsigned i, mlir::StringRef what);
  mlir::FailureOr<mlir::SmallVector<double>> constantNumbers(unsigned i, mlir::StringRef what);

  //===--- Attributes -----------------------------------------------------===//

  bool has(mlir::StringRef name) const { return node.attribute(name) != nullptr; }
  int64_t intAttr(mlir::StringRef name, int64_t otherwise) const;
  double floatAttr(mlir::StringRef name, double otherwise) const;
  std::string stringAttr(mlir::StringRef name, mlir::StringRef otherwise) const;
  std::optional<mlir::SmallVector<int64_t>> intsAttr(mlir::StringRef name) const;

  /// `axis` of a tensor of `rank`, counted from the front. Error: it is outside [-rank, rank).
  mlir::FailureOr<int64_t> axis(int64_t axis, int64_t rank);
  mlir::FailureOr<mlir::SmallVector<int64_t>> axes(mlir::ArrayRef<int64_t> axes, int64_t rank);

  //===--- Results --------------------------------------------------------===//

  bool wants(unsigned i) const { return i < node.outputs.size() && !node.outputs[i].empty(); }
  /// Gives output `i` its value; failure where it is null (an error was emitted).
  mlir::LogicalResult set(unsigned i, mlir::Value value);
  mlir::LogicalResult result(mlir::Value value) { return set(0, value); }
  mlir::LogicalResult setSequence(unsigned i, mlir::ArrayRef<mlir::Value> values);

  /// 0, 1, .. count - 1 as a constant of `shape`. Null after an error where the node is for more
  /// than fit a memory: they are held while compiling.
  mlir::Value numbers(int64_t count, mlir::ArrayRef<int64_t> shape);

  /// A uniform random tensor in [0, 1), numbered after the node.
  mlir::Value random(Distribution distribution, mlir::RankedTensorType type);

  //===--- Faults ---------------------------------------------------------===//

  mlir::InFlightDiagnostic error() { return e.error(); }
  /// The node is valid ONNX but not supported; `why` goes to the table of all such nodes.
  mlir::LogicalResult refuse(const llvm::Twine &why) {
    refused = why.str();
    return mlir::failure();
  }

  /// The node is imported through its operator's function body instead.
  mlir::LogicalResult expandBody() {
    wantsBody = true;
    return mlir::failure();
  }

  std::string refused;
  bool wantsBody = false;
  mlir::ArrayRef<mlir::SmallVector<mlir::Value, 1>> inputs;
  mlir::ArrayRef<bool> sequences;
  std::vector<mlir::SmallVector<mlir::Value, 1>> outputs;
  std::vector<bool> outputSequences;
};

/// Element type of ONNX's `type`; null where dsc has none.
mlir::Type elementType(mlir::MLIRContext *context, onnx_model::DataType type);
/// ONNX's number of an element type.
onnx_model::DataType dataType(mlir::Type element);
/// The elements of `tensor` as an attribute; null where its type has no place or the file cannot be
/// read.
mlir::DenseElementsAttr toElements(mlir::MLIRContext *context, const onnx_model::Tensor &tensor);

} // namespace dsc

#endif // DSC_FRONTEND_NODEIMPORT_H
