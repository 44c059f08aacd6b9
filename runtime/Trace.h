// Traces of steps.
// A profile as a file that Perfetto (ui.perfetto.dev) and chrome://tracing show: one bar for each
// call, named as the manifest names it, with its ONNX nodes, operations and bytes; on a track of
// their own the collectives, which run at the same time.

#ifndef DSC_RUNTIME_TRACE_H
#define DSC_RUNTIME_TRACE_H

#include "runtime/Communicator.h"
#include "runtime/Context.h"

#include <string>

namespace dsc {

/// Refuses a file that is there and is no trace of ours.
Status checkOverwritesOwnTrace(const std::string &path);

/// Writes the calls of `times`, and the collectives, which began to count at the same time.
/// `device` names the track.
Status writeTrace(const std::string &path, const Manifest &manifest, const OpTimes &times,
                  const std::vector<CollectiveTime> &collectives, const std::string &device);

} // namespace dsc

#endif // DSC_RUNTIME_TRACE_H
