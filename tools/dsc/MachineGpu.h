// The GPU of the machine that compiles, for what --target=auto and --recompute=auto take from it.

#ifndef DSC_TOOLS_DSC_MACHINEGPU_H
#define DSC_TOOLS_DSC_MACHINEGPU_H

#include "ir/Options.h"

#include <cstdint>
#include <optional>
#include <string>

namespace dsc {

struct MachineGpu {
  std::string name;
  int major = 0, minor = 0; // compute capability
  int64_t bytes = 0;        // of its memory

  /// The first GPU that a CUDA program started now would see (CUDA_VISIBLE_DEVICES counts); nothing
  /// without NVIDIA's driver or where it does not start.
  static std::optional<MachineGpu> find();

  /// The newest of the architectures that kernels are compiled for which this GPU runs, as in
  /// --arch; nothing where it is older than all of them.
  std::optional<std::string> arch() const;
};

/// What --arch may be, oldest first.
llvm::ArrayRef<llvm::StringRef> cudaArchitectures();

/// Decides --target=auto, which is also the default: CUDA, for the architecture of this machine's
/// GPU unless --arch is among the flags `given`, where there is one that kernels are compiled for;
/// else the CPU. Returns the notice that says so; empty where the user chose.
std::string settleTarget(CompileOptions &options, llvm::ArrayRef<std::string> given);

/// Bytes of memory that a training program of `target` may take on this machine: nine tenths of
/// what its GPU has, or machineMemory(); 0 for CUDA without a GPU.
int64_t memoryOfTarget(llvm::StringRef target);

} // namespace dsc

#endif // DSC_TOOLS_DSC_MACHINEGPU_H
