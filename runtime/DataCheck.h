// The command `data`.
// Opens data as training would, checks every value, and shows what it holds and its first sample.

#ifndef DSC_RUNTIME_DATACHECK_H
#define DSC_RUNTIME_DATACHECK_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

Status runDataCheck(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_DATACHECK_H
