// Agreement, exchanges and judgement of ranks.

#include "RankThreads.h"

#include "runtime/comm/Ranks.h"

#include <gmock/gmock.h>

#include <atomic>
#include <random>

using namespace dsc;
using namespace dsc::test;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ControlChannelTest, ExchangesBringEveryRanksBytesToAll) {
  onRanks(4, [](RankThread &own) {
    for (int round = 0; round < 50; ++round) {
      const std::string mine = format("%d of round %d", own.rank, round) + std::string(1, '\0');
      Result<std::vector<std::string>> all = own.control->exchange(mine);
      ASSERT_TRUE(all.ok());
      ASSERT_EQ(all->size(), 4u);
      for (int other = 0; other < 4; ++other) {
        EXPECT_EQ((*all)[static_cast<size_t>(other)],
                  format("%d of round %d", other, round) + std::string(1, '\0'));
      }
      Result<std::vector<std::string>> gathered = own.control->gather(std::string(100000, 'x'));
      ASSERT_TRUE(gathered.ok());
      EXPECT_EQ(gathered->size(), own.rank == 0 ? 4u : 0u);
    }
  });
}

TEST(ControlChannelTest, OrdersAreCarriedOutAtTheSameBoundaryOfAllRanks) {
  constexpr int ranks = 4, boundaries = 3000;
  std::vector<std::vector<int>> saves(ranks);
  std::vector<int> stops(ranks, -1);
  onRanks(ranks, [&](RankThread &own) {
    std::minstd_rand random(static_cast<unsigned>(own.rank + 1));
    const auto rank = static_cast<size_t>(own.rank);
    for (int boundary = 0; boundary < boundaries && stops[rank] < 0; ++boundary) {
      if (own.rank == 1 && boundary % 100 == 50) {
        own.control->request({0, true});
      }
      if (own.rank == 3 && boundary == 2000) {
        own.control->request({15, false});
      }
      const Orders orders = own.control->passBoundary();
      if (orders.save) {
        saves[rank].push_back(boundary);
      }
      if (orders.stop) {
        EXPECT_EQ(orders.stop, 15);
        stops[rank] = boundary;
      }
      // Ranks are apart by whatever they do, but not by more than some rounds.
      if (random() % 64 == 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 500));
      }
      if (boundary % 8 == 0) {
        ASSERT_TRUE(own.control->exchange("").ok());
      }
    }
  });
  EXPECT_GE(saves[0].size(), 5u);
  EXPECT_GE(stops[0], 1990);
  for (size_t rank = 1; rank < ranks; ++rank) {
    EXPECT_EQ(saves[rank], saves[0]);
    EXPECT_EQ(stops[rank], stops[0]);
  }
}

