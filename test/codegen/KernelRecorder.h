// Writes kernels, compiled for CUDA, with operands and the CPU target's results to a folder that
// test/gpu/KernelReplay runs on a machine with a GPU: the unit tests of code generation are then
// the tests of both targets. On where the environment has DSC_RECORD_KERNELS=FOLDER.

#ifndef DSC_TEST_CODEGEN_KERNELRECORDER_H
#define DSC_TEST_CODEGEN_KERNELRECORDER_H

#include "test/codegen/CompiledKernels.h"

namespace dsc::test {

/// One kernel compiled for CUDA.
struct DeviceKernelCase {
  std::string cubin, ptx, log;
  llvm::SmallVector<KernelLaunch> launches;
  std::vector<std::string> resultTypes;
  std::vector<size_t> operandBytes, resultBytes;
  size_t scratch = 0;
};

/// The kernels of `source`, in textual order, all in one image; empty where they do not compile,
/// which fails the test.
std::vector<DeviceKernelCase> compileForDevice(const std::string &source);

/// Whether kernels are recorded.
bool isRecording();

/// Appends a case.
void recordCase(const DeviceKernelCase &kernel, const std::vector<Buffer> &operands,
                const std::vector<Buffer> &results,
                const std::vector<std::pair<int, int>> &inPlace);

/// Appends a case that is only timed, on whatever its operands hold.
void recordTiming(const DeviceKernelCase &kernel);

} // namespace dsc::test

#endif // DSC_TEST_CODEGEN_KERNELRECORDER_H
