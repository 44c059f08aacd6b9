// From a command line to a session with weights and data.
// What every command that runs the program does first. Notes go to the error stream, so that
// printed JSON stays JSON.

#ifndef DSC_RUNTIME_STARTUP_H
#define DSC_RUNTIME_STARTUP_H

#include "runtime/CommandLine.h"
#include "runtime/Dataset.h"
#include "runtime/Session.h"
#include "runtime/comm/Ranks.h"

#include <memory>
#include <string>

namespace dsc {

/// The session of this rank, without weights. `choices` of algorithms go before those that the
/// device remembers.
Result<std::unique_ptr<Session>> makeSession(Executable &executable, const CommandLine &line,
                                             Ranks &ranks, const AlgorithmChoices &choices = {});
/// Loads the weights of --weights, or those beside the executable. Compute copies are not made.
Status loadStart(Session &session, const CommandLine &line);
/// The session of this rank with the weights that it starts from.
Result<std::unique_ptr<Session>> openSession(Executable &executable, const CommandLine &line,
                                             Ranks &ranks);

/// The data at `path`, with --tokens and --tokens-to; `path` empty is an error about --data.
Result<std::unique_ptr<Dataset>> openData(const Manifest &manifest, const CommandLine &line,
                                          const std::string &path);

/// What must be equal on all ranks before they begin: the program and its run-time values.
Facts programFacts(const Executable &executable, const CommandLine &line);
/// The number of samples and some of their bytes, for the comparison of ranks.
Result<std::string> fingerprint(const Dataset &data, const Manifest &manifest);

/// Notes of ranks other than the first say nothing new.
void silenceNotes();
void printNote(const std::string &text);
void printError(const std::string &text);

/// `text` with control characters spelled out: names come from files.
std::string printable(const std::string &text);

/// Bytes as "12.3 MiB".
std::string bytesText(int64_t bytes);

} // namespace dsc

#endif // DSC_RUNTIME_STARTUP_H
