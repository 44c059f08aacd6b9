// The builder of CPU kernels: vectors of DSC_LANES elements in memrefs.

#ifndef DSC_CODEGEN_CPU_CPUBUILDER_H
#define DSC_CODEGEN_CPU_CPUBUILDER_H

#include "codegen/VectorBuilder.h"

namespace dsc {

/// The type of an element in the memory of CPU kernels: the storage type, and bf16 as its bits.
/// (LLVM takes bf16 vectors apart and calls a library for each element.)
mlir::Type memoryType(mlir::Type element);

class CpuBuilder final : public VectorBuilder {
public:
  CpuBuilder(mlir::Location loc, mlir::func::FuncOp function);

  /// A buffer of `elements` of `element` on the stack, for the whole call.
  mlir::Value stackBuffer(mlir::Type element, int64_t elements);

  /// A scalar of the memory type of `element`, for filling memory with `value`.
  mlir::Value storedConstant(mlir::Type element, double value);

  mlir::Value libm(llvm::StringRef name, mlir::ValueRange operands) override;

  // `memory` is a flat memref.
  mlir::Value loadVector(mlir::Type element, mlir::Value memory, mlir::Value offset,
                         mlir::Value mask) override;
  mlir::Value loadScalar(mlir::Type element, mlir::Value memory, mlir::Value offset) override;
  void storeVector(mlir::Type element, mlir::Value value, mlir::Value memory, mlir::Value offset,
                   mlir::Value mask) override;
  void storeScalar(mlir::Type element, mlir::Value value, mlir::Value memory,
                   mlir::Value offset) override;

protected:
  // bf16 by integer operations, which every processor has.
  mlir::Value toStorage(mlir::Type element, mlir::Value value) override;
  mlir::Value fromStorage(mlir::Type element, mlir::Value value) override;
  mlir::Type storedType(mlir::Type element) override { return memoryType(element); }
};

} // namespace dsc

#endif // DSC_CODEGEN_CPU_CPUBUILDER_H
