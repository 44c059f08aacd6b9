// The CPU as a device.
// A team of threads, memory of the host, and the library calls of this folder. Everything is done
// when a function returns.

#ifndef DSC_RUNTIME_CPU_CPUDEVICE_H
#define DSC_RUNTIME_CPU_CPUDEVICE_H

#include "runtime/Device.h"

namespace dsc {

/// Error: this CPU lacks the instructions that the kernels need, or libgomp is missing.
Result<std::unique_ptr<Device>> createCpuDevice(int threads);

} // namespace dsc

#endif // DSC_RUNTIME_CPU_CPUDEVICE_H
