// A small interpreter of functions.

#include "test/passes/autodiff/FunctionEvaluator.h"

#include "ir/Storage.h"

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

/// Calls copy(part's element, element of the storing global) for all elements of a part.
template <typename Copy>
static void forEachElement(GlobalOp part, RankedTensorType storing, Copy copy) {
  StoredPart place = storedPart(part, storing);
  RankedTensorType type = part.getTensorType();
  SmallVector<int64_t> dense = rowMajorStrides(type.getShape());
  for (int64_t i = 0; i < type.getNumElements(); ++i) {
    int64_t to = place.offset;
    for (auto [d, stride] : llvm::enumerate(place.strides)) {
      to += i / dense[d] % type.getDimSize(d) * stride;
    }
    copy(i, to);
  }
}

EvaluatedTensor FunctionEvaluator::read(StringAttr name) {
  EvaluatedTensor tensor = globals.at(name.str());
  for (GlobalOp part : storedParts(module).lookup(name)) {
    const EvaluatedTensor &own = globals.at(part.getSymName().str());
    forEachElement(part, tensor.type,
                   [&](int64_t i, int64_t to) { tensor.floats[to] = own.floats[i]; });
  }
  return tensor;
}

void FunctionEvaluator::write(StringAttr name, const EvaluatedTensor &value) {
  globals.at(name.str()) = value;
  for (GlobalOp part : storedParts(module).lookup(name)) {
    EvaluatedTensor &own = globals.at(part.getSymName().str());
    forEachElement(part, value.type,
                   [&](int64_t i, int64_t to) { own.floats[i] = value.floats[to]; });
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
      results.push_back(read(get.getNameAttr().getAttr()));
    } else if (auto set = dyn_cast<SetGlobalOp>(op)) {
      write(set.getNameAttr().getAttr(), operands.front());
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
