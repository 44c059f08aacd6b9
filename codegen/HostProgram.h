// Lowers the entries to the host program: straight-line LLVM functions that call the runtime
// (runtime/abi.h) with addresses from the memory plan.

#ifndef DSC_CODEGEN_HOSTPROGRAM_H
#define DSC_CODEGEN_HOSTPROGRAM_H

#include "ir/Dialect.h"

namespace dsc {

/// Name of the C-ABI function (dsc_kernel_fn) of the kernel `symbol`.
std::string kernelEntryName(llvm::StringRef symbol);

/// Number of each op of the entries that calls the runtime, in program order: the `op` argument of
/// the calls and the index in the manifest's `ops`.
llvm::DenseMap<mlir::Operation *, int32_t> numberRuntimeOps(mlir::ModuleOp module);

/// Sharded globals in the order in which they lie: the bases behind the spaces that entries get.
llvm::SmallVector<GlobalOp> shardedGlobals(mlir::ModuleOp module);

/// Collectives of all entries by id.
llvm::SmallVector<mlir::Operation *> collectivesOf(mlir::ModuleOp module);

/// "reduce_scatter bucket.3", for errors and traces.
std::string collectiveName(mlir::Operation *op);

/// Replaces the entries of `module` by LLVM functions dsc_entry_NAME (and dsc_entry_NAME_update),
/// dsc_program_init and dsc_program_abi_version. Assumes the kernels phase. Errors: an op that has
/// no runtime call.
mlir::LogicalResult lowerEntries(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_CODEGEN_HOSTPROGRAM_H
