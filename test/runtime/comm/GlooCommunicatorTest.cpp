// Collectives over localhost, against plain loops.

#include "RankThreads.h"

#include "runtime/Tensor.h"
#include "runtime/comm/RankOrderSum.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

using namespace dsc;
using namespace dsc::test;
using testing::HasSubstr;

namespace {
/// Numbers that differ by rank and element and whose sums round in every type.
double valueOf(int rank, int64_t element) {
  return static_cast<double>((element * 37 + rank * 101) % 251 - 125) / 8 +
         static_cast<double>(rank) / 1024;
}

std::vector<std::byte> valuesOf(int rank, const dsc_collective &collective) {
  const int64_t count = collective.chunks * collective.chunk_elements;
  const auto dtype = static_cast<Dtype>(collective.dtype);
  std::vector<std::byte> bytes(static_cast<size_t>(count * dtypeSize(dtype)));
  for (int64_t i = 0; i < count; ++i) {
    storeFromDouble(dtype, bytes.data(), i, valueOf(rank, i));
  }
  return bytes;
}

/// The value of element `i` as the type of the collective holds it on `rank`.
double stored(int rank, int64_t i, int32_t dtype) {
  std::byte bytes[8];
  storeFromDouble(static_cast<Dtype>(dtype), bytes, 0, valueOf(rank, i));
  return loadAsDouble(static_cast<Dtype>(dtype), bytes, 0);
}

/// Sum or mean in rank order, in f32 (f64 for f64), rounded once, as the bytes of one element.
std::vector<std::byte> reduced(int ranks, int64_t i, int32_t dtype, bool mean) {
  std::vector<std::byte> bytes(static_cast<size_t>(dtypeSize(static_cast<Dtype>(dtype))));
  if (dtype == DSC_F64) {
    double sum = stored(0, i, dtype);
    for (int rank = 1; rank < ranks; ++rank) {
      sum += stored(rank, i, dtype);
    }
    storeFromDouble(DSC_F64, bytes.data(), 0, mean ? sum / ranks : sum);
    return bytes;
  }
  auto sum = static_cast<float>(stored(0, i, dtype));
  for (int rank = 1; rank < ranks; ++rank) {
    sum += static_cast<float>(stored(rank, i, dtype));
  }
  sum = mean ? sum / static_cast<float>(ranks) : sum;
  storeFromDouble(static_cast<Dtype>(dtype), bytes.data(), 0, sum);
  return bytes;
}

struct Case {
  int ranks;
  int32_t dtype;
  int64_t chunks, chunkElements;
};

class CollectiveTest : public testing::TestWithParam<Case> {};
} // namespace

TEST_P(CollectiveTest, ReduceScatterGivesTheOwnerTheMeanInRankOrder) {
  const Case test = GetParam();
  onRanks(test.ranks, [&](RankThread &own) {
    const dsc_collective collective = {
        0, DSC_REDUCE_SCATTER_MEAN, test.dtype, test.chunks, test.chunkElements, "reduce_scatter",
        0};
    std::vector<std::byte> data = valuesOf(own.rank, collective);
    Status status = own.communicator->run(collective, nullptr, data.data());
    ASSERT_TRUE(status.ok()) << status.message();
    const int64_t begin = dsc_slice_begin(test.chunks, own.ranks, own.rank);
    const int64_t end = dsc_slice_end(test.chunks, own.ranks, own.rank);
    const int64_t size = dtypeSize(static_cast<Dtype>(test.dtype));
    for (int64_t i = begin * test.chunkElements; i < end * test.chunkElements; ++i) {
      const std::vector<std::byte> expected = reduced(own.ranks, i, test.dtype, true);
      ASSERT_EQ(std::memcmp(data.data() + i * size, expected.data(), expected.size()), 0)
          << "rank " << own.rank << " element " << i;
    }
    // Every other rank's slice goes to it once.
    EXPECT_EQ(own.communicator->sentBytes(0),
              (test.chunks - (end - begin)) * test.chunkElements * size);
  });
}

