// What a run that continues may change.
// One table says what a checkpoint must have in common with the program, the data and the flags
// that continue it, and which of it --allow-change lets differ (docs/checkpoints.md). Values that
// the command line does not give are those of the checkpoint.

#ifndef DSC_RUNTIME_CHECKPOINT_RESUMERULES_H
#define DSC_RUNTIME_CHECKPOINT_RESUMERULES_H

#include "runtime/CommandLine.h"
#include "runtime/RunTimeValues.h"
#include "runtime/checkpoint/CheckpointManifest.h"

#include <set>
#include <string>
#include <vector>

namespace dsc {

/// The flags of run-time values that a run was made with, as a checkpoint stores them.
std::map<std::string, std::string> runFlags(const Manifest &program, const RunTimeValues &values,
                                            const CommandLine &line);
/// `line` with the checkpoint's flags where it gives none and the program takes them.
CommandLine withFlagsOf(const CheckpointManifest &checkpoint, const Manifest &program,
                        CommandLine line);

/// The names that --allow-change lists. Error: one of them is unknown.
Result<std::set<std::string>> allowedChanges(const CommandLine &line);

/// What the run that continues has of its own.
struct Continuation {
  const Manifest &program;
  std::map<std::string, std::string> flags;
  std::string dataFingerprint;
  int64_t samplesPerStep = 0, ranks = 1;
};

struct ResumeChanges {
  /// What differs, in words.
  std::vector<std::string> notes;
  /// Whether optimizer state may be missing.
  bool partialState = false;
};

/// Compares. `path` is the checkpoint's, for messages. Error: something differs that may not, or
/// that `allowed` does not name.
Result<ResumeChanges> checkResume(const std::string &path, const CheckpointManifest &checkpoint,
                                  const Continuation &run, const std::set<std::string> &allowed);

} // namespace dsc

#endif // DSC_RUNTIME_CHECKPOINT_RESUMERULES_H
