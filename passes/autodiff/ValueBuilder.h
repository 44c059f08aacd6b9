// Arithmetic on tensors for code that writes IR: each method appends one op with its inferred type,
// or nothing where the result is already there. Gradient rules, losses and the optimizer are
// written in it.

#ifndef DSC_PASSES_AUTODIFF_VALUEBUILDER_H
#define DSC_PASSES_AUTODIFF_VALUEBUILDER_H

#include "ir/Dialect.h"

#include "mlir/IR/Builders.h"

namespace dsc {

/// The type of a tensor value.
inline mlir::RankedTensorType tensorType(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}

/// Whether `value` is a constant with `number` in every element.
bool isSplat(mlir::Value value, double number);

class ValueBuilder {
public:
  ValueBuilder(mlir::OpBuilder &builder, mlir::Location loc) : builder(builder), loc(loc) {}

  template <typename OpT, typename... Args> OpT create(Args &&...args) {
    return builder.create<OpT>(loc, std::forward<Args>(args)...);
  }

  /// A constant with `number` in every element; the second form is a scalar of `like`'s element
  /// type.
  mlir::Value splat(mlir::RankedTensorType type, double number);
  mlir::Value scalar(double number, mlir::Value like);

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  mlir::Value div(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, double y) { return mul(x, scalar(y, x)); }
  mlir::Value add(mlir::Value x, double y) { return add(x, scalar(y, x)); }
  mlir::Value div(mlir::Value x, double y) { return div(x, scalar(y, x)); }
  mlir::Value neg(mlir::Value x) { return create<NegOp>(x); }
  mlir::Value compare(ComparePredicate predicate, mlir::Value x, mlir::Value y);
  mlir::Value compare(ComparePredicate predicate, mlir::Value x, double y) {
    return compare(predicate, x, scalar(y, x));
  }
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y) {
    return create<SelectOp>(condition, x, y);
  }
  mlir::Value cast(mlir::Value x, mlir::Type element);
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> permutation);
  mlir::Value broadcast(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  mlir::Value reduce(ReduceKind kind, mlir::Value x, llvm::ArrayRef<int64_t> axes);

  /// Sum of all elements, of rank 0.
  mlir::Value sum(mlir::Value x);

  /// Undoes broadcasting: sums `x` over the dimensions in which a value of `type` repeats to give
  /// x's shape, and repeats it where x is the smaller one; the result has `type`. The one place
  /// where gradients of broadcast operands are made.
  mlir::Value sumToShape(mlir::Value x, mlir::RankedTensorType type);

  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_VALUEBUILDER_H
