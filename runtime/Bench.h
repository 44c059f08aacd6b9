// The command `bench`.
// Times whole training steps on made-up data and prints the planned memory beside the measured one;
// with --kernels the time of every kernel and library call.

#ifndef DSC_RUNTIME_BENCH_H
#define DSC_RUNTIME_BENCH_H

#include "runtime/CommandLine.h"
#include "runtime/Executable.h"

namespace dsc {

class Ranks;

Status runBench(Executable &executable, const CommandLine &line, Ranks &ranks);

} // namespace dsc

#endif // DSC_RUNTIME_BENCH_H
