// Plans by number.
// Programs number the plans of each kind of library call densely from 0.

#ifndef DSC_RUNTIME_PLANLIST_H
#define DSC_RUNTIME_PLANLIST_H

#include "runtime/Status.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace dsc {

template <typename Plan> class PlanList {
public:
  /// Keeps `plan` as number `index`: the next one, or one that is there already.
  Status store(int32_t index, std::unique_ptr<Plan> plan) {
    if (index < 0 || static_cast<size_t>(index) > plans.size()) {
      return Status::internal(format("the program made plan %d after %zu plans; plan numbers are "
                                     "dense from 0: compile the model again",
                                     static_cast<int>(index), plans.size()));
    }
    if (static_cast<size_t>(index) == plans.size()) {
      plans.emplace_back();
    }
    plans[static_cast<size_t>(index)] = std::move(plan);
    return {};
  }

  /// The plan at `index`, or null.
  Plan *find(int32_t index) const {
    return index >= 0 && static_cast<size_t>(index) < plans.size()
               ? plans[static_cast<size_t>(index)].get()
               : nullptr;
  }

private:
  std::vector<std::unique_ptr<Plan>> plans;
};

/// Why a call does not fit its plan: there is none, or it has another set of operands.
inline Status planMismatch(bool found, int32_t plan) {
  return Status::internal(format(found
                                     ? "plan %d was made with another set of operands than this "
                                       "call has; compile the model again"
                                     : "the program calls plan %d without having made it; compile "
                                       "the model again",
                                 static_cast<int>(plan)));
}

} // namespace dsc

#endif // DSC_RUNTIME_PLANLIST_H
