// The training executable's commands.
// From the process's arguments to its exit code.

#ifndef DSC_RUNTIME_RUNNER_H
#define DSC_RUNTIME_RUNNER_H

namespace dsc {

int runMain(int argc, char **argv);

} // namespace dsc

#endif // DSC_RUNTIME_RUNNER_H
