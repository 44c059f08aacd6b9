// The one table of elementwise ops for CPU kernels: op -> operations on vectors of DSC_LANES
// elements. Operands and results are of the compute type; results are rounded to the op's element
// type.

#ifndef DSC_CODEGEN_CPU_EMITELEMENTWISE_H
#define DSC_CODEGEN_CPU_EMITELEMENTWISE_H

#include "codegen/cpu/VectorBuilder.h"

namespace dsc {

/// Whether `op` computes each result element from the operands' elements at the same (broadcast)
/// position: the elementwise ops, `broadcast` and the optimizer's updates.
bool isElementwise(mlir::Operation *op);

/// Whether `op` costs far more than reading its result again would.
bool isExpensive(mlir::Operation *op);

/// Values that `op` derives from its scalar operands alone, computed once for all elements; empty
/// for most.
llvm::SmallVector<mlir::Value> emitInvariants(VectorBuilder &b, mlir::Operation *op,
                                              mlir::ValueRange operands);

/// The results of `op` on vectors. Failure, with an error at the op, where the table has no row for
/// it.
mlir::FailureOr<llvm::SmallVector<mlir::Value>> emitElementwise(VectorBuilder &b,
                                                                mlir::Operation *op,
                                                                mlir::ValueRange operands,
                                                                mlir::ValueRange invariants);

/// a combined with b by `kind`; `element` says whether integers are unsigned.
mlir::Value emitCombine(VectorBuilder &b, ReduceKind kind, mlir::Type element, mlir::Value x,
                        mlir::Value y);

/// The element that `emitCombine` leaves others unchanged with, of the compute type or a vector of
/// it.
mlir::Value neutralElement(VectorBuilder &b, ReduceKind kind, mlir::Type element, mlir::Type type);

/// `value` (of `from`'s compute type) converted to `to`'s.
mlir::Value emitCast(VectorBuilder &b, mlir::Type from, mlir::Type to, mlir::Value value);

} // namespace dsc

#endif // DSC_CODEGEN_CPU_EMITELEMENTWISE_H
