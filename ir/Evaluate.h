// The meaning of foldable ops on constants: shape arithmetic, masks and position tables that the importer folds away,
// and the oracle for kernels in tests. Plain loops; floats are computed in the element type's precision or better.

#ifndef DSC_IR_EVALUATE_H
#define DSC_IR_EVALUATE_H

#include "ir/Dialect.h"

namespace dsc {

/// Results above this many elements stay ops instead of constants.
constexpr int64_t kMaxFoldedElements = 1 << 24;

/// Evaluates `op` on constant operands; null where the op or an element type is not foldable.
mlir::DenseElementsAttr evaluate(mlir::Operation *op, llvm::ArrayRef<mlir::DenseElementsAttr> operands);

} // namespace dsc

#endif // DSC_IR_EVALUATE_H
