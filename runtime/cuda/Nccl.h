// NCCL's functions.
// The few declarations of nccl.h that the runtime uses, as of version 2.10 (the first with means)
// and unchanged since: the header would bring CUDA's C++ headers along.

#ifndef DSC_RUNTIME_CUDA_NCCL_H
#define DSC_RUNTIME_CUDA_NCCL_H

#include "runtime/Status.h"

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace dsc {

struct NcclComm;
/// What tells the ranks of one communicator from others: made by rank 0, given to all.
struct NcclId {
  char bytes[128];
};

/// ncclResult_t, ncclRedOp_t and ncclDataType_t.
enum NcclResult : int { ncclSuccess = 0 };
enum NcclReduction : int { ncclSum = 0, ncclAvg = 4 };
enum NcclType : int {
  ncclUint8 = 1,
  ncclFloat16 = 6,
  ncclFloat32 = 7,
  ncclFloat64 = 8,
  ncclBfloat16 = 9
};

#define DSC_NCCL_FUNCTIONS(X)                                                                      \
  X(ncclGetVersion, (int *version))                                                                \
  X(ncclGetUniqueId, (NcclId * id))                                                                \
  X(ncclCommInitRank, (NcclComm * *comm, int ranks, NcclId id, int rank))                          \
  X(ncclCommDestroy, (NcclComm * comm))                                                            \
  X(ncclCommAbort, (NcclComm * comm))                                                              \
  X(ncclCommGetAsyncError, (NcclComm * comm, NcclResult * error))                                  \
  X(ncclAllGather, (const void *from, void *to, size_t fromCount, NcclType type, NcclComm *comm,   \
                    CUstream stream))                                                              \
  X(ncclReduceScatter, (const void *from, void *to, size_t toCount, NcclType type,                 \
                        NcclReduction reduction, NcclComm *comm, CUstream stream))                 \
  X(ncclAllReduce, (const void *from, void *to, size_t count, NcclType type,                       \
                    NcclReduction reduction, NcclComm *comm, CUstream stream))

struct NcclTable {
#define DSC_NCCL_FIELD(name, parameters) NcclResult(*name) parameters = nullptr;
  DSC_NCCL_FUNCTIONS(DSC_NCCL_FIELD)
#undef DSC_NCCL_FIELD
  const char *(*ncclGetErrorString)(NcclResult) = nullptr;

  /// Success, or what failed.
  Status check(NcclResult result, const char *what) const;
  /// "2.28.9, /usr/lib/libnccl.so.2".
  std::string versionText() const;
};

/// Loads NCCL for a driver of this CUDA version. Error: it is missing, or lacks a function.
Result<const NcclTable *> loadNccl(int driverVersion);

} // namespace dsc

#endif // DSC_RUNTIME_CUDA_NCCL_H
