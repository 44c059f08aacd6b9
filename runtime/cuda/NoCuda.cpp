// Stands in for the CUDA device in builds without NVIDIA's headers.

#include "runtime/cuda/CudaDevice.h"

using namespace dsc;

Result<std::unique_ptr<Device>> dsc::createCudaDevice(const Manifest &, const std::string &,
                                                      Ranks *) {
  return Status::machine(
      "this program was compiled for CUDA by a dsc that was built without CUDA's headers, so its "
      "runner has no CUDA device; run tools/setup and tools/build again where PyPI can be reached "
      "or a CUDA toolkit is installed, and compile the model again");
}
