//===- All passes of dsc, in pipeline order -----------------------------===//

#ifndef DSC_PASSES_TD
#define DSC_PASSES_TD

include "mlir/Pass/PassBase.td"

// raise

// autodiff

// precision

// recompute

// parallel

// fusion

// memory

def PlanMemory : Pass<"dsc-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Gives every value its place in memory";
  let description = [{
    Assumes: after fusion. Guarantees: globals carry `slot`, ops `dsc.slots` and `dsc.scratch`, arguments and
    results `dsc.slot`, the module `dsc.memory` with the size of each space. The op order is the schedule.

    Before:
    ```mlir
    %y = dsc.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %y = dsc.matmul %x, %w {dsc.slots = [#dsc.slot<arena, 0, 128, 2, 3>]}
        : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    ```
  }];
}

def VerifyPlan : Pass<"dsc-verify-plan", "::mlir::ModuleOp"> {
  let summary = "Checks a memory plan by following which value owns each byte";
  let description = [{
    Assumes: after dsc-plan-memory, of which it uses nothing but the slots. Walks each entry in order: an op's
    operands must still own all their bytes when it runs; its results then own theirs. An op writes over its own
    operand only where kernels may. Errors name the value that was lost and the op that overwrote it.
  }];
}

#endif // DSC_PASSES_TD
