//===- Reductions -------------------------------------------------------===//

#ifndef DSC_IR_OPS_REDUCTION_TD
#define DSC_IR_OPS_REDUCTION_TD

include "ir/Attrs.td"

def Dsc_ReduceOp : Dsc_FoldableOp<"reduce"> {
  let summary = "Combines all elements along axes; the reduced dimensions stay, with size 1.";
  let description = [{
    The order of additions is a function of shape and axes only. Sums of f16 and bf16 accumulate in
    f32. An empty reduction gives the kind's neutral element (an error for max and min).
    1. Axes are increasing dimensions of the operand.

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
    The first one wins, or the last with `select_last`. 1. `axis` is a dimension. 2. `kind` is max or min.

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
    1. `axis` is a dimension. 2. `kind` is sum or prod.

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

#endif // DSC_IR_OPS_REDUCTION_TD
