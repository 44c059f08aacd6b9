// The packer alone: no overlap ever, and close to the lower bound on random lifetimes.

#include "passes/memory/ArenaPacker.h"

#include <gtest/gtest.h>

#include <random>

using namespace dsc;

/// Every pair of buffers that live at the same time lies apart, and the peak covers all of them.
static void expectValid(const std::vector<ArenaBuffer> &buffers, int64_t peak) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_GE(buffers[i].offset, 0);
    EXPECT_LE(buffers[i].offset + buffers[i].bytes, peak);
    for (size_t j = 0; j < i; ++j) {
      const ArenaBuffer &a = buffers[i], &b = buffers[j];
      bool sameTime = a.first <= b.last && b.first <= a.last;
      bool samePlace = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      EXPECT_FALSE(sameTime && samePlace) << "buffers " << i << " and " << j;
    }
  }
}

TEST(ArenaPacker, NothingTakesNothing) {
  std::vector<ArenaBuffer> none;
  EXPECT_EQ(packArena(none), 0);
  EXPECT_EQ(arenaLowerBound(none), 0);
}

TEST(ArenaPacker, DisjointLifetimesShareTheirPlace) {
  std::vector<ArenaBuffer> buffers{{128, 0, 1}, {128, 2, 3}, {64, 4, 4}};
  int64_t peak = packArena(buffers);
  EXPECT_EQ(peak, 128);
  expectValid(buffers, peak);
}

TEST(ArenaPacker, ABufferWrittenWhereAnotherIsReadDoesNotShare) {
  std::vector<ArenaBuffer> buffers{{128, 0, 2}, {128, 2, 3}};
  EXPECT_EQ(packArena(buffers), 256);
}

TEST(ArenaPacker, ForwardThenBackwardReachesTheLowerBound) {
  // Activations of n layers live from their forward op to their backward op, as in training.
  std::vector<ArenaBuffer> buffers;
  for (int64_t layer = 0; layer < 20; ++layer) {
    buffers.push_back({4096 + 64 * layer, layer, 39 - layer});
  }
  int64_t peak = packArena(buffers);
  expectValid(buffers, peak);
  EXPECT_EQ(peak, arenaLowerBound(buffers));
}

TEST(ArenaPacker, RandomLifetimesStayWithinATenthOfTheBound) {
  std::mt19937 random(7);
  double sum = 0;
  const int runs = 50;
  for (int run = 0; run < runs; ++run) {
    std::vector<ArenaBuffer> buffers;
    for (int i = 0; i < 200; ++i) {
      int64_t first = random() % 300;
      buffers.push_back({static_cast<int64_t>(64 * (1 + random() % 500)), first,
                         first + static_cast<int64_t>(random() % 40)});
    }
    int64_t peak = packArena(buffers);
    expectValid(buffers, peak);
    sum += static_cast<double>(peak) / arenaLowerBound(buffers);
  }
  // The bar of the design is 1.1 for training graphs, whose lifetimes nest; random ones are harder.
  EXPECT_LE(sum / runs, 1.1);
}

TEST(ArenaPacker, TheResultIsAFunctionOfTheInput) {
  std::mt19937 random(11);
  std::vector<ArenaBuffer> buffers;
  for (int i = 0; i < 100; ++i) {
    int64_t first = random() % 50;
    buffers.push_back({static_cast<int64_t>(64 * (1 + random() % 9)), first,
                       first + static_cast<int64_t>(random() % 20)});
  }
  std::vector<ArenaBuffer> again = buffers;
  packArena(buffers);
  packArena(again);
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(buffers[i].offset, again[i].offset);
  }
}
