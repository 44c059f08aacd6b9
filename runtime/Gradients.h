// Gradients and kept values of one step.
// Runs one step on the first samples of the data, in their order, without its update, and writes
// what the manifest lists as gradients, or as values kept by --keep-values.

#ifndef DSC_RUNTIME_GRADIENTS_H
#define DSC_RUNTIME_GRADIENTS_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

/// The command `gradients`.
Status runGradients(Executable &executable, const CommandLine &line);

/// The command `values`.
Status runValues(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_GRADIENTS_H
