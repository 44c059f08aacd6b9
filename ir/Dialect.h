// The dsc dialect: registration, and the rules that several op families share (broadcasting,
// folding).

#ifndef DSC_IR_DIALECT_H
#define DSC_IR_DIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "ir/Dialect.h.inc"

#include "ir/Enums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "ir/Attrs.h.inc"

namespace dsc {

/// Marks ops whose result elements depend on the operands' elements at the same (broadcast)
/// position only.
template <typename ConcreteType>
class Elementwise : public mlir::OpTrait::TraitBase<ConcreteType, Elementwise> {};

/// Marks the optimizer ops: elementwise over a parameter (operand 0), its gradient or what was made
/// of it (operand 1) and its state, with further numbers that are few.
template <typename ConcreteType>
class Update : public mlir::OpTrait::TraitBase<ConcreteType, Update> {};

/// The NumPy broadcast of `a` and `b`, or failure where two dimensions differ and neither is 1.
mlir::FailureOr<llvm::SmallVector<int64_t>> broadcastShapes(llvm::ArrayRef<int64_t> a,
                                                            llvm::ArrayRef<int64_t> b);

/// Whether a value of shape `from` broadcasts to `to`.
bool broadcastsTo(llvm::ArrayRef<int64_t> from, llvm::ArrayRef<int64_t> to);

/// Result type of a binary elementwise op `name`: the broadcast of all operands, of `element` or
/// the operands' common element type. Errors: element types differ; shapes do not broadcast.
mlir::LogicalResult inferBroadcast(llvm::StringRef name, std::optional<mlir::Location> loc,
                                   mlir::ValueRange operands, mlir::Type element,
                                   llvm::SmallVectorImpl<mlir::Type> &types);

/// Result type of select(condition, x, y).
mlir::LogicalResult inferSelect(std::optional<mlir::Location> loc, mlir::ValueRange operands,
                                llvm::SmallVectorImpl<mlir::Type> &types);

/// Folds `op` where every operand is a constant and the result is small enough to be stored
/// (ir/Evaluate.h). Null otherwise.
mlir::OpFoldResult foldByEvaluation(mlir::Operation *op, llvm::ArrayRef<mlir::Attribute> operands);

/// The type of statistics (means, log-sum-exps, losses) of a tensor of `element`: f64 for f64, f32
/// for all others.
mlir::Type statisticsType(mlir::Type element);

/// Number of bytes of one element in memory; booleans take one.
int64_t elementBytes(mlir::Type element);

/// Bytes of a tensor in memory, unpadded.
int64_t tensorBytes(mlir::RankedTensorType type);

} // namespace dsc

#define GET_OP_CLASSES
#include "ir/Ops.h.inc"

#endif // DSC_IR_DIALECT_H
