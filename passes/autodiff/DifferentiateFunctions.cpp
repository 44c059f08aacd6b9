// Pass: gives every function its gradient, for reading one rule at a time and for tests. Not part
// of the pipeline. f(x..) -> y.. becomes f(x.., dy..) -> y.., dx.. for float arguments and results;
// an argument that no result depends on differentiably has the gradient 0.

#include "passes/Passes.h"
#include "passes/autodiff/BuildBackward.h"

namespace dsc {
#define GEN_PASS_DEF_DIFFERENTIATEFUNCTIONS
#include "passes/Passes.h.inc"
} // namespace dsc

using namespace mlir;
using namespace dsc;

static bool isFloat(Value value) { return isa<FloatType>(tensorType(value).getElementType()); }

static LogicalResult differentiate(func::FuncOp function) {
  Block &body = function.getBody().front();
  auto terminator = cast<func::ReturnOp>(body.getTerminator());
  SmallVector<Value> leaves;
  llvm::copy_if(body.getArguments(), std::back_inserter(leaves), isFloat);
  OpBuilder builder(terminator);
  SmallVector<ValueGradient> seeds;
  for (Value result : llvm::make_filter_range(terminator.getOperands(), isFloat)) {
    seeds.push_back({result, body.addArgument(result.getType(), result.getLoc())});
  }
  FailureOr<SmallVector<ValueGradient>> gradients = buildBackward(builder, seeds, leaves);
  if (failed(gradients)) {
    return failure();
  }
  SmallVector<Value> results(terminator.getOperands());
  for (Value leaf : leaves) {
    auto found =
        llvm::find_if(*gradients, [&](const ValueGradient &entry) { return entry.value == leaf; });
    results.push_back(found != gradients->end()
                          ? found->gradient
                          : ValueBuilder(builder, leaf.getLoc()).splat(tensorType(leaf), 0));
  }
  terminator.getOperandsMutable().assign(results);
  function.setType(FunctionType::get(function.getContext(), body.getArgumentTypes(),
                                     terminator.getOperandTypes()));
  return success();
}

namespace {
struct DifferentiateFunctions : dsc::impl::DifferentiateFunctionsBase<DifferentiateFunctions> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (failed(differentiate(function))) {
        return signalPassFailure();
      }
    }
  }
};
} // namespace
