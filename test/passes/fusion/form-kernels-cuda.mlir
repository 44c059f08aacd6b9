// RUN: dsc-opt %s --pass-pipeline='builtin.module(func.func(dsc-form-kernels))' | FileCheck %s

module attributes {dsc.options = {target = "cuda"}} {

// A GELU behind a product says why it is no epilogue of it, also through a reshape.
// CHECK-LABEL: func.func @gelu
// CHECK: refused = ["dsc.matmul (up): cuBLASLt's GELU is of the sum before rounding, which backward cannot compute again"]
func.func @gelu(%x: tensor<8x8xbf16>, %w: tensor<8x16xbf16>, %b: tensor<16xbf16>) -> tensor<2x4x16xbf16> {
  %p = dsc.matmul %x, %w bias %b : (tensor<8x8xbf16>, tensor<8x16xbf16>, tensor<16xbf16>) -> tensor<8x16xbf16> loc("up")
  %r = dsc.reshape %p : (tensor<8x16xbf16>) -> tensor<2x4x16xbf16>
  %y = dsc.gelu %r {kind = #dsc.gelu_kind<tanh>} : (tensor<2x4x16xbf16>) -> tensor<2x4x16xbf16>
  return %y : tensor<2x4x16xbf16>
}

// The exact GELU has another reason.
// CHECK-LABEL: func.func @exact_gelu
// CHECK: refused = ["dsc.matmul: cuBLASLt has no GELU with erf"]
func.func @exact_gelu(%x: tensor<8x8xbf16>, %w: tensor<8x16xbf16>) -> tensor<8x16xbf16> {
  %p = dsc.matmul %x, %w : (tensor<8x8xbf16>, tensor<8x16xbf16>) -> tensor<8x16xbf16>
  %y = dsc.gelu %p {kind = #dsc.gelu_kind<erf>} : (tensor<8x16xbf16>) -> tensor<8x16xbf16>
  return %y : tensor<8x16xbf16>
}

// A ReLU would be one, but others read the product, too: that needs no excuse.
// CHECK-LABEL: func.func @relu_beside_another_reader
// CHECK-NOT: refused
func.func @relu_beside_another_reader(%x: tensor<8x8xbf16>, %w: tensor<8x16xbf16>) -> (tensor<8x16xbf16>, tensor<8x16xbf16>) {
  %p = dsc.matmul %x, %w : (tensor<8x8xbf16>, tensor<8x16xbf16>) -> tensor<8x16xbf16>
  %y = dsc.relu %p : (tensor<8x16xbf16>) -> tensor<8x16xbf16>
  return %p, %y : tensor<8x16xbf16>, tensor<8x16xbf16>
}
}
