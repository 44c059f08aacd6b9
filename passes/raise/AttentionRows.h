// Where attention may read q, k and v: values on the way to an operand whose rows hold its heads
// side by side, whatever reshapes, transposes, slices, repetitions and factors stand between.

#ifndef DSC_PASSES_RAISE_ATTENTIONROWS_H
#define DSC_PASSES_RAISE_ATTENTIONROWS_H

#include "ir/Dialect.h"

namespace dsc {

/// A value whose rows (batch, position) hold an operand's heads side by side.
struct RowSource {
  mlir::Value value;
  int64_t row;    // elements of a row
  int64_t offset; // where in the row the first head starts
  int64_t heads;  // distinct heads; each serves operand heads / heads of them
  double scale;   // the operand is value * scale
  bool copies;    // whether the ops between the value and the operand move data
};

/// All values that `operand` ([batch, length, heads * width]) can be read from, nearest first; the
/// operand itself is one. Constant factors on the way count with `takesScale` only.
llvm::SmallVector<RowSource> findRowSources(mlir::Value operand, int64_t heads, bool takesScale);

} // namespace dsc

#endif // DSC_PASSES_RAISE_ATTENTIONROWS_H
