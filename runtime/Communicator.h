// How ranks exchange data: what runs a program's collectives.
// One interface for whatever carries them. Nothing here knows of programs, sessions or launchers.

#ifndef DSC_RUNTIME_COMMUNICATOR_H
#define DSC_RUNTIME_COMMUNICATOR_H

#include "runtime/Status.h"
#include "runtime/abi.h"

#include <cstdint>
#include <vector>

namespace dsc {

/// What a communicator did since its start.
struct Traffic {
  /// Bytes that this rank sent.
  int64_t sent = 0;
  /// Seconds in which collectives ran, and those in which the program waited for them.
  double busy = 0, waited = 0;
};

/// One collective that ran: nanoseconds since startTimes.
struct CollectiveTime {
  const char *name;
  int64_t bytes, begin, nanoseconds;
};

class Communicator {
public:
  virtual ~Communicator();

  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// Makes a program's collective known; in the order of ids, before the first is issued.
  virtual Status plan(const dsc_collective &collective);
  /// Starts a collective and returns: dsc_rt_collective_issue of abi.h has the rules. One that is
  /// still out under this id is waited for first.
  virtual Status issue(const dsc_collective &collective, const void *src, void *base) = 0;
  /// Returns once `id` is done; at once where it is not out, so that waits may come twice. Error:
  /// a rank is gone; names it, the step and the collective.
  virtual Status wait(int32_t id) = 0;
  /// Waits for all that are out.
  virtual Status waitAll() = 0;

  /// Bytes that this rank sent for the collective `id` so far.
  virtual int64_t sentBytes(int32_t id) const = 0;
  /// Chunks of which each rank sends a part where the program has `chunks`: more where slices are
  /// all of one length.
  virtual int64_t sentChunks(int64_t chunks) const { return chunks; }

  virtual Traffic traffic() const = 0;
  /// Takes the time of every collective that runs until stopTimes, which returns them in order.
  virtual void startTimes() = 0;
  virtual std::vector<CollectiveTime> stopTimes() = 0;

  /// Issues and waits.
  Status run(const dsc_collective &collective, const void *src, void *base);
};

/// Bytes of one element chunk of a collective.
int64_t chunkBytes(const dsc_collective &collective);

} // namespace dsc

#endif // DSC_RUNTIME_COMMUNICATOR_H
