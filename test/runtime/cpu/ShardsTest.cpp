// What a rank owns: slices, where sharded globals lie, kernels over own chunks.

#include "runtime/Communicator.h"
#include "test/runtime/cpu/CpuTestDevice.h"

#include "gmock/gmock.h"

#include <numeric>

using namespace dsc;
using namespace dsc::testing;

namespace {

/// One of several ranks that exchanges nothing, and notes what it is asked for.
class FixedRank final : public Communicator {
public:
  FixedRank(int rank, int ranks) : own(rank), all(ranks) {}
  int rank() const override { return own; }
  int ranks() const override { return all; }
  Status issue(const dsc_collective &collective, const void *, void *) override {
    asked.push_back(collective.name);
    return {};
  }
  Status wait(int32_t id) override {
    asked.push_back("wait " + std::to_string(id));
    return {};
  }
  Status waitAll() override { return {}; }
  int64_t sentBytes(int32_t) const override { return 0; }
  Traffic traffic() const override { return {}; }
  void startTimes() override {}
  std::vector<CollectiveTime> stopTimes() override { return {}; }

  std::vector<std::string> asked;

private:
  int own, all;
};

TEST(Slices, CoverEveryChunkOnce) {
  for (int64_t chunks : {1, 2, 3, 7, 8, 64, 1000}) {
    for (int64_t ranks : {1, 2, 3, 4, 7, 64}) {
      int64_t end = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        EXPECT_EQ(end, dsc_slice_begin(chunks, ranks, rank));
        EXPECT_LE(dsc_slice_end(chunks, ranks, rank) - end, (chunks + ranks - 1) / ranks);
        end = dsc_slice_end(chunks, ranks, rank);
        EXPECT_LE(end, chunks);
      }
      EXPECT_EQ(chunks, end);
    }
  }
}

TEST(Shards, AreAsLargeAsTheLargestSlice) {
  Manifest manifest;
  manifest.shards = {{"a", 5, 4096}, {"b", 1, 2048}, {"c", 3, 4}};
  EXPECT_EQ(5 * 4096 + 2048 + 64, manifest.shardBytes(1));
  EXPECT_EQ(3 * 4096 + 2048 + 64, manifest.shardBytes(2));
  EXPECT_EQ(2 * 4096 + 2048 + 64, manifest.shardBytes(4));
  EXPECT_EQ(4096 + 2048 + 64, manifest.shardBytes(64));
}

void addOne(void *const *args, int64_t begin, int64_t end) {
  for (int64_t chunk = begin; chunk < end; ++chunk) {
    ++static_cast<int *>(args[0])[chunk];
  }
}

TEST(OwnChunks, AreComputedByTheirRanksAlone) {
  for (int64_t chunks : {1, 2, 5, 12}) {
    for (int ranks : {1, 2, 4, 7}) {
      std::vector<int> counts(static_cast<size_t>(chunks));
      for (int rank = 0; rank < ranks; ++rank) {
        CpuTestDevice device(2);
        FixedRank communicator(rank, ranks);
        device.ctx.communicator = &communicator;
        void *args[] = {counts.data()};
        EXPECT_EQ(0, dsc_rt_parallel_for_owned(&device.ctx, 0, addOne, args, chunks, 1));
        EXPECT_EQ(dsc_slice_end(chunks, ranks, rank),
                  std::accumulate(counts.begin(), counts.end(), int64_t(0)));
      }
      EXPECT_THAT(counts, ::testing::Each(1));
    }
  }
}

TEST(Collectives, AreNothingForOneRank) {
  CpuTestDevice device(1);
  std::vector<float> values = {1, 2, 3, 4}, copy(4);
  ASSERT_EQ(0,
            dsc_rt_collective_plan(&device.ctx, 0, DSC_REDUCE_SCATTER_MEAN, DSC_F32, 2, 2, "r", 0));
  ASSERT_EQ(0, dsc_rt_collective_plan(&device.ctx, 1, DSC_ALL_GATHER, DSC_F32, 2, 2, "g", 0));
  EXPECT_EQ(0, dsc_rt_collective_issue(&device.ctx, 0, 0, nullptr, values.data()));
  EXPECT_EQ(0, dsc_rt_collective_wait(&device.ctx, 0, 0));
  EXPECT_THAT(values, ::testing::ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(0, dsc_rt_collective_issue(&device.ctx, 0, 1, values.data(), copy.data()));
  EXPECT_EQ(values, copy);
}

TEST(Collectives, AreIssuedAndWaitedForByNumber) {
  CpuTestDevice device(1);
  FixedRank communicator(0, 2);
  device.ctx.communicator = &communicator;
  float value = 0;
  ASSERT_EQ(0,
            dsc_rt_collective_plan(&device.ctx, 0, DSC_ALL_REDUCE_SUM, DSC_F32, 1, 1, "loss", 0));
  EXPECT_EQ(0, dsc_rt_collective_issue(&device.ctx, 0, 0, nullptr, &value));
  EXPECT_EQ(0, dsc_rt_collective_wait(&device.ctx, 0, 0));
  EXPECT_THAT(communicator.asked, ::testing::ElementsAre("loss", "wait 0"));
  EXPECT_NE(0, dsc_rt_collective_wait(&device.ctx, 0, 1));
  EXPECT_THAT(device.ctx.status.message(), ::testing::HasSubstr("before it is planned"));
}

} // namespace
