// The order of passes within each phase, and why.

#include "passes/Pipeline.h"

#include "passes/Passes.h"
#include "passes/recompute/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace dsc;

namespace {
/// Adds passes to a manager, bounded where the user asked for it.
class PhaseBuilder {
public:
  PhaseBuilder(OpPassManager &manager, const PassLimits &limits)
      : manager(manager), limits(limits) {}

  void add(std::unique_ptr<Pass> pass) { manager.addPass(bounded(std::move(pass))); }
  void addToFunctions(std::unique_ptr<Pass> pass) {
    manager.addNestedPass<func::FuncOp>(bounded(std::move(pass)));
  }

private:
  std::unique_ptr<Pass> bounded(std::unique_ptr<Pass> pass) {
    StringRef name = pass->getArgument();
    auto limit = name.consume_front("dsc-") ? limits.find(name) : limits.end();
    if (limit != limits.end()) {
      // Only passes of limitedPasses() get here, and those have the option.
      (void)pass->initializeOptions("limit=" + std::to_string(limit->second),
                                    [](const Twine &) { return failure(); });
    }
    return pass;
  }

  OpPassManager &manager;
  const PassLimits &limits;
};
} // namespace

static void buildRaise(PhaseBuilder phase) {
  phase.add(createCSEPass()); // patterns compare values by identity
  phase.add(createCanonicalizeViews());
  phase.add(createCanonicalizeContractions());
  phase.add(createRaiseNormalization());
  phase.add(createRaiseActivation());
  phase.add(createRaiseCrossEntropy());
  phase.add(createRaiseAttention());
  phase.add(createMergeProducts()); // q, k and v side by side, for attention to read
  phase.add(createPackAttention());
  // What the new ops' operands left behind, and rows that were flattened from what attention
  // returns.
  phase.add(createCanonicalizeViews());
  phase.add(createCanonicalizeContractions());
  // Layout comes last: recognition knows the layouts that exporters write.
  phase.add(createPadProducts());
  phase.add(createChooseLayout());
  phase.add(createCSEPass());
}

static void buildAutodiff(PhaseBuilder phase) {
  phase.add(createBuildEntries());
  // Rules write what is never asked for and read the same values twice; both go here.
  phase.add(createCanonicalizerPass());
  phase.add(createCSEPass());
}

static void buildPrecision(PhaseBuilder phase) {
  phase.add(createInsertCasts());
  phase.add(createElideCasts());
  phase.add(createCopyWeights()); // behind it: casts have moved to the weights
}

static void buildParallel(PhaseBuilder phase) {
  phase.add(createFormBuckets());
  // Naively, then fewer: what is inserted depends on the stage alone.
  phase.add(createInsertCollectives());
  phase.add(createMergeCollectives());
}

static void buildFusion(PhaseBuilder phase) {
  phase.addToFunctions(createExpandAttention());
  phase.addToFunctions(createExpandNormalization());
  phase.addToFunctions(createExpandLosses());
  // Behind the expansions, whose statistics of channels it splits.
  phase.addToFunctions(createSplitReductions());
  // No CSE: a value that forward and backward both compute would have to be kept from the one to
  // the other. (Copies of the recompute phase stand behind dsc.after and would stay.)
  phase.addToFunctions(createCanonicalizerPass());
  phase.add(createOutlineConstants());
  // Before kernels are formed, or a bias would be part of one.
  phase.addToFunctions(createFuseEpilogues());
  phase.addToFunctions(createFormKernels());
}

static void buildMemory(PhaseBuilder phase) {
  phase.add(createScheduleCollectives()); // before: lifetimes reach over what is under way
  phase.add(createPlanMemory());
  phase.add(createVerifyPlan());
}

void dsc::buildPhasePipeline(OpPassManager &manager, Phase phase, const PassLimits &limits) {
  PhaseBuilder builder(manager, limits);
  switch (phase) {
  case Phase::Raise:
    return buildRaise(builder);
  case Phase::Autodiff:
    return buildAutodiff(builder);
  case Phase::Precision:
    return buildPrecision(builder);
  case Phase::Parallel:
    return buildParallel(builder);
  case Phase::Recompute:
    return builder.add(createRecompute());
  case Phase::Fusion:
    return buildFusion(builder);
  case Phase::Memory:
    return buildMemory(builder);
  case Phase::Import:  // frontend/
  case Phase::Kernels: // codegen/
  case Phase::Device:  // codegen/
    return;
  }
}

ArrayRef<StringRef> dsc::limitedPasses() {
  static const StringRef names[] = {"canonicalize-views",  "canonicalize-contractions",
                                    "raise-normalization", "raise-activation",
                                    "raise-cross-entropy", "raise-attention",
                                    "merge-products",      "pack-attention",
                                    "pad-products",        "choose-layout",
                                    "fuse-epilogues"};
  return names;
}
