// The cheapest cover against all subsets.

#include "passes/recompute/Knapsack.h"

#include "gtest/gtest.h"

#include <random>

using namespace dsc;

static int64_t sizeOf(const std::vector<KnapsackItem> &items, const std::vector<int> &taken) {
  int64_t size = 0;
  for (int i : taken) {
    size += items[i].size;
  }
  return size;
}

static double costOf(const std::vector<KnapsackItem> &items, const std::vector<int> &taken) {
  double cost = 0;
  for (int i : taken) {
    cost += items[i].cost;
  }
  return cost;
}

static double bruteForce(const std::vector<KnapsackItem> &items, int64_t need) {
  double best = std::numeric_limits<double>::infinity();
  for (unsigned subset = 0; subset < 1u << items.size(); ++subset) {
    std::vector<int> taken;
    for (size_t i = 0; i < items.size(); ++i) {
      if (subset >> i & 1) {
        taken.push_back(static_cast<int>(i));
      }
    }
    if (sizeOf(items, taken) >= need) {
      best = std::min(best, costOf(items, taken));
    }
  }
  return best;
}

TEST(Knapsack, AgreesWithAllSubsets) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<KnapsackItem> items(1 + random() % 12);
    int64_t total = 0;
    for (KnapsackItem &item : items) {
      item = {static_cast<int64_t>(random() % 50), static_cast<double>(random() % 20)};
      total += item.size;
    }
    int64_t need = total > 0 ? static_cast<int64_t>(random() % total) : 0;
    std::vector<int> taken = cheapestCover(items, need);
    EXPECT_GE(sizeOf(items, taken), need) << "round " << round;
    EXPECT_EQ(costOf(items, taken), bruteForce(items, need)) << "round " << round;
    EXPECT_TRUE(std::is_sorted(taken.begin(), taken.end()));
  }
}

TEST(Knapsack, LargeSizesAreWithinAUnitOfEach) {
  std::mt19937 random(5);
  for (int round = 0; round < 50; ++round) {
    std::vector<KnapsackItem> items(10);
    int64_t total = 0;
    for (KnapsackItem &item : items) {
      item = {static_cast<int64_t>(random() % 1000000000), static_cast<double>(random() % 1000)};
      total += item.size;
    }
    int64_t need = total / 2;
    std::vector<int> taken = cheapestCover(items, need);
    EXPECT_GE(sizeOf(items, taken), need);
    // Each item lost less than a unit of size.
    int64_t unit = need / 8192 + 1, slack = unit * static_cast<int64_t>(items.size() + 1);
    EXPECT_LE(costOf(items, taken), bruteForce(items, need + slack));
  }
}

TEST(Knapsack, TakesAllWhereNothingSuffices) {
  EXPECT_EQ(cheapestCover({{3, 1}, {4, 9}}, 8), (std::vector<int>{0, 1}));
  EXPECT_EQ(cheapestCover({{3, 1}, {4, 9}}, 0), std::vector<int>());
  EXPECT_EQ(cheapestCover({}, 5), std::vector<int>());
}
