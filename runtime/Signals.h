// Stopping and saving on request.
// SIGINT and SIGTERM ask for a stop after the running step, a second one ends at once; SIGUSR1 asks
// for the weights to be written while training goes on.

#ifndef DSC_RUNTIME_SIGNALS_H
#define DSC_RUNTIME_SIGNALS_H

namespace dsc {

void installTrainingSignals();
/// The signal that asked for a stop, or 0.
int stopSignal();
/// Whether a save was asked for since the last call.
bool takeSaveRequest();

} // namespace dsc

#endif // DSC_RUNTIME_SIGNALS_H
