// The cheapest choice of items that together are large enough. Plain C++; knows nothing of IR.

#ifndef DSC_PASSES_RECOMPUTE_KNAPSACK_H
#define DSC_PASSES_RECOMPUTE_KNAPSACK_H

#include <cstdint>
#include <vector>

namespace dsc {

struct KnapsackItem {
  int64_t size = 0; // what taking it brings, >= 0
  double cost = 0;  // what taking it costs, >= 0
};

/// The indices, ascending, of items whose sizes sum to at least `need` at the least sum of costs;
/// all items where even they do not reach it. Exact for a `need` up to 8192; beyond, sizes count in
/// whole 8192ths of it, rounded down.
std::vector<int> cheapestCover(const std::vector<KnapsackItem> &items, int64_t need);

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_KNAPSACK_H
