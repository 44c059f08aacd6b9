// Phases 9 and 10, and the objects that go into an executable.

#ifndef DSC_CODEGEN_PIPELINE_H
#define DSC_CODEGEN_PIPELINE_H

#include "ir/Dialect.h"

namespace dsc {

/// Registers the dialects that code generation needs.
void registerCodegenDialects(mlir::DialectRegistry &registry);

/// Phase 9: outlines kernels to functions over vectors and memrefs; entries launch them. Attaches
/// the manifest.
mlir::LogicalResult runKernelsPhase(mlir::ModuleOp module);

/// Phase 10: kernels and entries to the LLVM dialect.
mlir::LogicalResult runDevicePhase(mlir::ModuleOp module);

/// The PTX of a module for CUDA after the device phase.
mlir::FailureOr<std::string> emitDeviceText(mlir::ModuleOp module);

/// Machine code of a module after the device phase, as ELF objects, for the processor of its
/// options; a GPU's kernels are constants in them.
mlir::FailureOr<std::vector<std::string>> emitProgram(mlir::ModuleOp module);

} // namespace dsc

#endif // DSC_CODEGEN_PIPELINE_H
