// The precision table: in which float type each op of the dialect computes under --fp16 and --bf16.
// Every op has one row; `dsc ops --precision` prints it.

#ifndef DSC_PASSES_PRECISION_PRECISIONTABLE_H
#define DSC_PASSES_PRECISION_PRECISIONTABLE_H

#include "ir/Dialect.h"

namespace dsc {

enum class ComputeClass {
  Half,     // in the half type, whatever the operands are
  Float,    // in f32, whatever the operands are
  Follow,   // half where its operands are (constants do not count), else f32
  Untouched // as it stands: the op has no say in a type, or its types are fixed
};

struct PrecisionRow {
  llvm::StringRef op; // "dsc.add"
  ComputeClass kind;
  llvm::StringRef why; // what is worth knowing about the choice; may be empty
};

/// "half", "float", "follow" or "as is".
llvm::StringRef computeClassName(ComputeClass kind);

/// All rows, in the order of the dialect's families.
llvm::ArrayRef<PrecisionRow> precisionTable();

/// The row of `op`, or null for an op of another dialect.
const PrecisionRow *precisionRowOf(mlir::Operation *op);

/// Whether an operand holds statistics (a mean, a log-sum-exp, the gradient of a loss), which stay
/// f32 where the op itself is half.
bool isStatistic(mlir::OpOperand &operand);

} // namespace dsc

#endif // DSC_PASSES_PRECISION_PRECISIONTABLE_H
