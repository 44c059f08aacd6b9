// Positions, uses and costs of forward values.

#include "passes/recompute/SavedValues.h"

#include "ir/Target.h"

#include "ir/Cost.h"
#include "ir/OpsOrder.h"
#include "passes/fusion/NormalizedValue.h"
#include "passes/memory/Liveness.h"

using namespace mlir;
using namespace dsc;

/// A machine's FLOPs in the time in which it moves one byte, roughly; it ranks what to compute
/// again and decides nothing else.
static constexpr double kFlopsPerByte = 32;

/// A value of at most this part of what it is computed from (statistics of rows) is always kept.
static constexpr int64_t kSmallPart = 16;

static int64_t elementsOf(Value value) { return tensorType(value).getNumElements(); }
static int64_t arenaBytes(Value value) { return dsc_align(tensorBytes(tensorType(value))); }

bool dsc::isFusable(Operation *op) {
  return op->hasTrait<Elementwise>() || op->hasTrait<Update>() ||
         isa<BroadcastOp, ReduceOp, SoftmaxOp, LogSoftmaxOp, LayerNormOp, LayerNormGradOp,
             RmsNormOp, RmsNormGradOp, BatchNormOp, BatchNormGradOp, CrossEntropyOp,
             CrossEntropyGradOp>(op);
}

bool dsc::isStorageView(Operation *op) {
  auto slice = dyn_cast<SliceOp>(op);
  int64_t offset = 0;
  return isa<ReshapeOp, AfterOp>(op) || (slice && isContiguousSlice(slice, offset));
}

bool dsc::isFree(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || isa<GetGlobalOp, ConstantOp, IotaOp>(op) || elementsOf(value) <= 1) {
    return true;
  }
  return isStorageView(op) && isFree(op->getOperand(0));
}

/// A kernel or library call of its own, whose end can be waited for.
static bool isCall(Operation *op) {
  return op->getNumResults() > 0 && !isFusable(op) && !isStorageView(op) &&
         !isa<GetGlobalOp, ConstantOp, IotaOp>(op);
}

//===----------------------------------------------------------------------===//
// Where backward begins
//===----------------------------------------------------------------------===//

/// The loss of an entry: the result of that name, or what @micro adds to the step's.
static Value lossOf(func::FuncOp entry) {
  Operation *terminator = entry.getBody().front().getTerminator();
  for (unsigned i = 0; i < terminator->getNumOperands(); ++i) {
    auto name = entry.getResultAttrOfType<StringAttr>(i, "dsc.name");
    if (name && name.getValue() == "loss") {
      return terminator->getOperand(i);
    }
  }
  for (auto store : entry.getOps<SetGlobalOp>()) {
    if (store.getName() == "state.loss") {
      return store.getValue();
    }
  }
  return {};
}

/// The last op that the loss depends on and that reads more than single elements: -1 without a
/// loss. What follows it is backward.
static int findForwardEnd(func::FuncOp entry, const DenseMap<Operation *, int> &positions) {
  Value loss = lossOf(entry);
  int end = -1;
  DenseSet<Operation *> seen;
  SmallVector<Operation *> stack;
  auto visit = [&](Value value) {
    Operation *op = value.getDefiningOp();
    if (op && seen.insert(op).second) {
      stack.push_back(op);
    }
  };
  if (loss) {
    visit(loss);
  }
  while (!stack.empty()) {
    Operation *op = stack.pop_back_val();
    bool readsTensor = llvm::any_of(op->getOperands(), [](Value v) { return elementsOf(v) > 1; });
    if (readsTensor) {
      end = std::max(end, positions.lookup(op));
    }
    llvm::for_each(op->getOperands(), visit);
  }
  return end;
}

void SavedValues::number(Block &body) {
  ops.clear();
  positions.clear();
  for (Operation &op : body) {
    positions[&op] = static_cast<int>(ops.size());
    ops.push_back(&op);
  }
}

/// For each op of backward, the latest call that it depends on.
void SavedValues::findAnchors() {
  anchors.assign(ops.size(), -1);
  for (int i = forwardEnd + 1, e = static_cast<int>(ops.size()); i < e; ++i) {
    for (Value operand : ops[i]->getOperands()) {
      Operation *maker = operand.getDefiningOp();
      int at = maker ? positions.lookup(maker) : -1;
      if (at > forwardEnd) {
        anchors[i] = std::max(anchors[i], isCall(maker) ? at : anchors[at]);
      }
    }
  }
}

/// Backward computes some things from forward values alone (signs, masks, reshapes). They belong to
/// the op that combines them with a gradient, and move there, so that what they read can be
/// computed as late.
void SavedValues::sinkDerived(Block &body) {
  int firstCall = forwardEnd + 1, end = static_cast<int>(ops.size());
  while (firstCall < end && !isCall(ops[firstCall])) {
    ++firstCall;
  }
  bool inBackward = llvm::none_of(ops, [](Operation *op) { return isa<GradientsOp>(op); });
  for (int i = end - 1; i > firstCall; --i) {
    Operation *op = ops[i];
    inBackward |= isa<GradientsOp>(op); // the update is left as it is
    if (!inBackward || anchors[i] >= 0 || isCall(op) || !isPure(op) || op->use_empty() ||
        isa<ConstantOp>(op) || elementsOf(op->getResult(0)) <= 1) {
      continue;
    }
    Operation *first = nullptr;
    for (Operation *user : op->getUsers()) {
      first = !first || user->isBeforeInBlock(first) ? user : first;
    }
    op->moveBefore(first);
  }
  number(body);
  findAnchors();
  for (int i = static_cast<int>(ops.size()) - 1; i > firstCall; --i) {
    if (anchors[i] < 0 && isPure(ops[i]) && !ops[i]->use_empty()) {
      Operation *first = nullptr;
      for (Operation *user : ops[i]->getUsers()) {
        first = !first || user->isBeforeInBlock(first) ? user : first;
      }
      anchors[i] = anchors[positions.lookup(first)];
      anchors[i] = anchors[i] < i ? anchors[i] : -1;
    }
  }
}

