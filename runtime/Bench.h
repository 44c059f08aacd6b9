// The command `bench`.
// Times whole training steps on made-up data and prints the planned memory beside the measured one;
// with --kernels the time of every kernel and library call.

#ifndef DSC_RUNTIME_BENCH_H
#define DSC_RUNTIME_BENCH_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

Status runBench(Executable &executable, const CommandLine &line);

} // namespace dsc

#endif // DSC_RUNTIME_BENCH_H
