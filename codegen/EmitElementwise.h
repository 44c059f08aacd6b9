// The one table of elementwise ops of every target: op -> operations on vectors. Operands and
// results are of the compute type; results are rounded to the op's element type.

#ifndef DSC_CODEGEN_EMITELEMENTWISE_H
#define DSC_CODEGEN_EMITELEMENTWISE_H

#include "codegen/VectorBuilder.h"

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

/// The index that `stored`, of `element`, names in a dimension of `size`: negative ones count from
/// the end, and whatever is still outside is moved to the nearest element.
mlir::Value emitIndex(VectorBuilder &b, mlir::Type element, mlir::Value stored, int64_t size);

/// What `update` leaves of `old` where it is scattered to.
mlir::Value emitScatter(VectorBuilder &b, ScatterKind kind, mlir::Type element, mlir::Value old,
                        mlir::Value update);

/// Whether scalar `value` takes the place of `held` as the largest (smallest) one so far; `last`:
/// also where they are equal. NaN is larger and smaller than everything, and the first one wins.
mlir::Value emitIsBetter(VectorBuilder &b, mlir::Type element, bool isMax, bool last,
                         mlir::Value value, mlir::Value held);

} // namespace dsc

#endif // DSC_CODEGEN_EMITELEMENTWISE_H
