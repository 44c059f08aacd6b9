// The order of passes within each phase, and why.

#include "passes/Pipeline.h"

#include "passes/Passes.h"
#include "passes/recompute/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace dsc;

static void buildRaise(OpPassManager &manager) {
  manager.addPass(createCSEPass()); // patterns compare values by identity
  manager.addPass(createCanonicalizeViews());
  manager.addPass(createCanonicalizeContractions());
  manager.addPass(createRaiseNormalization());
  manager.addPass(createRaiseActivation());
  manager.addPass(createRaiseCrossEntropy());
  manager.addPass(createRaiseAttention());
  manager.addPass(createPackAttention());
  // What the new ops' operands left behind, and rows that were flattened from what attention
  // returns.
  manager.addPass(createCanonicalizeViews());
  manager.addPass(createCanonicalizeContractions());
  manager.addPass(createCSEPass());
}

static void buildAutodiff(OpPassManager &manager) {
  manager.addPass(createBuildEntries());
  // Rules write what is never asked for and read the same values twice; both go here.
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

static void buildFusion(OpPassManager &manager) {
  manager.addNestedPass<func::FuncOp>(createExpandNormalization());
  manager.addNestedPass<func::FuncOp>(createExpandLosses());
  // Behind the expansions, whose statistics of channels it splits.
  manager.addNestedPass<func::FuncOp>(createSplitReductions());
  // No CSE: a value that forward and backward both compute would have to be kept from the one to
  // the other. (Copies of the recompute phase stand behind dsc.after and would stay.)
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addPass(createOutlineConstants());
  // Before kernels are formed, or a bias would be part of one.
  manager.addNestedPass<func::FuncOp>(createFuseEpilogues());
  manager.addNestedPass<func::FuncOp>(createFormKernels());
}

static void buildMemory(OpPassManager &manager) {
  manager.addPass(createPlanMemory());
  manager.addPass(createVerifyPlan());
}

void dsc::buildPhasePipeline(OpPassManager &manager, Phase phase) {
  switch (phase) {
  case Phase::Raise:
    return buildRaise(manager);
  case Phase::Autodiff:
    return buildAutodiff(manager);
  case Phase::Recompute:
    manager.addPass(createRecompute());
    return;
  case Phase::Fusion:
    return buildFusion(manager);
  case Phase::Memory:
    return buildMemory(manager);
  case Phase::Precision: // one precision so far
  case Phase::Parallel:  // one rank so far
  case Phase::Import:    // frontend/
  case Phase::Kernels:   // codegen/
  case Phase::Device:    // codegen/
    return;
  }
}
