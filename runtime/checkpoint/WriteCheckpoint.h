// From a session to files.
// What a checkpoint holds of a program: parameters and buffers under the user's names, optimizer
// state as PARAMETER.KIND, whatever kinds the program has. All ranks write; nothing is gathered
// beyond parameters whose elements lie scattered.

#ifndef DSC_RUNTIME_CHECKPOINT_WRITECHECKPOINT_H
#define DSC_RUNTIME_CHECKPOINT_WRITECHECKPOINT_H

#include "runtime/Session.h"
#include "runtime/checkpoint/CheckpointManifest.h"
#include "runtime/comm/Ranks.h"

#include <string>

namespace dsc {

/// The name of a global in checkpoints: that of a weight, or of the weight that state belongs to
/// with its kind.
std::string savedName(const Manifest &manifest, const GlobalSpec &spec);

/// Bytes of a checkpoint's tensors.
int64_t checkpointBytes(const Manifest &manifest);
/// Bytes of the weights alone.
int64_t weightsBytes(const Manifest &manifest);

/// Writes the session as `folder`/step-N of `manifest`, whose tensors are filled in, and lets
/// "latest" lead there. Whole or absent; on a failure all ranks fail. All ranks call it.
Status writeCheckpoint(Session &session, Ranks &ranks, const std::string &folder,
                       CheckpointManifest manifest);

/// Writes the trained parameters and buffers, buffers as their mean over the ranks, into one file
/// of safetensors. All ranks call it.
Status saveWeights(Session &session, Ranks &ranks, const std::string &path, int64_t step);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_WRITECHECKPOINT_H
