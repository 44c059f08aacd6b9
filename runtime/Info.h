// The command `info`.
// Says what was compiled and how: the manifest in words, or as it is with --json.

#ifndef DSC_RUNTIME_INFO_H
#define DSC_RUNTIME_INFO_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

#include <string>

namespace dsc {

/// What `info` prints: the program, its options, data, parameters and planned memory.
std::string describe(const Executable &executable);

Status runInfo(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_INFO_H
