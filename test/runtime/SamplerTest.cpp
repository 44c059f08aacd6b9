// The order of samples.

#include "runtime/Sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

using namespace dsc;

TEST(Sampler, EveryEpochIsAPermutation) {
  for (int64_t samples : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    for (uint64_t seed : {0u, 1u, 12345u}) {
      Sampler sampler(samples, seed, true);
      for (int64_t epoch : {0, 1, 7}) {
        std::vector<bool> seen(static_cast<size_t>(samples));
        for (int64_t i = 0; i < samples; ++i) {
          int64_t sample = sampler.at(epoch * samples + i);
          ASSERT_GE(sample, 0);
          ASSERT_LT(sample, samples);
          ASSERT_FALSE(seen[static_cast<size_t>(sample)]) << samples << " " << seed;
          seen[static_cast<size_t>(sample)] = true;
        }
      }
    }
  }
}

TEST(Sampler, EpochsAndSeedsDiffer) {
  Sampler a(1000, 0, true), b(1000, 1, true);
  int equalEpochs = 0, equalSeeds = 0, fixed = 0;
  for (int64_t i = 0; i < 1000; ++i) {
    equalEpochs += a.at(i) == a.at(1000 + i);
    equalSeeds += a.at(i) == b.at(i);
    fixed += a.at(i) == i;
  }
  // One in a thousand is expected; twelve would be a chance of one in a billion.
  EXPECT_LT(equalEpochs, 12);
  EXPECT_LT(equalSeeds, 12);
  EXPECT_LT(fixed, 12);
}

TEST(Sampler, PlacesAreEven) {
  // Where sample 0 lands over many epochs: chi-squared over 16 cells, 15 degrees of freedom.
  const int64_t samples = 160, epochs = 16000;
  Sampler sampler(samples, 3, true);
  std::vector<double> cells(16);
  for (int64_t epoch = 0; epoch < epochs; ++epoch) {
    cells[static_cast<size_t>(sampler.at(epoch * samples) / 10)] += 1;
  }
  double chi = 0;
  for (double cell : cells) {
    chi += std::pow(cell - 1000, 2) / 1000;
  }
  EXPECT_LT(chi, 50);
}

TEST(Sampler, KeepsTheOrderWithoutShuffling) {
  Sampler sampler(5, 9, false);
  EXPECT_EQ(sampler.at(3), 3);
  EXPECT_EQ(sampler.at(12), 2);
  EXPECT_EQ(sampler.epoch(12), 2);
}

TEST(Sampler, IsTheSameOnEveryMachine) {
  // Stored values: a run that resumes elsewhere must see the same order.
  Sampler sampler(1000, 42, true);
  std::vector<int64_t> first;
  for (int64_t i = 0; i < 4; ++i) {
    first.push_back(sampler.at(i));
  }
  EXPECT_EQ(first, (std::vector<int64_t>{455, 783, 502, 654}));
}

TEST(MicroBatchPosition, TakesFirstMicroBatchesOfAllRanksFirst) {
  // Two ranks, two micro-batches of 4: the stream does not depend on who takes what.
  EXPECT_EQ(microBatchPosition(100, 0, 2, 0, 4), 100);
  EXPECT_EQ(microBatchPosition(100, 0, 2, 1, 4), 104);
  EXPECT_EQ(microBatchPosition(100, 1, 2, 0, 4), 108);
  EXPECT_EQ(microBatchPosition(100, 1, 2, 1, 4), 112);
  EXPECT_EQ(microBatchPosition(100, 3, 1, 0, 4), 112);
}
