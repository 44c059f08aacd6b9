// Which rank of how many this process is.
// Read from `--ranks N`, or from what a launcher (torchrun, mpirun, srun) put into the environment.
// Nothing is opened or started here.

#ifndef DSC_RUNTIME_COMM_RANKLAYOUT_H
#define DSC_RUNTIME_COMM_RANKLAYOUT_H

#include "runtime/Status.h"

#include <cstdint>
#include <functional>
#include <string>

namespace dsc {

/// The most ranks that one run may have.
constexpr int mostRanks = 4096;

struct RankLayout {
  int rank = 0, ranks = 1;
  /// Among the ranks of this machine.
  int localRank = 0, localRanks = 1;
  /// Who started the ranks: "--ranks", "torchrun", "mpirun", "srun"; empty for one rank.
  std::string source;
  /// This process is to start the ranks, and is none itself.
  bool startsRanks = false;
  /// Where rank 0 listens. Ports from `port` on are tried in turn: others may have the first ones.
  std::string address = "127.0.0.1";
  int port = 0;
  /// Tells this run from others on the same port.
  std::string job;

  bool severalMachines() const { return localRanks < ranks; }
  /// "4 ranks from torchrun, 1 node".
  std::string summary() const;
};

/// Ports that are tried.
constexpr int portsTried = 16;

/// Reads a variable of the environment, or null.
using Environment = std::function<const char *(const char *)>;

/// `asked` is the value of --ranks, 0 where it was not given. Errors: variables that are missing or
/// contradict each other or --ranks, by name.
Result<RankLayout> rankLayout(int64_t asked, const Environment &environment);

/// The first host of SLURM's list: "node[003-007,9],other" begins with node003.
std::string firstHost(const std::string &list);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_RANKLAYOUT_H
