// A small interpreter of functions.

#include "test/passes/autodiff/FunctionEvaluator.h"

#include "gtest/gtest.h"

using namespace mlir;
using namespace dsc;

FunctionEvaluator::FunctionEvaluator(ModuleOp module) : module(module) {
  for (auto global : module.getOps<GlobalOp>()) {
    auto value = dyn_cast_or_null<DenseElementsAttr>(global.getValueAttr());
    globals.emplace(global.getSymName().str(), value ? EvaluatedTensor::fromAttribute(value)
                                                     : EvaluatedTensor(global.getTensorType()));
  }
}

Tensors FunctionEvaluator::run(StringRef name, const Tensors &arguments) {
  return run(module.lookupSymbol<func::FuncOp>(name).getBody().front(), arguments);
}

Tensors FunctionEvaluator::run(Block &body, const Tensors &arguments) {
  DenseMap<Value, EvaluatedTensor> values;
  for (auto [argument, tensor] : llvm::zip_equal(body.getArguments(), arguments)) {
    values.try_emplace(argument, tensor);
  }
  for (Operation &op : body) {
    Tensors operands, results;
    for (Value operand : op.getOperands()) {
      operands.push_back(values.find(operand)->second);
    }
    if (op.hasTrait<OpTrait::IsTerminator>()) {
      return operands;
    }
    if (auto constant = dyn_cast<ConstantOp>(op)) {
      results.push_back(
          EvaluatedTensor::fromAttribute(cast<DenseElementsAttr>(constant.getValue())));
    } else if (auto kernel = dyn_cast<KernelOp>(op)) {
      results = run(kernel.getBody().front(), operands);
    } else if (auto get = dyn_cast<GetGlobalOp>(op)) {
      results.push_back(globals.at(get.getName().str()));
    } else if (auto set = dyn_cast<SetGlobalOp>(op)) {
      globals.at(set.getName().str()) = operands.front();
    } else if (!isa<GradientsOp>(op) && !evaluate(&op, operands, results)) {
      ADD_FAILURE() << "no evaluation of " << op.getName().getStringRef().str();
      return {};
    }
    for (auto [result, tensor] : llvm::zip_equal(op.getResults(), results)) {
      values.try_emplace(result, tensor);
    }
  }
  return {};
}

EvaluatedTensor dsc::randomTensor(RankedTensorType type, double low, double high,
                                  std::mt19937 &random) {
  EvaluatedTensor tensor(type);
  std::uniform_real_distribution<double> number(low, high);
  for (double &value : tensor.floats) {
    value = number(random);
  }
  for (int64_t &value : tensor.integers) {
    value = static_cast<int64_t>(std::floor(number(random)));
  }
  return tensor;
}
