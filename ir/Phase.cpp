// The table of phases and the checks of what holds after each.

#include "ir/Phase.h"

#include "ir/OpsOrder.h"
#include "ir/Options.h"
#include "ir/Ownership.h"

using namespace mlir;
using namespace dsc;

static constexpr llvm::StringLiteral kPhaseAttr = "dsc.phase";

ArrayRef<PhaseInfo> dsc::allPhases() {
  static const PhaseInfo phases[] = {
      {Phase::Import, "import",
       "core ops with static shapes; every op's location names its ONNX node"},
      {Phase::Raise, "raise",
       "attention, norms, GELU and losses are single ops; matrix products carry their transposes"},
      {Phase::Autodiff, "autodiff",
       "the entries @micro, @last, @eval and @gather; no forward function"},
      {Phase::Precision, "precision",
       "every op computes in the type of its row in the precision table"},
      {Phase::Recompute, "recompute", "values saved for backward are chosen"},
      {Phase::Parallel, "parallel",
       "parameters, state and gradients lie in flat buckets, updated by one op each; every chunk "
       "has "
       "one owner, and nothing reads chunks that its rank does not have"},
      {Phase::Fusion, "fusion",
       "every op is in a kernel, a library call, a view or an access of a global"},
      {Phase::Memory, "memory", "every value has its slot; no two live values overlap"},
      {Phase::Kernels, "kernels", "kernels are functions over memrefs; entries are launches"},
      {Phase::Device, "device", "kernels and entries are in the LLVM dialect"},
  };
  return phases;
}

std::string dsc::phaseFileName(Phase phase) {
  int number = static_cast<int>(phase);
  return (number < 10 ? "0" : "") + std::to_string(number) + "-" +
         allPhases()[number - 1].name.str() + ".mlir";
}

std::optional<Phase> dsc::phaseByName(StringRef name) {
  for (const PhaseInfo &info : allPhases()) {
    if (info.name == name) {
      return info.phase;
    }
  }
  return std::nullopt;
}

std::optional<Phase> dsc::phaseOf(ModuleOp module) {
  auto name = module->getAttrOfType<StringAttr>(kPhaseAttr);
  return name ? phaseByName(name.getValue()) : std::nullopt;
}

void dsc::setPhase(ModuleOp module, Phase phase) {
  module->setAttr(kPhaseAttr, StringAttr::get(module.getContext(),
                                              allPhases()[static_cast<int>(phase) - 1].name));
}

SmallVector<func::FuncOp> dsc::entriesOf(ModuleOp module) {
  SmallVector<func::FuncOp> entries;
  for (StringRef name : {"micro", "last", "eval", "gather"}) {
    if (auto entry = module.lookupSymbol<func::FuncOp>(name)) {
      entries.push_back(entry);
    }
  }
  return entries;
}

//===----------------------------------------------------------------------===//
// Verification
//===----------------------------------------------------------------------===//

/// After import and until outlining, functions hold only ops of the dialect and their return.
static LogicalResult verifyOnlyDsc(ModuleOp module) {
  WalkResult result = module.walk([&](Operation *op) {
    if (isa<ModuleOp, func::FuncOp, func::ReturnOp>(op) ||
        isa_and_nonnull<DscDialect>(op->getDialect())) {
      return WalkResult::advance();
    }
    op->emitError("op '") << op->getName() << "' is not allowed before the kernels phase";
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static LogicalResult verifyEntries(ModuleOp module) {
  FailureOr<CompileOptions> options = CompileOptions::from(module);
  if (failed(options)) {
    return failure();
  }
  for (StringRef name : {"last", "eval"}) {
    bool isPlanned = name == "eval" || options->loss != "none";
    if (isPlanned && !module.lookupSymbol<func::FuncOp>(name)) {
      return module.emitError("entry '") << name << "' is missing after autodiff";
    }
  }
  if (auto forward = module.lookupSymbol<func::FuncOp>("forward")) {
    return forward.emitError("function 'forward' is left after autodiff");
  }
  return success();
}

static LogicalResult verifyFused(ModuleOp module) {
  for (auto function : module.getOps<func::FuncOp>()) {
    for (Operation &op : function.getOps()) {
      if (!isa<KernelOp, MatmulOp, ConvOp, ConvGradInputOp, ConvGradWeightOp, AttentionOp,
               AttentionGradOp, ReshapeOp, SliceOp, PackOp, AfterOp, GetGlobalOp, SetGlobalOp,
               GradientsOp, ReduceScatterOp, AllGatherOp, AllReduceOp, WaitOp, func::ReturnOp>(
              op)) {
        return op.emitError("op is in no kernel and is no library call after fusion");
      }
    }
  }
  return success();
}

LogicalResult dsc::verifyPhase(ModuleOp module, Phase phase) {
  if (phase < Phase::Kernels && failed(verifyOnlyDsc(module))) {
    return failure();
  }
  if (phase >= Phase::Autodiff && phase < Phase::Kernels && failed(verifyEntries(module))) {
    return failure();
  }
  if ((phase == Phase::Fusion || phase == Phase::Memory) && failed(verifyFused(module))) {
    return failure();
  }
  if (phase == Phase::Parallel || phase == Phase::Fusion) {
    for (func::FuncOp entry : entriesOf(module)) {
      if (failed(verifyOwnership(entry))) {
        return failure();
      }
    }
  }
  return success();
}
