// The CPU's part of a session.
// The boundary between the session and the CPU device: a team of threads, library plans, and the
// dsc_rt functions of abi.h, which find their state in dsc_context::cpu.

#ifndef DSC_RUNTIME_CPU_CPUDEVICE_H
#define DSC_RUNTIME_CPU_CPUDEVICE_H

#include "runtime/Context.h"

namespace dsc {

/// Creates ctx.cpu. `threads` of 0 means all cores of the process's affinity mask. Loads the
/// libraries lazily, at the first plan that needs them.
Status createCpuDevice(dsc_context &ctx, int threads);

/// Frees ctx.cpu, plans included; null is fine.
void destroyCpuDevice(dsc_context &ctx);

/// Threads of the team.
int cpuThreads(const dsc_context &ctx);

} // namespace dsc

#endif // DSC_RUNTIME_CPU_CPUDEVICE_H
