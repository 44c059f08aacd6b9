// What values an integer input may have, seen from the tables that it indexes: the manifest says
// it, and the runner refuses data outside of it before a step reads past a table's end.

#ifndef DSC_PASSES_AUTODIFF_INDEXBOUND_H
#define DSC_PASSES_AUTODIFF_INDEXBOUND_H

#include "ir/Dialect.h"

namespace dsc {

/// Rows of the smallest table that `index` selects from, itself or reshaped, cast, sliced or chosen
/// by a select; 0 if there is none. An index that is computed with is not followed: its bound would
/// not be the input's.
int64_t indexBound(mlir::Value index);

} // namespace dsc

#endif // DSC_PASSES_AUTODIFF_INDEXBOUND_H
