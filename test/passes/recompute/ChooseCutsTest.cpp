// Cuts of a chain of pieces against all choices of boundaries.

#include "passes/recompute/Blocks.h"

#include "gtest/gtest.h"

#include <random>

using namespace dsc;

/// What passes at the cuts of `subset` (a bit a boundary), and the largest block between them.
static std::pair<int64_t, int64_t> takes(const CutChoice &choice, unsigned subset) {
  int64_t passes = 0, inside = 0, largest = 0;
  for (size_t i = 0; i < choice.inside.size(); ++i) {
    inside += choice.inside[i];
    largest = std::max(largest, inside);
    if (subset >> i & 1) {
      passes += choice.passes[i];
      inside = 0;
    }
  }
  return {passes, largest};
}

TEST(ChooseCuts, WithinAStepOfTheBest) {
  std::mt19937 random(11);
  for (int round = 0; round < 100; ++round) {
    CutChoice choice;
    const int n = 2 + static_cast<int>(random() % 10);
    int64_t total = 0;
    for (int i = 0; i < n; ++i) {
      choice.passes.push_back(random() % 30);
      choice.inside.push_back(random() % 100);
      total += choice.inside.back();
    }
    int64_t best = total;
    for (unsigned subset = 0; subset < 1u << (n - 1); ++subset) {
      auto [passes, largest] = takes(choice, subset);
      best = std::min(best, passes + largest);
    }
    unsigned chosen = 0;
    for (int cut : chooseCuts(choice)) {
      ASSERT_LT(cut, n - 1);
      chosen |= 1u << cut;
    }
    auto [passes, largest] = takes(choice, chosen);
    EXPECT_LE(passes + largest, best + total / 32 + 1) << "round " << round;
  }
}

TEST(ChooseCuts, EqualPiecesGiveBlocksOfTheRoot) {
  // 64 pieces of 1 with 1 between: the least of n / k + k is at k = 8.
  CutChoice choice{std::vector<int64_t>(64, 1), std::vector<int64_t>(64, 1)};
  std::vector<int> cuts = chooseCuts(choice);
  int64_t block = 0, previous = -1;
  for (int cut : cuts) {
    block = std::max<int64_t>(block, cut - previous);
    previous = cut;
  }
  block = std::max<int64_t>(block, 63 - previous);
  EXPECT_LE(static_cast<int64_t>(cuts.size()) + block,
            17); // 7 cuts and 8, within the step of sizes
}
