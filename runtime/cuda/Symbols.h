// NVIDIA's libraries, loaded at start.
// Tables of the functions that the runtime calls, filled by dlopen: the driver (libcuda), cuBLASLt
// and, when the first plan needs it, cuDNN. Looked for in DSC_CUDA_PATH, LD_LIBRARY_PATH, the
// nvidia packages of the Pythons in sight and the system's folders, in this order.

#ifndef DSC_RUNTIME_CUDA_SYMBOLS_H
#define DSC_RUNTIME_CUDA_SYMBOLS_H

#include "runtime/Status.h"

#include <cublasLt.h>
#include <cuda.h>

#include <string>
#include <vector>

// Newer headers rename it to a version that drivers before 12.8 lack.
#undef cuEventElapsedTime

namespace dsc {

// Macros of cuda.h turn some of the names into versioned ones, in the table as in its uses.
#define DSC_DRIVER_FUNCTIONS(X)                                                                    \
  X(cuInit)                                                                                        \
  X(cuDriverGetVersion)                                                                            \
  X(cuGetErrorName)                                                                                \
  X(cuGetErrorString)                                                                              \
  X(cuDeviceGetCount)                                                                              \
  X(cuDeviceGet)                                                                                   \
  X(cuDeviceGetName)                                                                               \
  X(cuDeviceGetAttribute)                                                                          \
  X(cuDeviceGetUuid)                                                                               \
  X(cuDevicePrimaryCtxRetain)                                                                      \
  X(cuDevicePrimaryCtxRelease)                                                                     \
  X(cuCtxSetCurrent)                                                                               \
  X(cuMemGetInfo)                                                                                  \
  X(cuMemAlloc)                                                                                    \
  X(cuMemFree)                                                                                     \
  X(cuMemHostAlloc)                                                                                \
  X(cuMemFreeHost)                                                                                 \
  X(cuMemcpyHtoDAsync)                                                                             \
  X(cuMemcpyDtoHAsync)                                                                             \
  X(cuMemcpyDtoDAsync)                                                                             \
  X(cuMemsetD8Async)                                                                               \
  X(cuCtxGetStreamPriorityRange)                                                                   \
  X(cuStreamCreate)                                                                                \
  X(cuStreamCreateWithPriority)                                                                    \
  X(cuStreamDestroy)                                                                               \
  X(cuStreamSynchronize)                                                                           \
  X(cuStreamWaitEvent)                                                                             \
  X(cuStreamBeginCapture)                                                                          \
  X(cuStreamEndCapture)                                                                            \
  X(cuGraphInstantiateWithFlags)                                                                   \
  X(cuGraphUpload)                                                                                 \
  X(cuGraphLaunch)                                                                                 \
  X(cuGraphExecDestroy)                                                                            \
  X(cuGraphDestroy)                                                                                \
  X(cuEventCreate)                                                                                 \
  X(cuEventDestroy)                                                                                \
  X(cuEventRecord)                                                                                 \
  X(cuEventRecordWithFlags)                                                                        \
  X(cuEventSynchronize)                                                                            \
  X(cuEventQuery)                                                                                  \
  X(cuModuleLoadDataEx)                                                                            \
  X(cuModuleUnload)                                                                                \
  X(cuModuleGetFunction)                                                                           \
  X(cuFuncSetAttribute)                                                                            \
  X(cuLaunchKernel)

/// The driver's functions.
struct DriverTable {
#define DSC_FIELD(name) decltype(&::name) name = nullptr;
  DSC_DRIVER_FUNCTIONS(DSC_FIELD)
  CUresult (*cuEventElapsedTime)(float *, CUevent, CUevent) = nullptr;
};

#define DSC_CUBLASLT_FUNCTIONS(X)                                                                  \
  X(cublasLtCreate)                                                                                \
  X(cublasLtDestroy)                                                                               \
  X(cublasLtGetVersion)                                                                            \
  X(cublasLtGetStatusString)                                                                       \
  X(cublasLtMatmul)                                                                                \
  X(cublasLtMatmulAlgoCheck)                                                                       \
  X(cublasLtMatmulAlgoGetHeuristic)                                                                \
  X(cublasLtMatmulDescCreate)                                                                      \
  X(cublasLtMatmulDescDestroy)                                                                     \
  X(cublasLtMatmulDescSetAttribute)                                                                \
  X(cublasLtMatmulPreferenceCreate)                                                                \
  X(cublasLtMatmulPreferenceDestroy)                                                               \
  X(cublasLtMatmulPreferenceSetAttribute)                                                          \
  X(cublasLtMatrixLayoutCreate)                                                                    \
  X(cublasLtMatrixLayoutDestroy)                                                                   \
  X(cublasLtMatrixLayoutSetAttribute)

/// cuBLASLt's functions.
struct CublasLtTable {
  DSC_CUBLASLT_FUNCTIONS(DSC_FIELD)
#undef DSC_FIELD
};

/// Loads the driver. Error: it is missing or lacks a function.
Result<const DriverTable *> loadDriver();

/// Loads cuBLASLt for a driver of this CUDA version (13000 for 13.0), newest first.
Result<const CublasLtTable *> loadCublasLt(int driverVersion);

/// Loads the CUDA runtime and returns its file; empty where there is none.
std::string loadCudart(int driverVersion);

/// Loads cuDNN and what it loads by name itself (the CUDA runtime, NVRTC, cuBLAS); returns the
/// handle that symbols are looked up in.
Result<void *> loadCudnn(int driverVersion);

/// The file that a library was loaded from, "" if it was not: for `info`.
std::string loadedLibrary(const char *title);

/// Folders that libraries are looked for in, in this order; "" is the loader's own path.
std::vector<std::string> cudaLibraryFolders();

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_SYMBOLS_H
