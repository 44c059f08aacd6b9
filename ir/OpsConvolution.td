//===- Convolution and pooling ------------------------------------------===//

#ifndef DSC_IR_OPS_CONVOLUTION_TD
#define DSC_IR_OPS_CONVOLUTION_TD

include "ir/Attrs.td"

defvar convAttributes = (ins DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations,
    DenseI64ArrayAttr:$pads_begin, DenseI64ArrayAttr:$pads_end, I64Attr:$groups,
    DefaultValuedAttr<Dsc_ConvLayoutAttr, "::dsc::ConvLayout::channels_first">:$layout);

def Dsc_ConvolutionGroup : OpDocGroup {
  let summary = "Convolution and pooling";
  let description = [{
    Images are [N, C, spatial...] (channels_first) or [N, spatial..., C] (channels_last), and weights
    [O, C / groups, spatial...] or [O, spatial..., C / groups]. Arrays have one entry a spatial
    dimension.
  }];
}

let opDocGroup = Dsc_ConvolutionGroup in {

def Dsc_ConvOp : Dsc_PureOp<"conv"> {
  let summary = "Convolution (cross-correlation), with optional bias and activation.";
  let description = [{
    y[n, o, p] = sum over c, r of x[n, c, p * stride + r * dilation - pad] w[o, c, r] (+ bias[o]).
    1. Element types and ranks of x and w are equal, the ranks 3 to 5.
    2. C is w's channels times groups, and groups divides O.
    3. The arrays have rank - 2 entries; strides and dilations are positive, pads not negative.
    4. The window fits the padded image.
    5. bias is [O], of x's element type.

    Example:
    ```mlir
    %y = dsc.conv %x, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 1, 1>,
        pads_end = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x8x8xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$w, Optional<Dsc_FloatTensor>:$bias), convAttributes,
      (ins DefaultValuedAttr<Dsc_EpilogueAttr, "::dsc::Epilogue::none">:$activation));
  let results = (outs Dsc_FloatTensor:$y);
}

def Dsc_ConvGradInputOp : Dsc_Op<"conv_grad_input", [Pure]> {
  let summary = "Gradient of conv with respect to x; also ONNX's ConvTranspose.";
  let description = [{
    1. The rules of conv hold for the result and w.
    2. Their convolution has dy's type.

    Example:
    ```mlir
    %dx = dsc.conv_grad_input %dy, %w {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 1, 1>,
        pads_end = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x4x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x3x8x8xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$dy, Dsc_FloatTensor:$w), convAttributes);
  let results = (outs Dsc_FloatTensor:$dx);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_ConvGradWeightOp : Dsc_Op<"conv_grad_weight", [Pure]> {
  let summary = "Gradient of conv with respect to w.";
  let description = [{
    1. The rules of conv hold for x and the result.
    2. Their convolution has dy's type.

    Example:
    ```mlir
    %dw = dsc.conv_grad_weight %x, %dy {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads_begin = array<i64: 1, 1>,
        pads_end = array<i64: 1, 1>, groups = 1 : i64} : (tensor<2x3x8x8xf32>, tensor<2x4x8x8xf32>) -> tensor<4x3x3x3xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$dy), convAttributes);
  let results = (outs Dsc_FloatTensor:$dw);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

defvar poolAttributes = (ins DenseI64ArrayAttr:$window, DenseI64ArrayAttr:$strides,
    DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads_begin, DenseI64ArrayAttr:$pads_end,
    DefaultValuedAttr<Dsc_ConvLayoutAttr, "::dsc::ConvLayout::channels_first">:$layout);

def Dsc_MaxPoolOp : Dsc_PureOp<"max_pool"> {
  let summary = "Largest element of each window, and its flat index within the image's spatial plane.";
  let description = [{
    The first largest element wins; padding never does; NaN wins over numbers. The frontend turns
    ceil_mode into larger pads_end.
    1. The arrays have rank - 2 entries, at least one.
    2. Every window holds an element of the image.

    Example:
    ```mlir
    %y, %i = dsc.max_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
        pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>} : (tensor<2x3x8x8xf32>) -> (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>)
    ```
  }];
  let arguments = !con((ins Dsc_Tensor:$x), poolAttributes);
  let results = (outs Dsc_Tensor:$y, Dsc_IntegerTensor:$index);
}

def Dsc_MaxPoolGradOp : Dsc_Op<"max_pool_grad", [Pure]> {
  let summary = "Sends each window's gradient to the element that max_pool chose.";
  let description = [{
    Contributions to an element are added in increasing window order.
    1. The rules of max_pool hold for the result.
    2. dy and index have the types that max_pool gives to it.

    Example:
    ```mlir
    %dx = dsc.max_pool_grad %dy, %i {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
        pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>} : (tensor<2x3x4x4xf32>, tensor<2x3x4x4xi32>) -> tensor<2x3x8x8xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$dy, Dsc_IntegerTensor:$index), poolAttributes);
  let results = (outs Dsc_FloatTensor:$dx);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_AvgPoolOp : Dsc_PureOp<"avg_pool"> {
  let summary = "Mean of each window, over its elements of the image or, with count_include_pad, of the padded image.";
  let description = [{
    Elements past pads_end of a ceil_mode window never count (`pads_ceil`, a part of pads_end).
    1. The rules of max_pool hold.
    2. pads_ceil has rank - 2 entries, from 0 to those of pads_end.

    Example:
    ```mlir
    %y = dsc.avg_pool %x {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
        pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, count_include_pad = false} : (tensor<2x3x8x8xf32>) -> tensor<2x3x4x4xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$x), poolAttributes,
      (ins DefaultValuedAttr<BoolAttr, "false">:$count_include_pad, OptionalAttr<DenseI64ArrayAttr>:$pads_ceil));
  let results = (outs Dsc_FloatTensor:$y);
}

def Dsc_AvgPoolGradOp : Dsc_Op<"avg_pool_grad", [Pure]> {
  let summary = "Spreads each window's gradient evenly over the elements that avg_pool counted.";
  let description = [{
    1. The rules of avg_pool hold for the result.
    2. avg_pool of the result has dy's type.

    Example:
    ```mlir
    %dx = dsc.avg_pool_grad %dy {window = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>,
        pads_begin = array<i64: 0, 0>, pads_end = array<i64: 0, 0>, count_include_pad = false} : (tensor<2x3x4x4xf32>) -> tensor<2x3x8x8xf32>
    ```
  }];
  let arguments = !con((ins Dsc_FloatTensor:$dy), poolAttributes,
      (ins DefaultValuedAttr<BoolAttr, "false">:$count_include_pad, OptionalAttr<DenseI64ArrayAttr>:$pads_ceil));
  let results = (outs Dsc_FloatTensor:$dx);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

} // opDocGroup

#endif // DSC_IR_OPS_CONVOLUTION_TD
