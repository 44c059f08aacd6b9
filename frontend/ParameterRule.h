// Which tensors of a model are trained, which are buffers and which constants: the written rule of
// docs/parameters.md, with a reason for each. Undoes what exporters did to names and ties.

#ifndef DSC_FRONTEND_PARAMETERRULE_H
#define DSC_FRONTEND_PARAMETERRULE_H

#include "frontend/Frontend.h"
#include "frontend/OnnxModel.h"

#include "llvm/ADT/DenseMap.h"

#include <map>
#include <optional>

namespace dsc {

/// What the runner fills a parameter with under --init=random.
struct InitialValue {
  enum class Kind { Fill, Uniform, Normal };
  Kind kind = Kind::Fill;
  double number = 0; // the fill, half the width of the interval, or the standard deviation
  std::string why;
};

struct Parameter {
  std::string name;                   // as PyTorch knows it, where the file still says so
  std::vector<std::string> onnxNames; // the initializers it came from
  const onnx_model::Tensor *tensor = nullptr;
  std::vector<int64_t> dims; // PyTorch's shape: the tensor's, transposed or without dimensions of 1
  bool transposed = false;   // the file holds the transpose
  GlobalRole role = GlobalRole::trained;
  std::string reason;
  bool folds = false; // a buffer that nothing writes: its value is known while importing
  std::optional<InitialValue> start; // --init=random; none: the file's data
};

/// What an operand that is an initializer stands for.
struct ParameterUse {
  const onnx_model::Tensor *tensor = nullptr; // null: the name is no initializer
  int parameter = -1;                         // index into parameters(), -1 for a constant
  bool transposed = false;                    // the operand is the parameter transposed
};

class ParameterTable {
public:
  /// Applies the rule. Errors: copies that cannot be trained; a regular expression that is none.
  static mlir::FailureOr<std::unique_ptr<ParameterTable>>
  decide(const onnx_model::Model &model, const ImportOptions &options, mlir::Location loc);

  /// Operand `slot` of the node at `position` in the graph's list; `value` is its name.
  ParameterUse use(llvm::StringRef value, int64_t position, unsigned slot) const;

  /// The bias that an exporter dropped from the Gemm at `position` because it was zero; -1 if none.
  int droppedBias(int64_t position) const;

  /// Whether the node at `position` only renames a parameter (an Identity of an initializer).
  llvm::ArrayRef<Parameter> parameters() const { return table; }
  llvm::ArrayRef<ParameterInfo> constants() const { return constantRows; }

  std::vector<std::string> notices;

private:
  friend class ParameterRule;
  std::vector<Parameter> table;
  std::vector<ParameterInfo> constantRows;
  struct Place {
    const onnx_model::Tensor *tensor;
    int parameter;
    bool transposed;
  };
  llvm::StringMap<Place> places;                      // by value name
  std::map<std::pair<int64_t, unsigned>, int> splits; // (node, operand) -> parameter
  llvm::DenseMap<int64_t, int> biases;                // node -> parameter
  std::vector<std::unique_ptr<onnx_model::Tensor>>
      madeTensors; // zeros that the file no longer holds
};

} // namespace dsc

#endif // DSC_FRONTEND_PARAMETERRULE_H
