// Starting the ranks of `--ranks N` on this machine.
// The started processes run the same command; this one forwards signals, waits, and ends what a
// failed rank leaves behind.

#ifndef DSC_RUNTIME_COMM_LOCALRANKS_H
#define DSC_RUNTIME_COMM_LOCALRANKS_H

#include "runtime/Status.h"

#include <chrono>

namespace dsc {

/// Runs `ranks` copies of this program with `arguments`, and returns when all have ended: their
/// common exit code without a message (each told its own), or why they could not be started. Ranks
/// that are still there some time after another one failed are killed; `timeout` is --timeout.
Status runLocalRanks(int ranks, char **arguments, std::chrono::milliseconds timeout);

} // namespace dsc

#endif // DSC_RUNTIME_COMM_LOCALRANKS_H
