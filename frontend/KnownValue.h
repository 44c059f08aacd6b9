// Tensors that are known while importing, by what differs in them. Masks and tables of positions
// are the same for every sample of a batch: they are computed once, for a batch of 1, and repeated
// by a broadcast, so that importing costs the same whatever the batch is.

#ifndef DSC_FRONTEND_KNOWNVALUE_H
#define DSC_FRONTEND_KNOWNVALUE_H

#include "ir/Dialect.h"

namespace dsc {

/// A tensor that repeats a smaller one.
struct KnownValue {
  mlir::RankedTensorType type;
  llvm::SmallVector<int64_t> kept;  // of the same rank: 1 where the tensor only repeats
  mlir::DenseElementsAttr elements; // of shape `kept`; null for what is too large to be written out
  mlir::Value source;               // then: what is repeated

  llvm::ArrayRef<int64_t> shape() const { return type.getShape(); }
};

/// Values computed from constants that stay ops.
using DerivedValues = llvm::DenseSet<mlir::Value>;

/// Reads a constant, one of `derived`, or a broadcast of these; nothing for any other value.
std::optional<KnownValue> knownValue(mlir::Value value, const DerivedValues &derived = {});

/// `elements` with size 1 in each dimension along which they only repeat.
mlir::DenseElementsAttr withoutRepeats(mlir::DenseElementsAttr elements);

/// One op on known operands, cut down to what differs: on operands of these shapes and with these
/// attributes it gives a result that broadcasts to the whole one.
struct NarrowOp {
  llvm::SmallVector<llvm::SmallVector<int64_t>> operands;
  llvm::SmallVector<mlir::DenseElementsAttr> replaced; // operands that are others; may be empty
  mlir::DictionaryAttr attributes;
  llvm::SmallVector<int64_t> shape; // of the result, for ops that do not infer it
};

/// Cuts down the op `name` with one result of `type`.
NarrowOp narrowOp(mlir::OperationName name, mlir::DictionaryAttr attributes,
                  llvm::ArrayRef<KnownValue> operands, mlir::RankedTensorType type);

} // namespace dsc

#endif // DSC_FRONTEND_KNOWNVALUE_H
