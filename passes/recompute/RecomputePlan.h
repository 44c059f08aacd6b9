// Which values of the forward pass are saved for backward and which are computed again there.

#ifndef DSC_PASSES_RECOMPUTE_RECOMPUTEPLAN_H
#define DSC_PASSES_RECOMPUTE_RECOMPUTEPLAN_H

#include "passes/recompute/SavedValues.h"

namespace dsc {

/// By number of the forward value. A value that is neither is not needed by backward.
struct RecomputePlan {
  std::vector<bool> saved;
  std::vector<bool> again; // computed again, views included
};

/// The plan in which `saved` are saved, where needed, and whatever else backward needs is computed
/// again from them; kept values that a copy reads are saved too.
RecomputePlan completePlan(const SavedValues &values, const std::vector<bool> &saved);

/// `--recompute=cheap`: the fewest bytes of which everything else follows by views and by ops that
/// work position by position, within one block (a minimum cut).
RecomputePlan planCheap(const SavedValues &values);

/// `--recompute=full`: what passes between blocks is saved, the rest is computed again; in the last
/// block, whose backward pass follows at once, as in `cheap`.
RecomputePlan planFull(const SavedValues &values);

/// The bytes that an entry needs at once under a plan, estimated before fusion: values that stay
/// inside of kernels take nothing, results take the place of operands that die.
struct PeakEstimate {
  int64_t bytes = 0;
  int position = 0; // of the op at which they are needed
};
PeakEstimate estimatePeak(const SavedValues &values, const RecomputePlan &plan);

/// The bytes needed at one op.
int64_t estimateAt(const SavedValues &values, const RecomputePlan &plan, int position);

struct BoundedPlan {
  RecomputePlan plan;
  PeakEstimate peak;
  bool isWithin = false; // whether the estimated peak is at most the bound
};

/// `--recompute=BYTES`: from `cheap` on, gives up saved values that are alive at the peak but not
/// needed there, those that cost least for the bytes that are too many (a knapsack), until the
/// estimated peak is at most `bound` or nothing is left that would lower it.
BoundedPlan planWithin(const SavedValues &values, int64_t bound);

/// FLOPs of everything that is computed again, and its cost with the bytes that it moves.
double flopsAgain(const SavedValues &values, const RecomputePlan &plan);
double costAgain(const SavedValues &values, const RecomputePlan &plan);

/// Bytes saved for backward.
int64_t savedBytes(const SavedValues &values, const RecomputePlan &plan);

} // namespace dsc

#endif // DSC_PASSES_RECOMPUTE_RECOMPUTEPLAN_H
