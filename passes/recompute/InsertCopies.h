// Writes a recomputation plan into an entry: copies of forward ops in front of the first op of
// backward that needs them.

#ifndef DSC_PASSES_RECOMPUTE_INSERTCOPIES_H
#define DSC_PASSES_RECOMPUTE_INSERTCOPIES_H

#include "passes/recompute/RecomputePlan.h"

namespace dsc {

/// Makes backward read copies of everything that `plan` computes again. Copies keep location and
/// attributes (a random op its number) and read saved values through dsc.after, behind the latest
/// library call that their reader depends on. `values` is of no use afterwards.
void insertCopies(const SavedValues &values, const RecomputePlan &plan);

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_INSERTCOPIES_H