TEST_P(CollectiveTest, AllGatherCopiesEverySliceToAll) {
  const Case test = GetParam();
  for (const bool apart : {false, true}) {
    onRanks(test.ranks, [&](RankThread &own) {
      const dsc_collective collective = {
          5, DSC_ALL_GATHER, test.dtype, test.chunks, test.chunkElements, "all_gather", 0};
      const int64_t chunk = chunkBytes(collective);
      const int64_t begin = dsc_slice_begin(test.chunks, own.ranks, own.rank) * chunk;
      const int64_t end = dsc_slice_end(test.chunks, own.ranks, own.rank) * chunk;
      const std::vector<std::byte> mine = valuesOf(own.rank, collective);
      // Only own chunks are there; what else lies in base is garbage.
      std::vector<std::byte> data(mine.size(), std::byte(0xee));
      if (!apart) {
        std::copy(mine.begin() + begin, mine.begin() + end, data.begin() + begin);
      }
      Status status = own.communicator->run(collective, apart ? mine.data() : nullptr, data.data());
      ASSERT_TRUE(status.ok()) << status.message();
      for (int other = 0; other < own.ranks; ++other) {
        const std::vector<std::byte> theirs = valuesOf(other, collective);
        const int64_t from = dsc_slice_begin(test.chunks, own.ranks, other) * chunk;
        const int64_t to = dsc_slice_end(test.chunks, own.ranks, other) * chunk;
        ASSERT_TRUE(std::equal(theirs.begin() + from, theirs.begin() + to, data.begin() + from))
            << "rank " << own.rank << " of " << other;
      }
      EXPECT_EQ(own.communicator->sentBytes(5), (end - begin) * (own.ranks - 1));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, CollectiveTest,
                         testing::Values(Case{2, DSC_F32, 5, 1024}, Case{2, DSC_F32, 1, 1024},
                                         Case{2, DSC_F32, 7, 1},
                                         // More than what is added at a time.
                                         Case{2, DSC_F32, 4097, 1024}, Case{2, DSC_BF16, 33, 1024},
                                         Case{2, DSC_F16, 3, 1024}, Case{2, DSC_F64, 3, 100},
                                         // Short and empty slices.
                                         Case{4, DSC_F32, 3, 1024}, Case{4, DSC_BF16, 1, 1024},
                                         Case{4, DSC_F16, 6, 1024}, Case{4, DSC_F32, 4099, 256},
                                         Case{3, DSC_F32, 10, 1024}),
                         [](const testing::TestParamInfo<Case> &info) {
                           return format("%d_ranks_%s_%lld_chunks_of_%lld", info.param.ranks,
                                         dtypeName(static_cast<Dtype>(info.param.dtype)),
                                         static_cast<long long>(info.param.chunks),
                                         static_cast<long long>(info.param.chunkElements));
                         });

TEST(GlooCommunicatorTest, AllReduceAddsAFewNumbersOnAllRanks) {
  for (const int32_t dtype : {DSC_F32, DSC_F64}) {
    onRanks(4, [&](RankThread &own) {
      const dsc_collective collective = {1, DSC_ALL_REDUCE_SUM, dtype, 1, 7, "all_reduce", 0};
      std::vector<std::byte> data = valuesOf(own.rank, collective);
      ASSERT_TRUE(own.communicator->run(collective, nullptr, data.data()).ok());
      const int64_t size = dtypeSize(static_cast<Dtype>(dtype));
      for (int64_t i = 0; i < 7; ++i) {
        const std::vector<std::byte> expected = reduced(4, i, dtype, false);
        EXPECT_EQ(std::memcmp(data.data() + i * size, expected.data(), expected.size()), 0);
      }
      EXPECT_EQ(own.communicator->sentBytes(1), 3 * 7 * size);
    });
  }
}

TEST(GlooCommunicatorTest, CollectivesThatAreOutTogetherDoNotMix) {
  constexpr int count = 20;
  onRanks(3, [&](RankThread &own) {
    std::vector<std::vector<float>> data;
    for (int id = 0; id < count; ++id) {
      data.emplace_back(static_cast<size_t>(8 + id), static_cast<float>(own.rank + id));
    }
    for (int id = 0; id < count; ++id) {
      const dsc_collective collective = {id, DSC_REDUCE_SCATTER_MEAN, DSC_F32, 8 + id, 1, "many",
                                         0};
      ASSERT_TRUE(own.communicator->issue(collective, nullptr, data[id].data()).ok());
    }
    // In any order, and twice.
    for (int id = count; id-- > 0;) {
      ASSERT_TRUE(own.communicator->wait(id).ok());
      ASSERT_TRUE(own.communicator->wait(id).ok());
      for (int64_t i = dsc_slice_begin(8 + id, 3, own.rank); i < dsc_slice_end(8 + id, 3, own.rank);
           ++i) {
        EXPECT_EQ(data[static_cast<size_t>(id)][static_cast<size_t>(i)], 1.0f + id);
      }
    }
    EXPECT_TRUE(own.communicator->wait(999).ok());
  });
}

TEST(GlooCommunicatorTest, AnIdThatIsOutIsWaitedForBeforeItIsIssuedAgain) {
  onRanks(2, [](RankThread &own) {
    std::vector<float> data(2048, static_cast<float>(own.rank));
    const dsc_collective sum = {0, DSC_ALL_REDUCE_SUM, DSC_F32, 1, 2048, "sum", 0};
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(own.communicator->issue(sum, nullptr, data.data()).ok());
    }
    ASSERT_TRUE(own.communicator->waitAll().ok());
    EXPECT_EQ(data[17], 16.0f);
  });
}

TEST(GlooCommunicatorTest, DataMovesWhileTheProgramComputes) {
  // 4 MiB to the other rank, at 20 MiB a second: 200 ms, in which this thread does something else.
  setenv("DSC_LINK_BYTES_PER_SECOND", "20971520", 1);
  onRanks(2, [](RankThread &own) {
    std::vector<float> data(2 << 20, 1.0f);
    const dsc_collective gather = {0, DSC_ALL_GATHER, DSC_F32, 2048, 1024, "slow", 0};
    own.communicator->startTimes();
    ASSERT_TRUE(own.communicator->issue(gather, nullptr, data.data()).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    ASSERT_TRUE(own.communicator->wait(0).ok());
    const Traffic traffic = own.communicator->traffic();
    EXPECT_EQ(traffic.sent, 4 << 20);
    EXPECT_GE(traffic.busy, 0.19);
    EXPECT_LT(traffic.waited, 0.1);
    const std::vector<CollectiveTime> times = own.communicator->stopTimes();
    ASSERT_EQ(times.size(), 1u);
    EXPECT_STREQ(times[0].name, "slow");
    EXPECT_EQ(times[0].bytes, 4 << 20);
    EXPECT_GE(times[0].nanoseconds, 190000000);
  });
  unsetenv("DSC_LINK_BYTES_PER_SECOND");
}

TEST(GlooCommunicatorTest, WhoWaitsForALostRankLearnsWhichOneAndWhereItWaited) {
  onRanks(3, [](RankThread &own) {
    std::vector<float> data(3, 1.0f);
    const dsc_collective gather = {0, DSC_ALL_GATHER, DSC_F32, 3, 1, "all_gather bucket.7", 0};
    own.state.step = 12;
    if (own.rank == 1) {
      // Leaves without a word, as a killed process does.
      own.communicator.reset();
      own.control.reset();
      return;
    }
    Status status = own.communicator->run(gather, nullptr, data.data());
    EXPECT_EQ(status.exitCode(), ExitCode::Rank);
    EXPECT_THAT(status.message(), HasSubstr("rank 1 ("));
    EXPECT_THAT(status.message(), HasSubstr("died"));
    EXPECT_THAT(status.message(), HasSubstr("step 12"));
    EXPECT_THAT(status.message(), HasSubstr("all_gather bucket.7"));
    (void)own.control->end(status);
  });
}
