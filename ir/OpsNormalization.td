//===- Normalization, softmax and losses --------------------------------===//

#ifndef DSC_IR_OPS_NORMALIZATION_TD
#define DSC_IR_OPS_NORMALIZATION_TD

include "ir/Attrs.td"

class Dsc_SoftmaxLikeOp<string mnemonic, string formula> : Dsc_FoldableOp<mnemonic> {
  let summary = formula;
  let description = [{
    }] # formula # [{.
    1. `axis` is a dimension of the operand.

    Example:
    ```mlir
    %y = dsc.}] # mnemonic # [{ %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, I64Attr:$axis);
  let results = (outs Dsc_FloatTensor:$y);
}
def Dsc_NormalizationGroup : OpDocGroup {
  let summary = "Normalization, softmax and losses";
  let description = [{
    The fusion phase expands these into elementwise ops and reductions inside kernels; before that,
    passes see them whole. Statistics and losses are f32 (f64 for f64).
  }];
}

let opDocGroup = Dsc_NormalizationGroup in {

def Dsc_SoftmaxOp : Dsc_SoftmaxLikeOp<"softmax", "e^(x - max) / sum e^(x - max) along one axis">;
def Dsc_LogSoftmaxOp : Dsc_SoftmaxLikeOp<"log_softmax", "x - max - log sum e^(x - max) along one axis">;

def Dsc_LayerNormOp : Dsc_PureOp<"layer_norm", [AttrSizedOperandSegments]> {
  let summary = "(x - mean) * rstd * gamma + beta over the dimensions from axis on.";
  let description = [{
    mean and rstd = 1 / sqrt(var + epsilon) have x's shape with the normalized dimensions 1; var is
    the mean of squared distances from the mean (two passes over the row).
    1. `axis` is a dimension.
    2. gamma and beta broadcast to x within the normalized dimensions.

    Example:
    ```mlir
    %y, %mean, %rstd = dsc.layer_norm %x gamma %g beta %b {axis = 1 : i64, epsilon = 1.0e-5 : f64}
        : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Optional<Dsc_FloatTensor>:$gamma, Optional<Dsc_FloatTensor>:$beta,
                       I64Attr:$axis, F64Attr:$epsilon);
  let results = (outs Dsc_FloatTensor:$y, Dsc_FloatTensor:$mean, Dsc_FloatTensor:$rstd);
  let assemblyFormat = "$x (`gamma` $gamma^)? (`beta` $beta^)? attr-dict `:` functional-type(operands, results)";
}

