// What a run's collectives sent.
// Bytes by kind, over all ranks, between two moments; the manifest tells which of a collective's
// bytes are elements of parameters and which fill up chunks.

#ifndef DSC_RUNTIME_WIRE_H
#define DSC_RUNTIME_WIRE_H

#include "runtime/Json.h"
#include "runtime/Session.h"
#include "runtime/comm/Ranks.h"

namespace dsc {

/// Bytes of all ranks together; seconds of this one.
struct Wire {
  /// Elements of parameters and gradients.
  double reduceScatter = 0, allGather = 0;
  /// What fills up their chunks; and the sums of chunks, losses and the like.
  double padding = 0, scalars = 0;
  /// Seconds in which collectives ran, and those in which the program waited for one.
  double busy = 0, waited = 0;

  double payload() const { return reduceScatter + allGather; }
  OrderedJson json(double steps) const;
};

/// Counts from its start on. All ranks make one and end it together.
class WireCount {
public:
  WireCount(Session &session, Ranks &ranks);
  Result<Wire> finish() const;

private:
  std::vector<int64_t> sent() const;

  const Manifest &manifest;
  Ranks &ranks;
  const Communicator *communicator; ///< null with one rank
  std::vector<int64_t> before;
  Traffic trafficBefore;
};

} // namespace dsc

#endif // DSC_RUNTIME_WIRE_H
