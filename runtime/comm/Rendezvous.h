// How the ranks of a run find each other.
// Rank 0 listens; the others connect to it and say which rank of which run they are. What comes out
// are connections in the order of ranks, and who is at their other end.

#ifndef DSC_RUNTIME_COMM_RENDEZVOUS_H
#define DSC_RUNTIME_COMM_RENDEZVOUS_H

#include "runtime/comm/RankLayout.h"
#include "runtime/comm/Socket.h"

#include <chrono>
#include <vector>

namespace dsc {

/// Where a rank runs.
struct RankPlace {
  std::string host;
  int64_t process = 0;
  /// The processors that it may use, as text that is equal for equal sets.
  std::string processors;
};

struct Meeting {
  /// By rank; rank 0 has one to each other rank, the others have one to rank 0 alone.
  std::vector<Connection> connections;
  std::vector<RankPlace> places;
  /// An address of this machine that the others reach.
  std::string address;
};

/// Meets the other ranks. Errors, after `limit`: which ranks did not come, or that rank 0 does not
/// answer, and what to check.
Result<Meeting> meetRanks(const RankLayout &layout, std::chrono::milliseconds limit);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_RENDEZVOUS_H
