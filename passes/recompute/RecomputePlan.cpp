// The choices behind --recompute.

#include "passes/recompute/RecomputePlan.h"

#include "passes/recompute/Knapsack.h"
#include "passes/recompute/MinCut.h"

using namespace mlir;
using namespace dsc;

RecomputePlan dsc::completePlan(const SavedValues &values, const std::vector<bool> &saved) {
  const size_t n = values.values.size();
  RecomputePlan plan{std::vector<bool>(n, false), std::vector<bool>(n, false)};
  std::vector<bool> read(n, false);
  for (size_t i = n; i-- > 0;) {
    const ForwardValue &value = values.values[i];
    if (!read[i] && !value.isNeeded()) {
      continue;
    }
    if (value.again != Again::view && (saved[i] || value.isKept)) {
      plan.saved[i] = true;
      continue;
    }
    plan.again[i] = true;
    for (int operand : value.operands) {
      read[operand] = true;
    }
  }
  return plan;
}

/// Calls `visit(value)` once for each op that is computed again.
static void forEachCopy(const SavedValues &values, const RecomputePlan &plan,
                        function_ref<void(const ForwardValue &)> visit) {
  llvm::SmallDenseSet<Operation *> counted;
  for (size_t i = 0; i < values.values.size(); ++i) {
    const ForwardValue &value = values.values[i];
    Operation *op = value.value.getDefiningOp();
    // Normalized values and other results of one op are computed apart from each other.
    bool isOwn = value.again == Again::cheap;
    if (plan.again[i] && (isOwn || counted.insert(op).second)) {
      visit(value);
    }
  }
}

double dsc::flopsAgain(const SavedValues &values, const RecomputePlan &plan) {
  double sum = 0;
  forEachCopy(values, plan, [&](const ForwardValue &value) { sum += value.flops; });
  return sum;
}

double dsc::costAgain(const SavedValues &values, const RecomputePlan &plan) {
  double sum = 0;
  forEachCopy(values, plan, [&](const ForwardValue &value) { sum += value.cost; });
  return sum;
}

int64_t dsc::savedBytes(const SavedValues &values, const RecomputePlan &plan) {
  int64_t sum = 0;
  for (size_t i = 0; i < values.values.size(); ++i) {
    sum += plan.saved[i] ? values.values[i].bytes : 0;
  }
  return sum;
}

//===----------------------------------------------------------------------===//
// cheap and full
//===----------------------------------------------------------------------===//

RecomputePlan dsc::planCheap(const SavedValues &values) {
  MinCut graph;
  for (const ForwardValue &value : values.values) {
    bool stays = value.again == Again::view || value.isInEpilogue;
    graph.addVertex(stays ? MinCut::kUncuttable : value.bytes);
  }
  std::vector<bool> saved(values.values.size(), false);
  for (int i = 0, e = static_cast<int>(values.values.size()); i < e; ++i) {
    const ForwardValue &value = values.values[i];
    if (value.isKept && value.isNeeded()) {
      saved[i] = true; // there anyway: neither a source nor in need of one
      continue;
    }
    if (value.isNeeded()) {
      graph.addSink(i);
    }
    if (value.isKept || value.again == Again::dear) {
      graph.addSource(i);
      continue;
    }
    for (int operand : value.operands) {
      if (!saved[operand]) {
        graph.addEdge(operand, i);
      }
    }
  }
  std::optional<std::vector<int>> cut = graph.solve();
  if (!cut) { // only products that are never stored would separate: save what backward reads
    for (size_t i = 0; i < values.values.size(); ++i) {
      saved[i] = values.values[i].again != Again::view && values.values[i].isNeeded();
    }
    return completePlan(values, saved);
  }
  for (int i : *cut) {
    saved[i] = true;
  }
  return completePlan(values, saved);
}

RecomputePlan dsc::planFull(const SavedValues &values) {
  std::vector<bool> saved = planCheap(values).saved;
  for (size_t i = 0; i < values.values.size(); ++i) {
    saved[i] = saved[i] && values.values[i].block + 1 == values.blocks.count;
  }
  return completePlan(values, saved);
}

//===----------------------------------------------------------------------===//
// A bound on the peak
//===----------------------------------------------------------------------===//

BoundedPlan dsc::planWithin(const SavedValues &values, int64_t bound) {
  std::vector<bool> saved = planCheap(values).saved;
  while (true) {
    RecomputePlan plan = completePlan(values, saved);
    PeakEstimate peak = estimatePeak(values, plan);
    if (peak.bytes <= bound) {
      return {std::move(plan), peak, true};
    }
    // What is alive at the peak only because it waits for backward.
    std::vector<KnapsackItem> items;
    std::vector<int> ids;
    double cost = costAgain(values, plan);
    for (int i = 0, e = static_cast<int>(values.values.size()); i < e; ++i) {
      const ForwardValue &value = values.values[i];
      if (!plan.saved[i] || value.isKept || value.bytes == 0) {
        continue;
      }
      std::vector<bool> fewer = saved;
      fewer[i] = false;
      RecomputePlan without = completePlan(values, fewer);
      int64_t freed = peak.bytes - estimateAt(values, without, peak.position);
      if (freed > 0) {
        items.push_back({freed, std::max(0.0, costAgain(values, without) - cost)});
        ids.push_back(i);
      }
    }
    if (items.empty()) {
      // The estimate may see the peak at another op than the planner will: give up everything, if
      // that is no worse here.
      RecomputePlan least = completePlan(values, std::vector<bool>(values.values.size(), false));
      PeakEstimate leastPeak = estimatePeak(values, least);
      return leastPeak.bytes <= peak.bytes ? BoundedPlan{std::move(least), leastPeak, false}
                                           : BoundedPlan{std::move(plan), peak, false};
    }
    for (int taken : cheapestCover(items, peak.bytes - bound)) {
      saved[ids[taken]] = false;
    }
  }
}
