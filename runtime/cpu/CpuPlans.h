// What the CPU device holds.
// The definition of CpuDevice: the team, the kernels chosen for this CPU, and the plans that the
// program made when it was loaded. Only the files of this folder see it.

#ifndef DSC_RUNTIME_CPU_CPUPLANS_H
#define DSC_RUNTIME_CPU_CPUPLANS_H

#include "runtime/cpu/Attention.h"
#include "runtime/cpu/Convolution.h"
#include "runtime/cpu/CpuDevice.h"
#include "runtime/cpu/Matmul.h"
#include "runtime/cpu/ThreadTeam.h"

#include <memory>
#include <vector>

namespace dsc {

struct CpuDevice {
  ThreadTeam team;
  std::vector<std::unique_ptr<MatmulPlan>> matmuls;
  std::vector<std::unique_ptr<AttentionPlan>> attentions;
  std::vector<std::unique_ptr<ConvPlan>> convolutions;
};

/// Puts `plan` at `index` of `plans`; programs number their plans densely from 0.
template <typename Plan>
Status storePlan(std::vector<std::unique_ptr<Plan>> &plans, int32_t index,
                 std::unique_ptr<Plan> plan) {
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
template <typename Plan>
Plan *findPlan(const std::vector<std::unique_ptr<Plan>> &plans, int32_t index) {
  return index >= 0 && static_cast<size_t>(index) < plans.size()
             ? plans[static_cast<size_t>(index)].get()
             : nullptr;
}

/// Why a call does not fit its plan: there is none, or it has another number of operands.
Status planMismatch(bool found, int32_t plan);

} // namespace dsc

#endif // DSC_RUNTIME_CPU_CPUPLANS_H
