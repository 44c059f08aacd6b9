// RUN: dsc-opt %s --dsc-expand-attention | FileCheck %s

// cuDNN takes half types. In a folder of its own: FusionEquivalence runs its neighbours in f64.
module attributes {dsc.options = {target = "cuda"}} {
  // CHECK-LABEL: @half
  // CHECK: dsc.attention
  func.func @half(%qkv: tensor<2x5x48xbf16>) -> tensor<2x5x16xbf16> {
    %o, %lse = dsc.attention %qkv {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
        : (tensor<2x5x48xbf16>) -> (tensor<2x5x16xbf16>, tensor<2x2x5xf32>)
    return %o : tensor<2x5x16xbf16>
  }
}
