// The table of gradient rules: every op of the dialect has one row, with its rule or with the
// reason why it has none. Rules write the gradients of an op's operands from those of its results;
// they know nothing of the walk.

#ifndef DSC_PASSES_AUTODIFF_GRADTABLE_H
#define DSC_PASSES_AUTODIFF_GRADTABLE_H

#include "passes/autodiff/ValueBuilder.h"

namespace dsc {

/// One op's turn in the backward walk: what is known, what is wanted, and where its rule leaves the
/// answers. A result that the loss does not depend on has no gradient; an operand that leads to no
/// parameter wants none.
class Grad : public ValueBuilder {
public:
  /// `results` holds the gradient of each result or null, `wanted` says for each operand whether it
  /// wants one.
  Grad(mlir::OpBuilder &builder, mlir::Operation *op, llvm::ArrayRef<mlir::Value> results,
       llvm::ArrayRef<bool> wanted);

  /// Gradient of a result, of that result's type; null where the loss does not depend on it.
  mlir::Value of(unsigned result = 0) const { return results[result]; }

  bool wants(unsigned operand) const { return wanted[operand]; }
  bool wants(mlir::OpOperand &operand) const { return wanted[operand.getOperandNumber()]; }

  /// Leaves `gradient` for an operand that wants one. Its shape may be the broadcast shape of the
  /// op, or smaller than the operand's: sumToShape makes it the operand's. Given twice, gradients
  /// add up.
  void give(unsigned operand, mlir::Value gradient);

  /// The gradient that was left for an operand, or null.
  mlir::Value given(unsigned operand) const { return gradients[operand]; }

  /// dy * factor and dy / divisor, where an element of dy that a `select` made 0 stays 0 whatever
  /// the factor is: the derivative of a branch that was not taken may be infinite, and 0 * inf is
  /// not 0.
  mlir::Value chain(mlir::Value dy, mlir::Value factor);
  mlir::Value chainDiv(mlir::Value dy, mlir::Value divisor);

  /// The op cannot be differentiated as it stands; emits an error at it.
  void refuse(const llvm::Twine &why);
  bool refused() const { return isRefused; }

private:
  mlir::Value underSelect(mlir::Value dy, llvm::function_ref<mlir::Value(mlir::Value)> rule);

  mlir::Operation *op;
  llvm::ArrayRef<mlir::Value> results;
  llvm::ArrayRef<bool> wanted;
  llvm::SmallVector<mlir::Value> gradients;
  bool isRefused = false;
};

using GradRule = void (*)(mlir::Operation *op, Grad &grad);

struct GradRow {
  llvm::StringRef op;     // "dsc.add"
  GradRule rule;          // null: no gradient
  llvm::StringRef reason; // why there is no rule
  bool isZero; // without a rule: the derivative is 0, against "must not stand where one is needed"
};

/// All rows, in the order of the dialect's families.
llvm::ArrayRef<GradRow> gradTable();

/// The row of `op`, or null for an op of another dialect.
const GradRow *gradRowOf(mlir::Operation *op);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_GRADTABLE_H
