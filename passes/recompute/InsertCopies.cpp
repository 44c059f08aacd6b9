// Copies are made on demand, operands first, at most one of each op.

#include "passes/recompute/InsertCopies.h"

#include "ir/OpsOrder.h"

#include "passes/fusion/NormalizedValue.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace dsc;

namespace {
class CopyInserter {
public:
  CopyInserter(const SavedValues &values, const RecomputePlan &plan)
      : values(values), plan(plan), held(values.values.size()), copies(values.values.size()) {}

  void run();

private:
  Value inBackward(Value value, Operation *reader, Value event);
  Value hold(Value value, Value event, OpBuilder &builder);
  Value copyOf(int id, Operation *reader, Value event);

  const SavedValues &values;
  const RecomputePlan &plan;
  std::vector<Value> held;   // saved values behind dsc.after
  std::vector<Value> copies; // values that were computed again
};
} // namespace

Value CopyInserter::hold(Value value, Value event, OpBuilder &builder) {
  return builder.create<AfterOp>(value.getLoc(), value, event);
}

/// What a copy in front of `reader` reads in the place of `value`.
Value CopyInserter::inBackward(Value value, Operation *reader, Value event) {
  int id = values.idOf(value);
  if (id < 0) {
    return value; // free
  }
  if (!plan.saved[id]) {
    return copyOf(id, reader, event);
  }
  if (!held[id]) {
    OpBuilder builder(reader);
    held[id] = hold(value, event, builder);
  }
  return held[id];
}

Value CopyInserter::copyOf(int id, Operation *reader, Value event) {
  if (copies[id]) {
    return copies[id];
  }
  const ForwardValue &forward = values.values[id];
  Operation *op = forward.value.getDefiningOp();
  std::optional<NormalizedParts> parts = normalizedParts(op);
  if (parts && forward.value == op->getResult(0)) {
    for (Value *part : {&parts->x, &parts->mean, &parts->rstd, &parts->gamma, &parts->beta}) {
      *part = *part ? inBackward(*part, reader, event) : *part;
    }
    OpBuilder builder(reader);
    ValueBuilder b(builder, op->getLoc());
    return copies[id] = normalizedFrom(b, op, *parts);
  }
  IRMapping mapping;
  bool waits = false; // whether an operand holds the copy back
  for (Value operand : op->getOperands()) {
    Value copy = inBackward(operand, reader, event);
    mapping.map(operand, copy);
    waits |= copy != operand;
  }
  OpBuilder builder(reader);
  if (!waits) { // random numbers, functions of parameters
    for (Value operand : op->getOperands()) {
      if (!operand.getDefiningOp<ConstantOp>()) {
        mapping.map(operand, hold(operand, event, builder));
        break;
      }
    }
  }
  Operation *copy = builder.clone(*op, mapping);
  for (auto [result, again] : llvm::zip_equal(op->getResults(), copy->getResults())) {
    int other = values.idOf(result);
    if (other >= 0 && plan.again[other] && !copies[other] &&
        !(parts && result == op->getResult(0))) {
      copies[other] = again;
    }
  }
  return copies[id];
}

void CopyInserter::run() {
  for (int at = values.forwardEnd + 1, e = static_cast<int>(values.ops.size()); at < e; ++at) {
    Operation *reader = values.ops[at];
    int anchor = values.anchorOf(at);
    for (OpOperand &operand : reader->getOpOperands()) {
      int id = values.idOf(operand.get());
      if (id >= 0 && !plan.saved[id] && (copies[id] || anchor >= 0)) {
        Value event = anchor >= 0 ? values.ops[anchor]->getResult(0) : Value();
        operand.set(copyOf(id, reader, event));
      }
    }
    // Saved values are read as the copies read them, so that kernels can share the load.
    for (OpOperand &operand : reader->getOpOperands()) {
      int id = values.idOf(operand.get());
      if (id >= 0 && held[id]) {
        operand.set(held[id]);
      }
    }
  }
}

void dsc::insertCopies(const SavedValues &values, const RecomputePlan &plan) {
  CopyInserter(values, plan).run();
}
