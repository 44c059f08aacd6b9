// Plans of one model for every ZeRO stage, micro-batch and recomputation setting that is asked
// for: some through the phases to the memory plan, the others estimated from those.

#ifndef DSC_TOOLS_DSC_PLANSWEEP_H
#define DSC_TOOLS_DSC_PLANSWEEP_H

#include "ir/Diagnostic.h"
#include "tools/dsc/MicroBatches.h"
#include "tools/dsc/PlannedBytes.h"

#include <map>

namespace dsc {

struct PlanRequest {
  ImportOptions import; // with the options that all plans share
  int64_t ranks = 1, memory = 0;
  std::vector<int64_t> stages = {0, 1, 2, 3};
  std::vector<std::string> recompute = {"none", "cheap", "full"};
  std::vector<int64_t> microBatches; // empty: powers of two as long as something fits
  bool exact = false;                // plan every row to the end
};

struct PlanKey {
  int64_t zero = 0;
  std::string recompute;
  int64_t microBatch = 1;

  bool operator<(const PlanKey &other) const {
    return std::tie(zero, recompute, microBatch) <
           std::tie(other.zero, other.recompute, other.microBatch);
  }
};

struct PlanRow {
  PlanKey key;
  PlannedBytes bytes;
  bool isExact = false;        // planned to the end: the executable's own numbers
  double secondsPerSample = 0; // nominal, to compare rows with each other alone
};

struct PlanTable {
  std::vector<PlanRow> rows; // by stage, micro-batch, recomputation
  int64_t chosen = -1;       // index; -1: nothing fits
  std::vector<std::string> notices;
};

/// Why the model does not compile.
struct PlanFault {
  std::string text;    // the first error
  std::string printed; // with its place and id, as users read it
  ErrorId id = ErrorId::ImportNode;
};

/// Runs the plans, on as many threads as the machine has, at most four. Rows that are chosen or
/// whose estimate is within a tenth of the memory are planned to the end. Micro-batches that the
/// model does not compile for are left out, with a notice; where those that are tried first do not,
/// the fault goes to `report`.
mlir::FailureOr<PlanTable> sweepPlans(const PlanRequest &request, const MicroBatches &batches,
                                      llvm::function_ref<void(const PlanFault &)> report);

} // namespace dsc

#endif // DSC_TOOLS_DSC_PLANSWEEP_H
