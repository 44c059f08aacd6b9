// What hides keys from queries, as exporters write it: numbers added to the scores, or a choice
// between score and a very negative number. Constant masks that are causal, or hide nothing, need
// no operand.

#ifndef DSC_PASSES_RAISE_ATTENTIONMASK_H
#define DSC_PASSES_RAISE_ATTENTIONMASK_H

#include "ir/Dialect.h"

namespace dsc {

/// Scores at or below this are hidden: e to that power is 0 in every type, also after the largest
/// score is taken off.
constexpr double kHiddenScore = -1e4;

enum class MaskKind {
  Nothing, // hides nothing, adds nothing
  Causal,  // query i sees keys j <= i, and nothing is added there
  Other,   // a constant that is neither
  Runtime  // not known at compile time
};

/// The kind of a mask that is added to the scores (floats), or that says which keys are visible or,
/// `inverted`, which are hidden (booleans). `value`'s last two dimensions are queries and keys, of
/// these sizes after broadcasting.
MaskKind classifyMask(mlir::Value value, int64_t queries, int64_t keys, bool inverted = false);

/// Whether `value` is computed from a trained parameter, so that its gradient is needed.
bool needsGradient(mlir::Value value);

} // namespace dsc

#endif // DSC_PASSES_RAISE_ATTENTIONMASK_H
