// Lifetimes under a plan, on the op order of the entry as it is: copies count as running where the
// first op of backward needs them.

#include "passes/recompute/RecomputePlan.h"

#include "ir/Target.h"

#include <algorithm>
#include <limits>

using namespace mlir;
using namespace dsc;

namespace {
/// Bytes alive at each position.
class Timeline {
public:
  explicit Timeline(size_t positions) : change(positions + 2, 0) {}

  void add(int first, int last, int64_t bytes) {
    if (first <= last) {
      change[first] += bytes;
      change[last + 1] -= bytes;
    }
  }

  std::vector<int64_t> sums() const {
    std::vector<int64_t> result(change.size());
    int64_t sum = 0;
    for (size_t i = 0; i < change.size(); ++i) {
      result[i] = sum += change[i];
    }
    return result;
  }

private:
  std::vector<int64_t> change;
};

/// From where to where backward, or a copy for it, reads a value.
struct Demand {
  int first = std::numeric_limits<int>::max(), last = -1;
  bool byCall = false; // something reads it that no kernel shares with it

  void include(int from, int to, bool call) {
    first = std::min(first, from);
    last = std::max(last, to);
    byCall |= call;
  }
};
} // namespace

/// A value that dies in a kernel gives its place to a result.
static int lastPosition(int last, const SavedValues &values) {
  return isFusable(values.ops[last]) ? last - 1 : last;
}

/// Whether a kernel that reads `value` could compute it: its maker and all its readers are
/// fusable.
static bool staysInKernel(Value value) {
  return isFusable(value.getDefiningOp()) &&
         llvm::none_of(value.getUsers(), [](Operation *user) { return !isFusable(user); });
}

static std::vector<int64_t> aliveBytes(const SavedValues &values, const RecomputePlan &plan) {
  const int n = static_cast<int>(values.values.size());
  Timeline timeline(values.ops.size());
  std::vector<Demand> demands(n);
  std::vector<int> lastForward(n, -1);
  std::vector<bool> forwardCall(n, false);
  for (int i = n; i-- > 0;) {
    const ForwardValue &value = values.values[i];
    Demand &demand = demands[i];
    if (value.isNeeded()) {
      demand.include(value.firstBackwardUse, value.lastBackwardUse, false);
    }
    for (Operation *user : value.value.getUsers()) {
      if (isFusable(user) || isStorageView(user)) {
        continue;
      }
      if (values.positionOf(user) <= values.forwardEnd) {
        forwardCall[i] = true;
      } else {
        demand.byCall = true;
      }
    }
    lastForward[i] = std::max(lastForward[i], value.lastForwardUse);
    if (value.again == Again::view && !value.operands.empty()) {
      int base = value.operands.front();
      lastForward[base] = std::max(lastForward[base], lastForward[i]);
      forwardCall[base] = forwardCall[base] || forwardCall[i];
      if (demand.last >= 0) {
        demands[base].include(demand.first, demand.last, demand.byCall);
      }
      continue;
    }
    if (plan.again[i] && demand.last >= 0) {
      bool isCall = value.again == Again::dear && !isFusable(value.value.getDefiningOp());
      for (int operand : value.operands) {
        demands[operand].include(demand.first, demand.first, isCall);
      }
    }
    bool isMadeByCall = !isFusable(value.value.getDefiningOp());
    bool isStored = isMadeByCall || forwardCall[i];
    if (plan.saved[i]) {
      int last = std::max(lastForward[i], demand.last);
      timeline.add(value.position, std::max(value.position, lastPosition(last, values)),
                   value.bytes);
    } else if (isStored && !value.isInEpilogue) {
      timeline.add(value.position, std::max(value.position, lastPosition(lastForward[i], values)),
                   value.bytes);
    }
    if (plan.again[i] && demand.last >= 0 && !value.isInEpilogue &&
        (isMadeByCall || demand.byCall)) {
      timeline.add(demand.first, std::max(demand.first, lastPosition(demand.last, values)),
                   value.bytes);
    }
  }
  // Backward and the update: nothing to decide.
  std::vector<int> last(values.ops.size(), -1);
  for (int at = static_cast<int>(values.ops.size()); at-- > values.forwardEnd + 1;) {
    Operation *op = values.ops[at];
    if (isa<GetGlobalOp>(op)) {
      continue;
    }
    int lastUse = at;
    for (Value result : op->getResults()) {
      for (Operation *user : result.getUsers()) {
        int position = values.positionOf(user);
        lastUse =
            std::max(lastUse, isStorageView(user) ? std::max(position, last[position]) : position);
      }
    }
    last[at] = lastUse;
    for (Value result : op->getResults()) {
      if (!isFree(result) && !isStorageView(op) && !staysInKernel(result)) {
        timeline.add(at, std::max(at, lastPosition(lastUse, values)),
                     dsc_align(tensorBytes(cast<RankedTensorType>(result.getType()))));
      }
    }
  }
  return timeline.sums();
}

PeakEstimate dsc::estimatePeak(const SavedValues &values, const RecomputePlan &plan) {
  std::vector<int64_t> alive = aliveBytes(values, plan);
  auto peak = std::max_element(alive.begin(), alive.end());
  return {*peak, static_cast<int>(peak - alive.begin())};
}

int64_t dsc::estimateAt(const SavedValues &values, const RecomputePlan &plan, int position) {
  return aliveBytes(values, plan)[position];
}
