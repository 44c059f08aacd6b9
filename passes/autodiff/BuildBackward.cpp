// Reverse-mode differentiation of one block of pure ops.

#include "passes/autodiff/BuildBackward.h"

using namespace mlir;
using namespace dsc;

namespace {
class Backward {
public:
  Backward(OpBuilder &builder, Block &block) : builder(builder), block(block) {}

  LogicalResult findActive(ArrayRef<Value> leaves);
  void seed(const ValueGradient &seed) { add(seed.value, seed.gradient); }
  LogicalResult walk();

  /// The leaves that got a gradient, in the order in which their last contribution came.
  SmallVector<ValueGradient> finish(ArrayRef<Value> leaves);

private:
  void add(Value value, Value gradient);
  Value take(Value value);
  LogicalResult visit(Operation *op);

  OpBuilder &builder;
  Block &block;
  DenseSet<Value> active;       // values that depend on a leaf by ops with a gradient
  SmallVector<Operation *> ops; // those ops, in the block's order
  DenseMap<Value, SmallVector<Value, 2>> contributions;
  DenseMap<Value, int64_t> latest; // number of the latest contribution to each value
  int64_t added = 0;
};
} // namespace

/// Marks what depends on a leaf. An op whose derivative is 0 ends a path; one that must not be
/// differentiated is an error only if the walk comes to it, so it counts as active.
LogicalResult Backward::findActive(ArrayRef<Value> leaves) {
  active.insert(leaves.begin(), leaves.end());
  for (Operation &op : block) {
    if (llvm::none_of(op.getOperands(), [&](Value operand) { return active.contains(operand); })) {
      continue;
    }
    const GradRow *row = gradRowOf(&op);
    if (!row) {
      if (!op.hasTrait<OpTrait::IsTerminator>()) {
        return op.emitError() << "'" << op.getName() << "' op has no row in the table of gradients";
      }
      continue;
    }
    if (!row->rule && row->isZero) {
      continue;
    }
    ops.push_back(&op);
    for (Value result : op.getResults()) {
      if (isa<FloatType>(tensorType(result).getElementType())) {
        active.insert(result);
      }
    }
  }
  return success();
}

void Backward::add(Value value, Value gradient) {
  contributions[value].push_back(gradient);
  latest[value] = added++;
}

/// The sum of all contributions to `value`, null where there is none.
Value Backward::take(Value value) {
  auto found = contributions.find(value);
  if (found == contributions.end()) {
    return {};
  }
  Value total = found->second.front();
  Location loc = NameLoc::get(builder.getStringAttr("grad"), value.getLoc());
  for (Value next : llvm::drop_begin(found->second)) {
    total = builder.create<AddOp>(loc, total, next);
  }
  return total;
}

LogicalResult Backward::visit(Operation *op) {
  SmallVector<Value> results;
  for (Value result : op->getResults()) {
    results.push_back(take(result));
  }
  if (llvm::none_of(results, [](Value value) { return bool(value); })) {
    return success();
  }
  const GradRow *row = gradRowOf(op);
  if (!row->rule) {
    return op->emitError() << "'" << op->getName()
                           << "' op stands between a trained parameter and the loss but "
                           << row->reason;
  }
  SmallVector<bool> wanted;
  for (Value operand : op->getOperands()) {
    wanted.push_back(active.contains(operand));
  }
  Grad grad(builder, op, results, wanted);
  row->rule(op, grad);
  if (grad.refused()) {
    return failure();
  }
  for (OpOperand &operand : op->getOpOperands()) {
    if (Value gradient = grad.given(operand.getOperandNumber())) {
      add(operand.get(), gradient);
    }
  }
  return success();
}

LogicalResult Backward::walk() {
  for (Operation *op : llvm::reverse(ops)) {
    if (failed(visit(op))) {
      return failure();
    }
  }
  return success();
}

SmallVector<ValueGradient> Backward::finish(ArrayRef<Value> leaves) {
  SmallVector<Value> reached;
  for (Value leaf : leaves) {
    if (latest.contains(leaf)) {
      reached.push_back(leaf);
    }
  }
  llvm::sort(reached, [&](Value a, Value b) { return latest.lookup(a) < latest.lookup(b); });
  SmallVector<ValueGradient> gradients;
  for (Value leaf : reached) {
    gradients.push_back({leaf, take(leaf)});
  }
  return gradients;
}

FailureOr<SmallVector<ValueGradient>>
dsc::buildBackward(OpBuilder &builder, ArrayRef<ValueGradient> seeds, ArrayRef<Value> leaves) {
  Backward backward(builder, *builder.getInsertionBlock());
  if (failed(backward.findActive(leaves))) {
    return failure();
  }
  for (const ValueGradient &seed : seeds) {
    backward.seed(seed);
  }
  if (failed(backward.walk())) {
    return failure();
  }
  return backward.finish(leaves);
}