//===----------------------------------------------------------------------===//
// Values
//===----------------------------------------------------------------------===//

int SavedValues::idOf(Value value) const {
  auto it = ids.find(value);
  return it == ids.end() ? -1 : it->second;
}

/// Whether `value` is a product whose only reader adds a parameter to it.
static bool readByBias(Value value) {
  if (!value.getDefiningOp<MatmulOp>() && !value.getDefiningOp<ConvOp>()) {
    return false;
  }
  while (value.hasOneUse() && isa<ReshapeOp>(*value.user_begin())) {
    value = (*value.user_begin())->getResult(0);
  }
  auto add = value.hasOneUse() ? dyn_cast<AddOp>(*value.user_begin()) : AddOp();
  return add && (isFree(add.getLhs()) || isFree(add.getRhs()));
}

void SavedValues::collectValues() {
  for (int i = 0; i <= forwardEnd; ++i) {
    Operation *op = ops[i];
    std::optional<NormalizedParts> parts = normalizedParts(op);
    SmallVector<Value> results(op->getResults());
    if (parts) { // the statistics first: the normalized values are computed from them
      std::rotate(results.begin(), results.begin() + 1, results.end());
    }
    for (Value result : results) {
      if (isFree(result)) {
        continue;
      }
      ForwardValue value;
      value.value = result;
      value.position = value.lastForwardUse = i;
      value.isInEpilogue = readByBias(result);
      bool isNormalized = parts && result == op->getResult(0);
      SmallVector<Value> operands(op->getOperands());
      if (isStorageView(op)) {
        value.again = Again::view;
      } else {
        value.bytes = arenaBytes(result);
        if (op->hasTrait<Elementwise>() || isa<BroadcastOp>(op) || isNormalized) {
          value.again = Again::cheap;
        }
        value.flops = isNormalized ? static_cast<double>(elementsOf(result))
                                   : static_cast<double>(costOf(op).flops);
        value.cost = value.flops + kFlopsPerByte * static_cast<double>(costOf(op).bytes);
      }
      if (isNormalized) {
        operands.push_back(parts->rstd);
        if (parts->mean) {
          operands.push_back(parts->mean);
        }
      }
      for (Value operand : operands) {
        int id = idOf(operand);
        if (id >= 0 && !llvm::is_contained(value.operands, id)) {
          value.operands.push_back(id);
        }
      }
      ids[result] = static_cast<int>(values.size());
      values.push_back(std::move(value));
    }
  }
}

void SavedValues::findUses() {
  for (ForwardValue &value : values) {
    for (Operation *user : value.value.getUsers()) {
      int at = positions.lookup(user);
      if (at <= forwardEnd) {
        value.lastForwardUse = std::max(value.lastForwardUse, at);
        continue;
      }
      bool isFirst = value.firstBackwardUse < 0 || at < value.firstBackwardUse;
      value.firstBackwardUse = isFirst ? at : value.firstBackwardUse;
      value.lastBackwardUse = std::max(value.lastBackwardUse, at);
    }
  }
}

void SavedValues::markKept() {
  for (ForwardValue &value : llvm::reverse(values)) {
    bool crosses = llvm::any_of(value.value.getUsers(), [&](Operation *user) {
      int at = positions.lookup(user);
      return at <= forwardEnd && blocks.ofPosition[at] != value.block;
    });
    bool isEarly = value.isNeeded() && anchors[value.firstBackwardUse] < 0;
    value.isKept = value.isKept || crosses || isEarly;
    if (value.again == Again::view) {
      // What a view shows is in its base.
      values[value.operands.front()].isKept |= value.isKept;
      value.isKept = false;
      continue;
    }
    int64_t largest = 0;
    for (Value operand : value.value.getDefiningOp()->getOperands()) {
      largest = std::max(largest, idOf(operand) >= 0 ? tensorBytes(tensorType(operand)) : 0);
    }
    value.isKept = value.isKept || value.bytes * kSmallPart <= largest;
  }
}

std::optional<SavedValues> SavedValues::analyze(func::FuncOp entry) {
  Block &body = entry.getBody().front();
  SavedValues saved;
  saved.number(body);
  saved.forwardEnd = findForwardEnd(entry, saved.positions);
  if (saved.forwardEnd < 0) {
    return std::nullopt;
  }
  saved.findAnchors();
  saved.sinkDerived(body);
  saved.collectValues();
  saved.findUses();
  saved.blocks = findBlocks(saved);
  for (ForwardValue &value : saved.values) {
    value.block = saved.blocks.ofPosition[value.position];
  }
  saved.markKept();
  return saved;
}
