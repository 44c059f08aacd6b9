// The command `export`: the weights that a run would start from, as a file.

#ifndef DSC_RUNTIME_EXPORT_H
#define DSC_RUNTIME_EXPORT_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

/// Writes the weights of --weights, or those beside the executable, to -o.
Status runExport(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_EXPORT_H
