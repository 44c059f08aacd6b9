//===- Shape ops: constants, views, data movement, indexing -------------===//

#ifndef DSC_IR_OPS_SHAPE_TD
#define DSC_IR_OPS_SHAPE_TD

include "ir/Attrs.td"

def Dsc_ShapeGroup : OpDocGroup {
  let summary = "Shape ops";
  let description = [{
    Constants, views, data movement and indexing. Indices are integers in [-size, size): negative ones
    count from the end; the frontend bounds what it can, kernels clamp the rest.
  }];
}

let opDocGroup = Dsc_ShapeGroup in {

def Dsc_ConstantOp : Dsc_Op<"constant", [Pure, ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "A tensor known at compile time.";
  let description = [{
    Constants over 32 elements become globals of role `constant` at the end of import.

    Example:
    ```mlir
    %c = dsc.constant dense<1.0> : tensor<f32>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Dsc_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Dsc_ReshapeOp : Dsc_Op<"reshape", [Pure]> {
  let summary = "The same elements in row-major order under another shape; never a copy.";
  let description = [{
    1. Element types are equal.
    2. Element counts are equal.

    Example:
    ```mlir
    %y = dsc.reshape %x : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Dsc_TransposeOp : Dsc_FoldableOp<"transpose"> {
  let summary = "Permutes dimensions: result dimension i is operand dimension permutation[i].";
  let description = [{
    1. `permutation` has one entry a dimension.
    2. It names each dimension once.

    Example:
    ```mlir
    %y = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, DenseI64ArrayAttr:$permutation);
  let results = (outs Dsc_Tensor:$y);
}

def Dsc_BroadcastOp : Dsc_Op<"broadcast", [Pure]> {
  let summary = "Repeats an operand to a larger shape by the broadcasting rule.";
  let description = [{
    Elementwise ops broadcast by themselves; this op is for consumers that need the full shape.
    1. Element types are equal.
    2. The operand's shape broadcasts to the result's.

    Example:
    ```mlir
    %y = dsc.broadcast %x : (tensor<1x3xf32>) -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x);
  let results = (outs Dsc_Tensor:$y);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Dsc_SliceOp : Dsc_FoldableOp<"slice"> {
  let summary = "result[i] = x[start + i * step] in each dimension.";
  let description = [{
    A negative step walks backwards from `starts`.
    1. The three arrays have one entry a dimension.
    2. No step is 0.
    3. First and last index of each dimension lie within the operand.

    Example:
    ```mlir
    %y = dsc.slice %x {starts = array<i64: 0, 2>, sizes = array<i64: 4, 2>, steps = array<i64: 1, 1>}
        : (tensor<4x8xf32>) -> tensor<4x2xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, DenseI64ArrayAttr:$starts, DenseI64ArrayAttr:$sizes,
                       DenseI64ArrayAttr:$steps);
  let results = (outs Dsc_Tensor:$y);
}

def Dsc_PadOp : Dsc_FoldableOp<"pad"> {
  let summary = "Adds elements of one value around and between the operand's elements.";
  let description = [{
    Result dimension = low + size + (size - 1) * interior + high; the gradient of `slice`. Negative
    low or high is not allowed: use `slice`.
    1. The three arrays have one entry a dimension.
    2. No entry is negative.
    3. The result's dimensions fit 64 bits.

    Example:
    ```mlir
    %y = dsc.pad %x {low = array<i64: 1>, high = array<i64: 0>, interior = array<i64: 0>, value = 0.0 : f64}
        : (tensor<4xf32>) -> tensor<5xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$x, DenseI64ArrayAttr:$low, DenseI64ArrayAttr:$high,
                       DenseI64ArrayAttr:$interior, F64Attr:$value);
  let results = (outs Dsc_Tensor:$y);
}

def Dsc_ConcatOp : Dsc_FoldableOp<"concat"> {
  let summary = "Joins tensors along one dimension.";
  let description = [{
    1. There is at least one operand.
    2. `axis` is a dimension.
    3. Element types, ranks and all other dimensions are equal.

    Example:
    ```mlir
    %z = dsc.concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<6x3xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_Tensor>:$operands, I64Attr:$axis);
  let results = (outs Dsc_Tensor:$result);
}

//===----------------------------------------------------------------------===//
// Indexing
//===----------------------------------------------------------------------===//

def Dsc_GatherOp : Dsc_FoldableOp<"gather"> {
  let summary = "Rows of a table by index: result[.., i.., ..] = data[.., indices[i..], ..] along axis.";
  let description = [{
    The result's shape is data's with dimension `axis` replaced by the shape of indices.
    1. `axis` is a dimension of data.

    Example:
    ```mlir
    %y = dsc.gather %table, %ids {axis = 0 : i64} : (tensor<65x8xf32>, tensor<2x4xi64>) -> tensor<2x4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$data, Dsc_IntegerTensor:$indices, I64Attr:$axis);
  let results = (outs Dsc_Tensor:$result);
}

def Dsc_GatherGradOp : Dsc_Op<"gather_grad", [Pure]> {
  let summary = "Gradient of gather with respect to its table: sums rows with equal index in position order.";
  let description = [{
    Deterministic: contributions to a row are added in increasing position of the index.
    1. `axis` is a dimension of the result.
    2. dy has the type of a gather from a table of the result's type.

    Example:
    ```mlir
    %dw = dsc.gather_grad %dy, %ids {axis = 0 : i64} : (tensor<2x4x8xf32>, tensor<2x4xi64>) -> tensor<65x8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$dy, Dsc_IntegerTensor:$indices, I64Attr:$axis);
  let results = (outs Dsc_FloatTensor:$ddata);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_GatherElementsOp : Dsc_FoldableOp<"gather_elements"> {
  let summary = "result[i, j, ..] = data[indices[i, j, ..], j, ..] for axis 0 (ONNX GatherElements).";
  let description = [{
    1. Ranks are equal and `axis` is a dimension.
    2. Other dimensions of indices are at most data's.

    Example:
    ```mlir
    %y = dsc.gather_elements %x, %i {axis = 1 : i64} : (tensor<2x8xf32>, tensor<2x1xi64>) -> tensor<2x1xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$data, Dsc_IntegerTensor:$indices, I64Attr:$axis);
  let results = (outs Dsc_Tensor:$result);
}

def Dsc_ScatterElementsOp : Dsc_FoldableOp<"scatter_elements"> {
  let summary = "A copy of data with updates written or combined at indices along axis (ONNX ScatterElements).";
  let description = [{
    Updates are applied in row-major order.
    1. indices and updates have one shape.
    2. Ranks are equal and `axis` is a dimension.
    3. data and updates have one element type.
    4. Other dimensions of indices are at most data's.

    Example:
    ```mlir
    %y = dsc.scatter_elements %x, %i, %u {axis = 1 : i64, kind = #dsc.scatter_kind<add>}
        : (tensor<2x8xf32>, tensor<2x1xi64>, tensor<2x1xf32>) -> tensor<2x8xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$data, Dsc_IntegerTensor:$indices, Dsc_Tensor:$updates,
                       I64Attr:$axis, Dsc_ScatterKindAttr:$kind);
  let results = (outs Dsc_Tensor:$result);
}

def Dsc_GatherNdOp : Dsc_FoldableOp<"gather_nd"> {
  let summary = "Slices of data by index tuples (ONNX GatherND).";
  let description = [{
    1. The last dimension of indices is at most rank(data) - batch_dims.
    2. The leading batch_dims dimensions of both are equal.

    Example:
    ```mlir
    %y = dsc.gather_nd %x, %i {batch_dims = 0 : i64} : (tensor<2x8xf32>, tensor<5x2xi64>) -> tensor<5xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$data, Dsc_IntegerTensor:$indices, I64Attr:$batch_dims);
  let results = (outs Dsc_Tensor:$result);
}

def Dsc_ScatterNdOp : Dsc_FoldableOp<"scatter_nd"> {
  let summary = "A copy of data with slices written or combined at index tuples (ONNX ScatterND).";
  let description = [{
    Updates are applied in row-major order of the tuples.
    1. The last dimension of indices is at most the rank of data.
    2. updates has shape indices[:-1] + data[indices[-1]:].
    3. data and updates have one element type.

    Example:
    ```mlir
    %y = dsc.scatter_nd %x, %i, %u {kind = #dsc.scatter_kind<add>}
        : (tensor<8xf32>, tensor<5x1xi64>, tensor<5xf32>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Dsc_Tensor:$data, Dsc_IntegerTensor:$indices, Dsc_Tensor:$updates,
                       Dsc_ScatterKindAttr:$kind);
  let results = (outs Dsc_Tensor:$result);
}

} // opDocGroup

#endif // DSC_IR_OPS_SHAPE_TD
