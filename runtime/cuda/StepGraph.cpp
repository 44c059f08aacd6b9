// Entries as CUDA graphs.

#include "runtime/cuda/StepGraph.h"

#include "runtime/Context.h"

#include <algorithm>

using namespace dsc;

Status OpEvents::begin(const CudaDriver &driver, int32_t op, bool inGraph) {
  ops.emplace_back(op);
  return ops.back().begin.record(driver, driver.compute, inGraph);
}

Status OpEvents::end(const CudaDriver &driver, bool inGraph) {
  return ops.back().end.record(driver, driver.compute, inGraph);
}

Status OpEvents::collect(int64_t began, OpTimes &times) const {
  double events = 0;
  for (const Op &op : ops) {
    Result<double> before = op.begin.secondsSince(ops.front().begin);
    Result<double> seconds = op.end.secondsSince(op.begin);
    DSC_RETURN_IF_FAILED(before.status());
    DSC_RETURN_IF_FAILED(seconds.status());
    if (op.number == nothing) {
      events = *seconds;
      continue;
    }
    times.add(op.number, began + static_cast<int64_t>(*before * 1e9),
              static_cast<int64_t>(std::max(*seconds - events, 0.0) * 1e9));
  }
  return {};
}

StepGraph::~StepGraph() {
  if (executable) {
    driver.api().cuGraphExecDestroy(executable);
  }
}

Status StepGraph::capture(const std::function<Status()> &enqueue) {
  const DriverTable &api = driver.api();
  // Relaxed: libraries may allocate host-side things while they enqueue.
  DSC_RETURN_IF_FAILED(driver.check(
      api.cuStreamBeginCapture(driver.compute, CU_STREAM_CAPTURE_MODE_RELAXED), "begin a capture"));
  Status enqueued = enqueue();
  CUgraph graph = nullptr;
  Status ended =
      driver.check(api.cuStreamEndCapture(driver.compute, &graph), "capture the program");
  if (enqueued.ok() && ended.ok()) {
    ended = driver.check(api.cuGraphInstantiateWithFlags(&executable, graph, 0),
                         "make a graph of the program");
  }
  if (graph) {
    api.cuGraphDestroy(graph);
  }
  DSC_RETURN_IF_FAILED(enqueued);
  DSC_RETURN_IF_FAILED(ended);
  return driver.check(api.cuGraphUpload(executable, driver.compute), "upload a graph");
}

Status StepGraph::launch() {
  return driver.check(driver.api().cuGraphLaunch(executable, driver.compute), "launch a graph");
}
