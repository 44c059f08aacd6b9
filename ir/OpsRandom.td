//===- Random numbers ---------------------------------------------------===//

#ifndef DSC_IR_OPS_RANDOM_TD
#define DSC_IR_OPS_RANDOM_TD

include "ir/Attrs.td"

def Dsc_RandomGroup : OpDocGroup {
  let summary = "Random numbers";
  let description = [{
    Random ops are pure: equal operands give equal numbers, in any kernel, on any rank.
  }];
}

let opDocGroup = Dsc_RandomGroup in {

def Dsc_RandomOp : Dsc_Op<"random", [Pure]> {
  let summary = "Random numbers that are a pure function of seed, op number, step, sample and element.";
  let description = [{
    Philox4x32-10 (Salmon et al., SC'11): key = seed; counter = (number, step, sample, element / 4).
    Dimension 0 is the batch: sample = sample_base + index along it, element counts the rest.
    uniform: [0, 1) with 24 bits; normal: Box-Muller of two uniforms. A clone keeps its number, so
    recomputation gives the same mask.
    1. seed, step and sample_base are i64 scalars.

    Example:
    ```mlir
    %u = dsc.random %seed, %step, %base {distribution = #dsc.distribution<uniform>, number = 3 : i64}
        : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<8x16xf32>
    ```
  }];
  let arguments = (ins Dsc_IntegerTensor:$seed, Dsc_IntegerTensor:$step, Dsc_IntegerTensor:$sample_base,
                       Dsc_DistributionAttr:$distribution, I64Attr:$number);
  let results = (outs Dsc_FloatTensor:$result);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

} // opDocGroup

#endif // DSC_IR_OPS_RANDOM_TD
