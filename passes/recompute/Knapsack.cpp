// Dynamic programming over the size that is still needed.

#include "passes/recompute/Knapsack.h"

#include <algorithm>
#include <limits>
#include <numeric>

using namespace dsc;

static constexpr int64_t kUnits = 8192;

std::vector<int> dsc::cheapestCover(const std::vector<KnapsackItem> &items, int64_t need) {
  std::vector<int> all(items.size());
  std::iota(all.begin(), all.end(), 0);
  if (need <= 0) {
    return {};
  }
  const int64_t unit = (need + kUnits - 1) / kUnits, units = (need + unit - 1) / unit;
  constexpr double unreachable = std::numeric_limits<double>::infinity();
  // least[u]: the least cost of at least u units among the items so far; took[i][u]: whether item i
  // is part of it.
  std::vector<double> least(units + 1, unreachable);
  least[0] = 0;
  std::vector<std::vector<bool>> took(items.size(), std::vector<bool>(units + 1, false));
  for (size_t i = 0; i < items.size(); ++i) {
    const int64_t size = items[i].size / unit;
    for (int64_t u = units; u > 0 && size > 0; --u) {
      double cost = least[std::max<int64_t>(0, u - size)] + items[i].cost;
      if (cost < least[u]) {
        least[u] = cost;
        took[i][u] = true;
      }
    }
  }
  if (least[units] == unreachable) {
    return all;
  }
  std::vector<int> taken;
  int64_t u = units;
  for (int i = static_cast<int>(items.size()) - 1; i >= 0 && u > 0; --i) {
    if (took[i][u]) {
      taken.push_back(i);
      u = std::max<int64_t>(0, u - items[i].size / unit);
    }
  }
  // Rounding sizes down may have taken more than is needed: the dearest that can go, goes.
  std::vector<int> dearest(taken);
  std::sort(dearest.begin(), dearest.end(),
            [&](int a, int b) { return items[a].cost > items[b].cost; });
  int64_t sum = 0;
  for (int i : taken) {
    sum += items[i].size;
  }
  for (int i : dearest) {
    if (sum - items[i].size >= need) {
      sum -= items[i].size;
      taken.erase(std::find(taken.begin(), taken.end(), i));
    }
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}
