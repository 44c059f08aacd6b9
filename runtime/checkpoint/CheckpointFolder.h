// The folder of a run's checkpoints.
// DIR/step-NNNNNNNN are whole checkpoints, DIR/latest and DIR/best links to two of them. What is
// being written or removed has a name that begins with a dot, so that every step-* that can be seen
// is whole, whenever a process dies.

#ifndef DSC_RUNTIME_CHECKPOINT_CHECKPOINTFOLDER_H
#define DSC_RUNTIME_CHECKPOINT_CHECKPOINTFOLDER_H

#include "runtime/checkpoint/CheckpointManifest.h"

#include <set>
#include <string>
#include <vector>

namespace dsc {

/// Files by which ranks find out whether they see one folder begin with it.
inline constexpr char seenPrefix[] = ".seen-";

/// "step-00000500".
std::string checkpointName(int64_t step);
/// The steps of the checkpoints in a folder, ascending; none where it is not there.
std::vector<int64_t> checkpointsIn(const std::string &folder);
/// The step that a link of the folder ("latest", "best") leads to; -1 where there is none.
int64_t linkedStep(const std::string &folder, const char *link);

/// The checkpoint that a user's path means: a checkpoint, a link to one, or a folder of them, whose
/// last one it is. Error: there is none.
Result<std::string> findCheckpoint(const std::string &path);
/// Whether `path` is a checkpoint or a folder of them.
bool holdsCheckpoint(const std::string &path);
/// The manifest of the checkpoint at `path`, its files present and of the right sizes.
Result<CheckpointManifest> openCheckpoint(const std::string &path);

/// Where a checkpoint is written before it has its name.
std::string asidePath(const std::string &folder, int64_t step);
/// An empty folder there; what a crash left goes away.
Status makeAside(const std::string &folder, int64_t step);
/// Gives what was written aside its name, and lets "latest" lead to it. All of it is durable then.
Status publishCheckpoint(const std::string &folder, int64_t step);
/// Lets a link of the folder lead to a checkpoint of it.
Status linkCheckpoint(const std::string &folder, const char *link, int64_t step);
/// Removes a checkpoint: whole or not at all for who looks at the folder.
Status removeCheckpoint(const std::string &folder, int64_t step);
/// Removes what processes that died left.
void removeLeftovers(const std::string &folder);

/// Which of `steps` (ascending) go when the last `keep` stay (0: all), and those of `kept`.
std::vector<int64_t> retiredSteps(const std::vector<int64_t> &steps, int64_t keep,
                                  const std::set<int64_t> &kept);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_CHECKPOINTFOLDER_H
