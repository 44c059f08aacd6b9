// What the patterns of raise need to know about constant operands: scalars, and tensors whether
// they stand in a `constant` op or in a global of that role.

#ifndef DSC_PASSES_RAISE_CONSTANTS_H
#define DSC_PASSES_RAISE_CONSTANTS_H

#include "ir/Dialect.h"

#include "mlir/IR/PatternMatch.h"

namespace dsc {

/// The elements of `value` where they are known at compile time; null otherwise.
mlir::DenseElementsAttr constantElements(mlir::Value value);

/// The one value that all elements of the constant `value` have.
std::optional<double> splatValue(mlir::Value value);

/// Whether `a` and `b` are the same number as far as constants of `element` can tell: exporters
/// round pi's and roots to the model's type, and some authors to five digits.
bool sameNumber(double a, double b, mlir::Type element);

/// An operand times a constant: x * c, c * x or x / c, with the shape of x.
struct ScaledValue {
  mlir::Value x;
  double scale;
};
std::optional<ScaledValue> matchScaled(mlir::Value value);

/// The other operand of a binary op.
inline mlir::Value otherOperand(mlir::Operation *binary, mlir::Value operand) {
  return binary->getOperand(0) == operand ? binary->getOperand(1) : binary->getOperand(0);
}

/// A dsc op with inferred result types at the place of `builder`.
template <typename OpT, typename... Args>
mlir::Value createValue(mlir::OpBuilder &builder, mlir::Location loc, Args &&...args) {
  return builder.create<OpT>(loc, std::forward<Args>(args)...)->getResult(0);
}

} // namespace dsc

#endif // DSC_PASSES_RAISE_CONSTANTS_H
