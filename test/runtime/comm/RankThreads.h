// Ranks as threads of one process.
// Each has its own control channel and communicator over localhost, as processes would.

#ifndef DSC_TEST_RUNTIME_COMM_RANKTHREADS_H
#define DSC_TEST_RUNTIME_COMM_RANKTHREADS_H

#include "runtime/comm/ControlChannel.h"
#include "runtime/comm/GlooCommunicator.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace dsc::test {

/// What one rank has.
struct RankThread {
  RankState state;
  std::unique_ptr<ControlChannel> control;
  std::unique_ptr<GlooCommunicator> communicator;
  int rank = 0, ranks = 1;
};

inline RankLayout threadLayout(int rank, int ranks, int port) {
  RankLayout layout;
  layout.rank = layout.localRank = rank;
  layout.ranks = layout.localRanks = ranks;
  layout.port = port;
  layout.job = "test";
  layout.source = "threads";
  return layout;
}

inline int freePort() {
  int port = 0;
  Result<Descriptor> listener = listenOn(0, 1, port);
  EXPECT_TRUE(listener.ok());
  return port;
}

/// Runs `body` on `ranks` ranks and waits for all of them.
template <typename Body> void onRanks(int ranks, Body body, int timeoutMilliseconds = 20000) {
  const int port = freePort();
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([=] {
      RankThread own;
      own.rank = rank;
      own.ranks = ranks;
      auto control = ControlChannel::open(threadLayout(rank, ranks, port), own.state,
                                          std::chrono::milliseconds(timeoutMilliseconds));
      ASSERT_TRUE(control.ok()) << control.status().message();
      own.control = std::move(*control);
      auto communicator = GlooCommunicator::connect(*own.control, own.state);
      ASSERT_TRUE(communicator.ok()) << communicator.status().message();
      own.communicator = std::move(*communicator);
      body(own);
      // Before connections close, all must have what was sent to them.
      if (own.control && own.control->failure().ok()) {
        (void)own.control->exchange("");
        (void)own.control->end(Status());
      }
    });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

} // namespace dsc::test

#endif // DSC_TEST_RUNTIME_COMM_RANKTHREADS_H
