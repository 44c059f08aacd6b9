// The LLVM dialect -> object files for an x86-64 processor. Kernels are optimised and compiled in
// several LLVM modules on threads; everything else (the entries) is one module compiled fast.

#ifndef DSC_CODEGEN_CPU_EMITOBJECT_H
#define DSC_CODEGEN_CPU_EMITOBJECT_H

#include "ir/Dialect.h"

#include <string>
#include <vector>

namespace dsc {

/// What the code may use: features are asked for, never names of processors.
struct CpuTarget {
  std::string cpu;      // LLVM's name: x86-64-v3 or x86-64-v4
  std::string features; // LLVM's feature string; empty for the names alone
  bool avx512 = false;

  /// From `--cpu`: native, x86-64-v3 or x86-64-v4. Error: another name, or a machine without AVX2
  /// and FMA.
  static llvm::Expected<CpuTarget> from(llvm::StringRef name);

  /// For the compile's report: "x86-64-v3 with AVX-512".
  std::string describe() const;
};

/// Registers what translation to LLVM IR needs.
void registerObjectDialects(mlir::DialectRegistry &registry);

/// Object files (ELF, position independent) of all functions and globals of `module`, which is in
/// the LLVM dialect but for ops without code (globals of the dsc dialect). Other symbols stay
/// undefined.
mlir::FailureOr<std::vector<std::string>> emitObjects(mlir::ModuleOp module,
                                                      const CpuTarget &target);

} // namespace dsc

#endif // DSC_CODEGEN_CPU_EMITOBJECT_H
