// Phase 9, kernels: each structurally distinct `dsc.kernel` of the entries becomes functions named
// kernel_N, in order of first appearance. Entries are not changed: their lowering asks the table
// what to launch.

#ifndef DSC_CODEGEN_OUTLINEKERNELS_H
#define DSC_CODEGEN_OUTLINEKERNELS_H

#include "ir/Dialect.h"

#include <string>
#include <vector>

namespace dsc {

/// One call of dsc_rt_parallel_for: `symbol` takes the kernel's operands, results and (where it has
/// some) scratch. On a GPU one launch: units are blocks, grains the threads of a block; of a kernel
/// over owned chunks, units are the most blocks and grains the chunks of one.
struct KernelLaunch {
  std::string symbol;
  int64_t units = 0;
  int64_t grain = 1;
  /// Bytes of shared memory of a block that each launch asks for; 0 on the CPU.
  int64_t shared = 0;
};

/// What to launch for each kernel, one after the other: column sums take two launches.
class KernelTable {
public:
  llvm::ArrayRef<KernelLaunch> launches(KernelOp kernel) const;
  /// Number of distinct kernels.
  size_t size() const { return kernels_.size(); }

private:
  friend mlir::FailureOr<KernelTable> buildKernels(mlir::ModuleOp module);
  std::vector<llvm::SmallVector<KernelLaunch>> kernels_;
  llvm::DenseMap<mlir::Operation *, size_t> indexOf_;
};

/// Emits a function for every distinct kernel of `module`'s entries at the end of `module`.
mlir::FailureOr<KernelTable> buildKernels(mlir::ModuleOp module);

/// What makes two kernels the same code: kind, domain, scratch, types and body, but no names or
/// locations.
std::string kernelKey(KernelOp kernel);

} // namespace dsc

#endif // DSC_CODEGEN_OUTLINEKERNELS_H
