// Entries as CUDA graphs.
// The first run of an entry captures what its function enqueues; every run replays the graph, so
// that the host's part of a step is one launch. For profiles a second graph is captured, with
// events around each op.

#ifndef DSC_RUNTIME_CUDA_STEPGRAPH_H
#define DSC_RUNTIME_CUDA_STEPGRAPH_H

#include "runtime/Device.h"
#include "runtime/cuda/CudaDriver.h"
#include "runtime/cuda/NcclCommunicator.h"

#include <deque>
#include <map>

namespace dsc {

/// Begin and end of each op of a captured entry, in the order of the stream.
class OpEvents {
public:
  /// The number of the op that has nothing to do.
  static constexpr int32_t nothing = -1;

  Status begin(const CudaDriver &driver, int32_t op, bool inGraph);
  Status end(const CudaDriver &driver, bool inGraph);
  /// Adds the times of the last run, which is done and began at `began` nanoseconds, to `times`.
  /// The first op had nothing to do: what it took is the events' own time, and taken off the
  /// others.
  Status collect(int64_t began, OpTimes &times) const;
  /// What times count from.
  const CudaEvent &origin() const { return ops.front().begin; }

private:
  struct Op {
    explicit Op(int32_t number) : number(number) {}
    int32_t number;
    CudaEvent begin{true}, end{true};
  };
  std::deque<Op> ops;
};

/// One captured entry.
class StepGraph {
public:
  explicit StepGraph(const CudaDriver &driver) : driver(driver) {}
  ~StepGraph();
  StepGraph(const StepGraph &) = delete;
  StepGraph &operator=(const StepGraph &) = delete;

  /// Captures what `enqueue` puts on the compute stream. It runs nothing.
  Status capture(const std::function<Status()> &enqueue);
  /// Enqueues a replay.
  Status launch();

  OpEvents events;
  CapturedCollectives collectives;

private:
  const CudaDriver &driver;
  CUgraphExec executable = nullptr;
};

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_STEPGRAPH_H
