// A CUDA GPU as a device.
// Nothing of CUDA is linked: the driver and NVIDIA's libraries are loaded when the device is made.

#ifndef DSC_RUNTIME_CUDA_CUDADEVICE_H
#define DSC_RUNTIME_CUDA_CUDADEVICE_H

#include "runtime/Device.h"

namespace dsc {

/// The GPU that runs the program of `manifest`, with enough free memory for its plan; choices of
/// algorithms are kept beside the file `executable`. Error: there is no GPU, driver or library, one
/// is too old, the GPU is not of the program's architecture, or its free memory is too little.
/// Runners built without CUDA's headers always fail. With several `ranks` each takes a GPU of its
/// own and all of them meet, by NCCL.
Result<std::unique_ptr<Device>>
createCudaDevice(const Manifest &manifest, const std::string &executable, Ranks *ranks = nullptr);

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_CUDADEVICE_H
