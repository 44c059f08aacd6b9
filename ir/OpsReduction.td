//===- Reductions -------------------------------------------------------===//

#ifndef DSC_IR_OPS_REDUCTION_TD
#define DSC_IR_OPS_REDUCTION_TD

include "ir/Attrs.td"

def Dsc_ReductionGroup : OpDocGroup {
  let summary = "Reductions";
  let description = [{
    The reduced dimension stays, with size 1, so that results broadcast back to their operands.
  }];
}

let opDocGroup = Dsc_ReductionGroup in {

def Dsc_ReduceOp : Dsc_FoldableOp<"reduce"> {
  let summary = "Combines all elements along axes; the reduced dimensions stay, with size 1.";
  let description = [{
    The order of additions is a function of shape and axes only. Sums of f16 and bf16 accumulate in
    f32. An empty reduction gives the kind's neutral element.
    1. Axes are increasing dimensions of the operand.
    2. max and min, which have no neutral element, reduce no dimension of size 0.

    Example:
    ```mlir
    %y = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, Dsc_ReduceKindAttr:$kind, DenseI64ArrayAttr:$axes);
  let results = (outs Dsc_Tensor:$y);
}

def Dsc_ArgReduceOp : Dsc_FoldableOp<"arg_reduce"> {
  let summary = "Index (i64) of the largest (kind max) or smallest (min) element along axis, which stays with size 1.";
  let description = [{
    The first one wins, or the last with `select_last`.
    1. `axis` is a dimension.
    2. `kind` is max or min.
    3. The dimension is not empty.

    Example:
    ```mlir
    %i = dsc.arg_reduce %x {kind = #dsc.reduce_kind<max>, axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x1xi64>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, Dsc_ReduceKindAttr:$kind, I64Attr:$axis,
                       DefaultValuedAttr<BoolAttr, "false">:$select_last);
  let results = (outs Dsc_IntegerTensor:$y);
}

def Dsc_CumulativeOp : Dsc_FoldableOp<"cumulative"> {
  let summary = "Running sum or product along axis (ONNX CumSum, CumProd).";
  let description = [{
    `exclusive` leaves each element out of its own result; `reverse` runs from the end.
    1. `axis` is a dimension.
    2. `kind` is sum or prod.

    Example:
    ```mlir
    %y = dsc.cumulative %x {kind = #dsc.reduce_kind<sum>, axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, Dsc_ReduceKindAttr:$kind, I64Attr:$axis,
                       DefaultValuedAttr<BoolAttr, "false">:$exclusive,
                       DefaultValuedAttr<BoolAttr, "false">:$reverse);
  let results = (outs Dsc_Tensor:$y);
}

} // opDocGroup

#endif // DSC_IR_OPS_REDUCTION_TD
