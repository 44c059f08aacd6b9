//===- Order: when a value may be computed -------------------------------===//
//
// In a file of its own, with ir/OpsOrder.h: phases 5 to 8 use these ops, nothing else sees them.
//
//===----------------------------------------------------------------------===//

#ifndef DSC_IR_OPS_ORDER_TD
#define DSC_IR_OPS_ORDER_TD

include "ir/Attrs.td"

def Dsc_AfterOp : Dsc_Op<"after", [Pure, AllTypesMatch<["x", "y"]>]> {
  let summary = "The value x, but not before `event` is there.";
  let description = [{
    A view that carries an order: what reads y runs after the op that makes `event`. Recomputation reads what was
    saved through it, so that a copy of a forward op is neither merged with the original nor fused or moved to
    where its result would have to be kept. The memory phase, whose op order is the schedule, removes it.

    Example:
    ```mlir
    %x1 = dsc.after %x, %dy : tensor<4x8xf32>, tensor<4x16xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, Dsc_Tensor:$event);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "$x `,` $event attr-dict `:` type($x) `,` type($event)";
}

#endif // DSC_IR_OPS_ORDER_TD
