//===- Contractions: matrix products and attention ----------------------===//

#ifndef DSC_IR_OPS_CONTRACTION_TD
#define DSC_IR_OPS_CONTRACTION_TD

include "ir/Attrs.td"

def Dsc_ContractionGroup : OpDocGroup {
  let summary = "Contractions";
  let description = [{
    Matrix products and attention. They sum in f32 (f64 for f64) and become library calls.
  }];
}

let opDocGroup = Dsc_ContractionGroup in {

def Dsc_MatmulOp : Dsc_PureOp<"matmul", [AttrSizedOperandSegments]> {
  let summary = "Matrix product with optional transposes, bias, accumulator and activation.";
  let description = [{
    result[.., m, n] = activation(sum_k a[.., m, k] b[.., k, n] + bias[n] + accumulator[.., m, n]).
    Leading dimensions broadcast; transpose_a and transpose_b swap the last two of an operand. Until
    the fusion phase only a, b and the transposes are set.
    1. Element types are equal.
    2. Ranks are at least 2.
    3. Inner dimensions are equal.
    4. Batch dimensions broadcast.
    5. bias is [n], of the operands' element type.
    6. accumulator has the result's type.

    Example:
    ```mlir
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<8x16x32xf32>, tensor<64x32xf32>) -> tensor<8x16x64xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$a, Dsc_FloatTensor:$b, Optional<Dsc_FloatTensor>:$bias,
                       Optional<Dsc_FloatTensor>:$accumulator,
                       DefaultValuedAttr<BoolAttr, "false">:$transpose_a,
                       DefaultValuedAttr<BoolAttr, "false">:$transpose_b,
                       DefaultValuedAttr<Dsc_EpilogueAttr, "::dsc::Epilogue::none">:$activation);
  let results = (outs Dsc_FloatTensor:$result);
  let builders = [OpBuilder<(ins "::mlir::Value":$a, "::mlir::Value":$b,
                                 CArg<"bool", "false">:$transposeA, CArg<"bool", "false">:$transposeB)>];
  let assemblyFormat = [{
    $a `,` $b (`bias` $bias^)? (`accumulate` $accumulator^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Dsc_AttentionOp : Dsc_PureOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "Scaled dot-product attention: softmax(scale q k^T + mask) v for each head.";
  let description = [{
    q is [batch, q_len, heads * width], k and v are [batch, kv_len, kv_heads * width]: the layout in
    which projections write them. `packed` (one operand, [batch, len, (heads + 2 kv_heads) * width])
    holds q, k, v side by side in the last dimension. mask broadcasts to [batch, heads, q_len,
    kv_len]: floats are added to the scores, booleans hide where false. causal: query i sees keys
    j <= i. A row with every key hidden gives 0. Results: out like q, and lse, the log-sum-exp of
    each row of scores [batch, heads, q_len] (f32, or f64 for f64), which the gradient needs.
    1. There is one operand (packed) or there are three.
    2. Their ranks are 3.
    3. heads is a multiple of kv_heads and divides the last dimension.
    4. Batch, kv_len and width of q, k and v agree.
    5. mask has rank 4, is boolean or of q's element type, and broadcasts.

    Example:
    ```mlir
    %o, %lse = dsc.attention %qkv {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.125 : f64, causal = true}
        : (tensor<2x16x192xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
    ```
  }];
  let arguments = (ins Variadic<Dsc_FloatTensor>:$qkv, Optional<Dsc_Tensor>:$mask, I64Attr:$heads,
                       I64Attr:$kv_heads, F64Attr:$scale, DefaultValuedAttr<BoolAttr, "false">:$causal);
  let results = (outs Dsc_FloatTensor:$out, Dsc_FloatTensor:$lse);
  let assemblyFormat = "$qkv (`mask` $mask^)? attr-dict `:` functional-type(operands, results)";
}

def Dsc_AttentionGradOp : Dsc_PureOp<"attention_grad", [AttrSizedOperandSegments]> {
  let summary = "Gradients of attention with respect to q, k, v (packed like the forward's operands).";
  let description = [{
    Scores are recomputed from lse. There is no gradient for mask: a mask that needs one is not
    raised to attention. The result types are those of qkv.
    1. The rules of attention hold for qkv and mask.
    2. out, lse and dout have the types that attention gives to out, lse and out.

    Example:
    ```mlir
    %dqkv = dsc.attention_grad %qkv out %o, %lse, %do {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.125 : f64, causal = true}
        : (tensor<2x16x192xf32>, tensor<2x16x64xf32>, tensor<2x4x16xf32>, tensor<2x16x64xf32>) -> tensor<2x16x192xf32>
    ```
  }];
  let arguments = (ins Variadic<Dsc_FloatTensor>:$qkv, Optional<Dsc_Tensor>:$mask, Dsc_FloatTensor:$out,
                       Dsc_FloatTensor:$lse, Dsc_FloatTensor:$dout, I64Attr:$heads, I64Attr:$kv_heads,
                       F64Attr:$scale, DefaultValuedAttr<BoolAttr, "false">:$causal);
  let results = (outs Variadic<Dsc_FloatTensor>:$dqkv);
  let assemblyFormat = [{
    $qkv (`mask` $mask^)? `out` $out `,` $lse `,` $dout attr-dict `:` functional-type(operands, results)
  }];
}

} // opDocGroup

#endif // DSC_IR_OPS_CONTRACTION_TD