def Dsc_LayerNormGradOp : Dsc_PureOp<"layer_norm_grad"> {
  let summary = "Gradient of layer_norm with respect to x; g = dy * gamma.";
  let description = [{
    dx = rstd (g - mean(g) - xhat mean(g xhat)), xhat = (x - mean) rstd. The gradients of gamma and
    beta are sums of dy xhat and dy, written as ops of their own by autodiff.
    1. `axis` is a dimension.
    2. mean and rstd have the types that layer_norm gives them.
    3. g has x's shape.

    Example:
    ```mlir
    %dx = dsc.layer_norm_grad %x, %mean, %rstd, %g {axis = 1 : i64}
        : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$mean, Dsc_FloatTensor:$rstd, Dsc_FloatTensor:$g, I64Attr:$axis);
  let results = (outs Dsc_FloatTensor:$dx);
}

def Dsc_RmsNormOp : Dsc_PureOp<"rms_norm"> {
  let summary = "x * rstd * gamma over the dimensions from axis on, rstd = 1 / sqrt(mean(x^2) + epsilon).";
  let description = [{
    1. `axis` is a dimension.
    2. gamma broadcasts to x within the normalized dimensions.

    Example:
    ```mlir
    %y, %rstd = dsc.rms_norm %x, %g {axis = 1 : i64, epsilon = 1.0e-6 : f64}
        : (tensor<4x8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Optional<Dsc_FloatTensor>:$gamma, I64Attr:$axis, F64Attr:$epsilon);
  let results = (outs Dsc_FloatTensor:$y, Dsc_FloatTensor:$rstd);
}

def Dsc_RmsNormGradOp : Dsc_PureOp<"rms_norm_grad"> {
  let summary = "Gradient of rms_norm with respect to x; g = dy * gamma: dx = rstd (g - x rstd^2 mean(g x)).";
  let description = [{
    1. `axis` is a dimension.
    2. rstd has the type that rms_norm gives it.
    3. g has x's shape.

    Example:
    ```mlir
    %dx = dsc.rms_norm_grad %x, %rstd, %g {axis = 1 : i64}
        : (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$rstd, Dsc_FloatTensor:$g, I64Attr:$axis);
  let results = (outs Dsc_FloatTensor:$dx);
}

def Dsc_BatchNormOp : Dsc_PureOp<"batch_norm"> {
  let summary = "Normalization of each channel by statistics of the batch.";
  let description = [{
    Over all dimensions but channels (dimension 1, or the last for channels_last): mean, var
    (population), y = (x - mean) rstd gamma + beta. Results: y, mean [C], var [C], rstd [C].
    Running statistics are updated by ordinary ops from mean and var.
    1. gamma and beta are [C].
    2. x has rank at least 2.

    Example:
    ```mlir
    %y, %mean, %var, %rstd = dsc.batch_norm %x, %g, %b {epsilon = 1.0e-5 : f64}
        : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$gamma, Dsc_FloatTensor:$beta, F64Attr:$epsilon,
                       DefaultValuedAttr<Dsc_ConvLayoutAttr, "::dsc::ConvLayout::channels_first">:$layout);
  let results = (outs Dsc_FloatTensor:$y, Dsc_FloatTensor:$mean, Dsc_FloatTensor:$var, Dsc_FloatTensor:$rstd);
}

def Dsc_BatchNormGradOp : Dsc_PureOp<"batch_norm_grad"> {
  let summary = "Gradients of batch_norm with respect to x, gamma and beta.";
  let description = [{
    dbeta = sum(dy), dgamma = sum(dy xhat), dx = gamma rstd (dy - dbeta / M - xhat dgamma / M), M the
    number of elements a channel.
    1. gamma, mean and rstd are [C].
    2. x has rank at least 2.
    3. dy has x's shape.

    Example:
    ```mlir
    %dx, %dg, %db = dsc.batch_norm_grad %x, %g, %mean, %rstd, %dy
        : (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<4x3x8x8xf32>) -> (tensor<4x3x8x8xf32>, tensor<3xf32>, tensor<3xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x, Dsc_FloatTensor:$gamma, Dsc_FloatTensor:$mean, Dsc_FloatTensor:$rstd, Dsc_FloatTensor:$dy,
                       DefaultValuedAttr<Dsc_ConvLayoutAttr, "::dsc::ConvLayout::channels_first">:$layout);
  let results = (outs Dsc_FloatTensor:$dx, Dsc_FloatTensor:$dgamma, Dsc_FloatTensor:$dbeta);
}

def Dsc_CrossEntropyOp : Dsc_PureOp<"cross_entropy"> {
  let summary = "Softmax cross-entropy of each position: lse(logits) - logits[label], 0 where ignored.";
  let description = [{
    Classes are the last dimension; with `classes` its first so many elements, and what is behind
    pads the rows and counts for nothing. With label smoothing s: (1 - s) (lse - logits[label]) +
    s (lse - mean(logits)) (torch.nn.CrossEntropyLoss). Results: loss and lse, of labels' shape.
    1. labels has logits' shape without the last dimension.
    2. s is at least 0 and at most 1.
    3. classes is positive and at most the last dimension.

    Example:
    ```mlir
    %loss, %lse = dsc.cross_entropy %logits, %labels {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
        : (tensor<4x8x65xf32>, tensor<4x8xi64>) -> (tensor<4x8xf32>, tensor<4x8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$logits, Dsc_IntegerTensor:$labels, I64Attr:$ignore_index, F64Attr:$label_smoothing,
                       OptionalAttr<I64Attr>:$classes);
  let results = (outs Dsc_FloatTensor:$loss, Dsc_FloatTensor:$lse);
}

def Dsc_CrossEntropyGradOp : Dsc_PureOp<"cross_entropy_grad"> {
  let summary = "dloss * (softmax(logits) - target), 0 where ignored.";
  let description = [{
    The gradient of padding is 0.
    1. labels has logits' shape without the last dimension.
    2. The label smoothing is at least 0 and at most 1.
    3. lse and dloss have the shape of labels.
    4. classes is positive and at most the last dimension.

    Example:
    ```mlir
    %dlogits = dsc.cross_entropy_grad %logits, %labels, %lse, %dloss {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
        : (tensor<4x8x65xf32>, tensor<4x8xi64>, tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8x65xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$logits, Dsc_IntegerTensor:$labels, Dsc_FloatTensor:$lse, Dsc_FloatTensor:$dloss,
                       I64Attr:$ignore_index, F64Attr:$label_smoothing, OptionalAttr<I64Attr>:$classes);
  let results = (outs Dsc_FloatTensor:$dlogits);
}

} // opDocGroup

#endif // DSC_IR_OPS_NORMALIZATION_TD
