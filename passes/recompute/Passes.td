//===- The pass of the recompute phase ----------------------------------===//

#ifndef DSC_PASSES_RECOMPUTE_PASSES_TD
#define DSC_PASSES_RECOMPUTE_PASSES_TD

include "mlir/Pass/PassBase.td"

def Recompute : Pass<"dsc-recompute", "::mlir::ModuleOp"> {
  let summary = "Computes forward values again in backward instead of keeping them (--recompute)";
  let description = [{
    Assumes: entries after the precision phase; option `recompute` says none, cheap, full, auto or a bound on the
    arena in bytes, which `dsc.arena_bound` of the module overrides. Guarantees: copies have the bits of what they
    copy; they run behind the latest library call that their reader depends on. `dsc.recompute` of an entry says
    what is saved and computed again, block by block; `dsc.arena_estimate` of the module what arena is expected.

    Before:
    ```mlir
    %h = dsc.gelu %u {kind = #dsc.gelu_kind<erf>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ... the end of forward, %dy = dsc.matmul ... and, later
    %dw = dsc.matmul %h, %dy {transpose_a = true} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    ```
    ==> (%u is saved for the gradient of gelu)
    ```mlir
    %u1 = dsc.after %u, %dy : tensor<4x8xf32>, tensor<4x8xf32>
    %h1 = dsc.gelu %u1 {kind = #dsc.gelu_kind<erf>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %dw = dsc.matmul %h1, %dy {transpose_a = true} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
    ```
  }];
}

#endif // DSC_PASSES_RECOMPUTE_PASSES_TD