TEST(ControlChannelTest, ARankThatStandsStillIsNamed) {
  onRanks(
      3,
      [](RankThread &own) {
        own.state.step = 4;
        own.state.activity = Activity::Computing;
        if (own.rank == 2) {
          // Alive, but stuck: its own thread sees no progress.
          for (int i = 0; i < 200 && own.control->failure().ok(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
          }
        } else {
          std::vector<float> data(3);
          const dsc_collective sum = {0, DSC_ALL_GATHER, DSC_F32, 3, 1, "all_gather bucket.2", 0};
          EXPECT_TRUE(own.communicator->run(sum, nullptr, data.data()).failed());
        }
        const Status failure = own.control->failure();
        EXPECT_EQ(failure.exitCode(), ExitCode::Rank);
        EXPECT_THAT(failure.message(), HasSubstr("rank 2 ("));
        EXPECT_THAT(failure.message(), HasSubstr("has made no progress for"));
        EXPECT_THAT(failure.message(), HasSubstr("step 4"));
        (void)own.control->end(failure);
      },
      2000);
}

TEST(ControlChannelTest, SavingMayTakeLongerThanTheTimeout) {
  onRanks(
      2,
      [](RankThread &own) {
        own.state.activity = Activity::Computing;
        if (own.rank == 0) {
          ActivityScope saving(own.state, Activity::Saving);
          std::this_thread::sleep_for(std::chrono::milliseconds(2500));
        }
        EXPECT_TRUE(own.control->exchange("").ok());
      },
      2000);
}

TEST(ControlChannelTest, RanksThatAllWaitAreNotLeftWaiting) {
  onRanks(
      2,
      [](RankThread &own) {
        // What never comes: the other one waits for something else.
        own.state.activity = Activity::Computing;
        own.state.waitsFor = own.rank ? "all_gather b" : "reduce_scatter a";
        for (int i = 0; i < 200 && own.control->failure().ok(); ++i) {
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        EXPECT_THAT(own.control->failure().message(),
                    HasSubstr("rank 0 for reduce_scatter a, rank 1 for all_gather b"));
        (void)own.control->end(own.control->failure());
      },
      2000);
}

TEST(ControlChannelTest, AnErrorOfOneRankEndsTheOthersWithItsText) {
  onRanks(3, [](RankThread &own) {
    if (own.rank == 1) {
      (void)own.control->end(Status::user("data.npz: sample 7 is bad"));
      own.communicator.reset();
      own.control.reset();
      return;
    }
    Result<std::vector<std::string>> all = own.control->exchange("");
    ASSERT_TRUE(all.failed());
    EXPECT_EQ(all.status().exitCode(), ExitCode::Rank);
    EXPECT_THAT(all.status().message(),
                HasSubstr("ended with exit code 1: data.npz: sample 7 is bad"));
    (void)own.control->end(all.status());
  });
}

TEST(ControlChannelTest, RankZeroSaysWhichRanksDidNotCome) {
  RankState state;
  auto control =
      ControlChannel::open(threadLayout(0, 3, freePort()), state, std::chrono::milliseconds(100));
  ASSERT_TRUE(control.failed());
  EXPECT_THAT(control.status().message(), HasSubstr("waited in vain for ranks 1, 2 of 3"));
  control =
      ControlChannel::open(threadLayout(2, 3, freePort()), state, std::chrono::milliseconds(100));
  ASSERT_TRUE(control.failed());
  EXPECT_THAT(control.status().message(), HasSubstr("rank 2 found no rank 0 at 127.0.0.1"));
}

TEST(ControlChannelTest, AnotherRunOnThePortIsPassedOver) {
  const int port = freePort();
  auto meet = [&](const char *job, int rank) {
    RankLayout layout = threadLayout(rank, 2, port);
    layout.job = job;
    RankState state;
    auto control = ControlChannel::open(layout, state, std::chrono::milliseconds(5000));
    ASSERT_TRUE(control.ok()) << control.status().message();
    Result<std::vector<std::string>> all = (*control)->exchange(job);
    ASSERT_TRUE(all.ok());
    EXPECT_THAT(*all, ElementsAre(job, job));
    (void)(*control)->end(Status());
  };
  std::vector<std::thread> threads;
  for (const char *job : {"one", "other"}) {
    threads.emplace_back(meet, job, 0);
    threads.emplace_back(meet, job, 1);
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

TEST(ControlChannelTest, StrangersOnThePortDoNoHarm) {
  const int port = freePort();
  std::thread stranger([&] {
    for (int i = 0; i < 100; ++i) {
      Result<Connection> connection = connectTo("127.0.0.1", port, std::chrono::milliseconds(100));
      if (connection.ok()) {
        (void)connection->send('H', "GET / HTTP/1.1");
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([=] {
      // The second comes when the stranger is there.
      std::this_thread::sleep_for(std::chrono::milliseconds(rank * 300));
      RankState state;
      auto control =
          ControlChannel::open(threadLayout(rank, 2, port), state, std::chrono::milliseconds(4000));
      ASSERT_TRUE(control.ok()) << control.status().message();
      EXPECT_TRUE((*control)->exchange("").ok());
      (void)(*control)->end(Status());
    });
  }
  stranger.join();
  for (std::thread &rank : ranks) {
    rank.join();
  }
}

TEST(DescribeDifferenceTest, NamesTheRanksThatDiffer) {
  const std::vector<std::string> names = {"rank 0", "rank 1", "rank 2"};
  auto facts = [](const char *lr, const char *seed) {
    return Facts{{"--lr", lr}, {"--seed", seed}};
  };
  EXPECT_EQ(describeDifference({facts("1", "2"), facts("1", "2"), facts("1", "2")}, names), "");
  EXPECT_EQ(describeDifference({facts("1", "2"), facts("3", "2"), facts("1", "2")}, names),
            "--lr: rank 1 has 3 and the other 2 have 1");
  EXPECT_EQ(describeDifference({facts("3", "2"), facts("1", "2"), facts("1", "2")}, names),
            "--lr: rank 0 has 3 and the other 2 have 1");
  // Of two ranks, rank 0 is right.
  EXPECT_EQ(describeDifference({facts("1", "5"), facts("1", "4")}, names),
            "--seed: rank 1 has 4 and rank 0 has 5");
  EXPECT_EQ(describeDifference({facts("1", "5"), {{"--lr", "1"}}}, names),
            "--seed: rank 1 has nothing and rank 0 has 5");
}
