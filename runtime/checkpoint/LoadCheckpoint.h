// From a checkpoint to a session.
// Files are checked whole, against the manifest's checksums, before anything of them is used.

#ifndef DSC_RUNTIME_CHECKPOINT_LOADCHECKPOINT_H
#define DSC_RUNTIME_CHECKPOINT_LOADCHECKPOINT_H

#include "runtime/Session.h"
#include "runtime/checkpoint/CheckpointManifest.h"

#include <string>

namespace dsc {

/// Checks files of the checkpoint at `path`: tensors are those that the manifest lists, with its
/// checksums. With `file`, that one only. On up to `threads` threads.
Status verifyCheckpoint(const std::string &path, const CheckpointManifest &manifest, int threads,
                        const std::string &file = "");

/// Loads weights, state and buffers of a verified checkpoint; with `partial`, state that the
/// checkpoint lacks keeps its start. Running statistics of each rank come back where it was written
/// by as many ranks, their mean otherwise. Compute copies are not made here. Error: a name, shape
/// or type does not fit.
Status loadCheckpoint(Session &session, const std::string &path, const CheckpointManifest &manifest,
                      bool partial);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_LOADCHECKPOINT_H
