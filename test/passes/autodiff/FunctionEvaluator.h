// Runs functions of the dialect on the evaluator: gradients and training steps are tested without
// generated code.

#ifndef DSC_TEST_PASSES_AUTODIFF_FUNCTIONEVALUATOR_H
#define DSC_TEST_PASSES_AUTODIFF_FUNCTIONEVALUATOR_H

#include "ir/Evaluate.h"

#include <map>
#include <random>
#include <string>

namespace dsc {

using Tensors = std::vector<EvaluatedTensor>;

class FunctionEvaluator {
public:
  /// Values of the module's globals by name; those with a `value` start at it. A storing global is
  /// read as its parts say and written into them.
  explicit FunctionEvaluator(mlir::ModuleOp module);

  /// Runs `name` on `arguments`. Fails the running test, and returns nothing, where an op has no
  /// evaluation.
  Tensors run(llvm::StringRef name, const Tensors &arguments);

  /// The value of a global, with its parts' values where it stores others.
  EvaluatedTensor read(mlir::StringAttr name);

  std::map<std::string, EvaluatedTensor> globals;

private:
  void write(mlir::StringAttr name, const EvaluatedTensor &value);
  Tensors run(mlir::Block &body, const Tensors &arguments);

  mlir::ModuleOp module;
};

/// A tensor of `type` with random elements: floats in [low, high), integers too, truncated.
EvaluatedTensor randomTensor(mlir::RankedTensorType type, double low, double high,
                             std::mt19937 &random);

} // namespace dsc

#endif // DSC_TEST_PASSES_AUTODIFF_FUNCTIONEVALUATOR_H
