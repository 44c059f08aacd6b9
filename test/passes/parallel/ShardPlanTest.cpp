// The flat order and its buckets: every chunk belongs to one parameter, one bucket and one rank.

#include "passes/parallel/ShardPlan.h"

#include "runtime/abi.h"

#include <gtest/gtest.h>

#include <random>

using namespace dsc;

namespace {

TEST(ShardPlan, ParametersStartOnChunks) {
  std::vector<ShardBucket> buckets = cutBuckets({1, 1024, 1025, 3000}, 100);
  ASSERT_EQ(buckets.size(), 1u);
  std::vector<int64_t> first, chunks;
  for (const ShardBucket::Member &member : buckets[0].members) {
    first.push_back(member.firstChunk);
    chunks.push_back(member.chunks);
  }
  EXPECT_EQ(first, (std::vector<int64_t>{0, 1, 2, 4}));
  EXPECT_EQ(chunks, (std::vector<int64_t>{1, 1, 2, 3}));
  EXPECT_EQ(buckets[0].chunks, 7);
}

TEST(ShardPlan, BucketsAreFilledButNotBeyondTheirSize) {
  std::vector<ShardBucket> buckets = cutBuckets({2048, 1024, 1024, 1, 4096}, 3);
  ASSERT_EQ(buckets.size(), 3u);
  EXPECT_EQ(buckets[0].chunks, 3);
  EXPECT_EQ(buckets[1].chunks, 2);
  EXPECT_EQ(buckets[2].chunks, 4); // larger than a bucket, and never cut
}

TEST(ShardPlan, NumbersNeverStandAlone) {
  auto sizes = [](const std::vector<int64_t> &elements) {
    std::vector<size_t> counts;
    for (const ShardBucket &bucket : cutBuckets(elements, 1)) {
      counts.push_back(bucket.members.size());
    }
    return counts;
  };
  EXPECT_EQ(sizes({1, 5000, 5000}), (std::vector<size_t>{2, 1}));
  EXPECT_EQ(sizes({5000, 5000, 1}), (std::vector<size_t>{1, 2}));
  EXPECT_EQ(sizes({1}), (std::vector<size_t>{1}));
}

TEST(ShardPlan, NoParameters) { EXPECT_TRUE(cutBuckets({}, 8).empty()); }

TEST(ShardPlan, AnySizeKeepsTheOrderWhole) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<int64_t> elements(1 + random() % 40);
    for (int64_t &each : elements) {
      each = 2 + random() % 9000;
    }
    int64_t size = 1 + random() % 30;
    size_t next = 0;
    for (const ShardBucket &bucket : cutBuckets(elements, size)) {
      int64_t chunk = 0;
      for (const ShardBucket::Member &member : bucket.members) {
        EXPECT_EQ(member.parameter, next++);
        EXPECT_EQ(member.firstChunk, chunk);
        EXPECT_EQ(member.chunks, dsc_chunks(elements[member.parameter]));
        chunk += member.chunks;
      }
      EXPECT_EQ(bucket.chunks, chunk);
      EXPECT_TRUE(chunk <= size || bucket.members.size() == 1);
    }
    EXPECT_EQ(next, elements.size());
  }
}

TEST(ShardPlan, EveryChunkHasOneOwnerAndSlicesFitTheRoom) {
  for (int64_t chunks : {1, 2, 7, 64, 65, 1000}) {
    ShardBucket bucket;
    bucket.chunks = chunks;
    for (int64_t ranks = 1; ranks <= 64; ++ranks) {
      int64_t next = 0, slice = (chunks + ranks - 1) / ranks;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        EXPECT_EQ(dsc_slice_begin(chunks, ranks, rank), next);
        next = dsc_slice_end(chunks, ranks, rank);
      }
      EXPECT_EQ(next, chunks);
      EXPECT_LE(slice * ranks, bucket.room(ranks));
    }
  }
}

TEST(ShardPlan, DefaultSize) {
  EXPECT_EQ(defaultBucketChunks(121000, 4), 8192); // 32 MiB
  EXPECT_EQ(defaultBucketChunks(1000000, 2), 16384);
  EXPECT_EQ(defaultBucketChunks(800, 4), 100); // an eighth of a small model
  EXPECT_EQ(defaultBucketChunks(1, 4), 64);    // 256 KiB
}

} // namespace
