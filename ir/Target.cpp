// The choice of a target, and what follows from a target's answers.

#include "ir/Target.h"

#include "ir/CpuTarget.h"
#include "ir/CudaTarget.h"
#include "ir/Options.h"
#include "runtime/abi.h"

using namespace mlir;
using namespace dsc;

int64_t Target::columnScratchBytes(int64_t rows, int64_t columns, int64_t reductions,
                                   int64_t elementBytes) const {
  return dsc_align(columnBlocks(rows, columns) * columns * elementBytes) * reductions;
}

static std::unique_ptr<Target> makeTarget(StringRef kind) {
  return kind == "cuda" ? makeCudaTarget() : makeCpuTarget();
}

std::unique_ptr<Target> dsc::makeTarget(const CompileOptions &options) {
  return ::makeTarget(options.target);
}

std::unique_ptr<Target> dsc::targetOf(Operation *op) {
  // Only the one option is read: verifiers of single kernels ask, too.
  auto module = dyn_cast<ModuleOp>(op);
  module = module ? module : op->getParentOfType<ModuleOp>();
  auto options = module ? module->getAttrOfType<DictionaryAttr>("dsc.options") : DictionaryAttr();
  auto kind = options ? dyn_cast_if_present<StringAttr>(options.get("target")) : StringAttr();
  return ::makeTarget(kind ? kind.getValue() : "cpu");
}
