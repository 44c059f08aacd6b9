// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// Every unary op keeps the type of its operand.
// CHECK-LABEL: func.func @unary
func.func @unary(%x: tensor<4x8xf32>) {
  // CHECK: dsc.neg %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %neg = dsc.neg %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.abs %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %abs = dsc.abs %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.sign %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sign = dsc.sign %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.exp %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %exp = dsc.exp %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.expm1 %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %expm1 = dsc.expm1 %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.log %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %log = dsc.log %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.log1p %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %log1p = dsc.log1p %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.sqrt %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sqrt = dsc.sqrt %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.rsqrt %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %rsqrt = dsc.rsqrt %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.reciprocal %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %reciprocal = dsc.reciprocal %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.sin %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sin = dsc.sin %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.cos %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %cos = dsc.cos %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.tan %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %tan = dsc.tan %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.asin %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %asin = dsc.asin %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.acos %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %acos = dsc.acos %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.atan %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %atan = dsc.atan %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.sinh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sinh = dsc.sinh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.cosh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %cosh = dsc.cosh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.asinh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %asinh = dsc.asinh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.acosh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %acosh = dsc.acosh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.atanh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %atanh = dsc.atanh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.tanh %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %tanh = dsc.tanh %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.erf %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %erf = dsc.erf %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.sigmoid %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %sigmoid = dsc.sigmoid %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.softplus %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %softplus = dsc.softplus %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.relu %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %relu = dsc.relu %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.floor %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %floor = dsc.floor %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.ceil %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %ceil = dsc.ceil %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  // CHECK: dsc.round %{{.+}} : (tensor<4x8xf32>) -> tensor<4x8xf32>
  %round = dsc.round %x : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return
}

// CHECK-LABEL: func.func @unary_of_integers
func.func @unary_of_integers(%x: tensor<4x8xi64>) {
  // CHECK: dsc.neg %{{.+}} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  %neg = dsc.neg %x : (tensor<4x8xi64>) -> tensor<4x8xi64>
  // CHECK: dsc.abs %{{.+}} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  %abs = dsc.abs %x : (tensor<4x8xi64>) -> tensor<4x8xi64>
  // CHECK: dsc.sign %{{.+}} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  %sign = dsc.sign %x : (tensor<4x8xi64>) -> tensor<4x8xi64>
  // CHECK: dsc.relu %{{.+}} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  %relu = dsc.relu %x : (tensor<4x8xi64>) -> tensor<4x8xi64>
  // CHECK: dsc.not %{{.+}} : (tensor<4x8xi64>) -> tensor<4x8xi64>
  %not = dsc.not %x : (tensor<4x8xi64>) -> tensor<4x8xi64>
  return
}

// A scalar of another float type.
// CHECK-LABEL: func.func @unary_of_half
func.func @unary_of_half(%x: tensor<bf16>) {
  // CHECK: dsc.tanh %{{.+}} : (tensor<bf16>) -> tensor<bf16>
  %tanh = dsc.tanh %x : (tensor<bf16>) -> tensor<bf16>
  return
}

// CHECK-LABEL: func.func @gelu
func.func @gelu(%x: tensor<4xf32>, %dy: tensor<4xf32>) {
  // CHECK: dsc.gelu %{{.+}} {kind = #dsc.gelu_kind<erf>} : (tensor<4xf32>) -> tensor<4xf32>
  %y = dsc.gelu %x {kind = #dsc.gelu_kind<erf>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK: dsc.gelu_grad %{{.+}}, %{{.+}} {kind = #dsc.gelu_kind<tanh>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %dx = dsc.gelu_grad %x, %dy {kind = #dsc.gelu_kind<tanh>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @tests
func.func @tests(%x: tensor<4xf32>) {
  // CHECK: dsc.is_nan %{{.+}} : (tensor<4xf32>) -> tensor<4xi1>
  %a = dsc.is_nan %x : (tensor<4xf32>) -> tensor<4xi1>
  // CHECK: dsc.is_inf %{{[^ ]+}} : (tensor<4xf32>) -> tensor<4xi1>
  %b = dsc.is_inf %x : (tensor<4xf32>) -> tensor<4xi1>
  // CHECK: dsc.is_inf %{{.+}} {negative = false} : (tensor<4xf32>) -> tensor<4xi1>
  %c = dsc.is_inf %x {negative = false} : (tensor<4xf32>) -> tensor<4xi1>
  return
}

// CHECK-LABEL: func.func @casts
func.func @casts(%x: tensor<4xf32>, %i: tensor<4xi64>, %b: tensor<4xi1>) {
  // CHECK: dsc.cast %{{.+}} : (tensor<4xf32>) -> tensor<4xbf16>
  %a = dsc.cast %x : (tensor<4xf32>) -> tensor<4xbf16>
  // CHECK: dsc.cast %{{.+}} : (tensor<4xi64>) -> tensor<4xi1>
  %c = dsc.cast %i : (tensor<4xi64>) -> tensor<4xi1>
  // CHECK: dsc.cast %{{.+}} : (tensor<4xi1>) -> tensor<4xf64>
  %d = dsc.cast %b : (tensor<4xi1>) -> tensor<4xf64>
  return
}

// CHECK-LABEL: func.func @bitcasts
func.func @bitcasts(%x: tensor<4xf32>, %h: tensor<4xbf16>) {
  // CHECK: dsc.bitcast %{{.+}} : (tensor<4xf32>) -> tensor<4xui32>
  %a = dsc.bitcast %x : (tensor<4xf32>) -> tensor<4xui32>
  // CHECK: dsc.bitcast %{{.+}} : (tensor<4xbf16>) -> tensor<4xf16>
  %b = dsc.bitcast %h : (tensor<4xbf16>) -> tensor<4xf16>
  return
}

// Shapes are aligned at the last dimension; a missing one and one of size 1 repeat.
// CHECK-LABEL: func.func @binary
func.func @binary(%x: tensor<2x1x8xf32>, %y: tensor<3x1xf32>) {
  // CHECK: dsc.add %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %add_2_3_8_f32 = dsc.add %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.sub %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %sub_2_3_8_f32 = dsc.sub %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.mul %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %mul_2_3_8_f32 = dsc.mul %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.div %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %div_2_3_8_f32 = dsc.div %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.max %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %max_2_3_8_f32 = dsc.max %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.min %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %min_2_3_8_f32 = dsc.min %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.pow %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %pow_2_3_8_f32 = dsc.pow %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  // CHECK: dsc.mod %{{.+}}, %{{.+}} : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  %mod_2_3_8_f32 = dsc.mod %x, %y : (tensor<2x1x8xf32>, tensor<3x1xf32>) -> tensor<2x3x8xf32>
  return
}

// A scalar broadcasts to everything, to nothing as well.
// CHECK-LABEL: func.func @binary_with_scalar
func.func @binary_with_scalar(%x: tensor<4x0xf32>, %y: tensor<f32>) {
  // CHECK: dsc.add %{{.+}}, %{{.+}} : (tensor<4x0xf32>, tensor<f32>) -> tensor<4x0xf32>
  %add_4_0_f32 = dsc.add %x, %y : (tensor<4x0xf32>, tensor<f32>) -> tensor<4x0xf32>
  return
}

// CHECK-LABEL: func.func @binary_of_integers
func.func @binary_of_integers(%x: tensor<4xi64>, %y: tensor<4xi64>) {
  // CHECK: dsc.add %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %add_4_i64 = dsc.add %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.div %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %div_4_i64 = dsc.div %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.mod %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %mod_4_i64 = dsc.mod %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.and %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %and_4_i64 = dsc.and %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.or %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %or_4_i64 = dsc.or %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.xor %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %xor_4_i64 = dsc.xor %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.shift_left %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %shift_left_4_i64 = dsc.shift_left %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  // CHECK: dsc.shift_right %{{.+}}, %{{.+}} : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %shift_right_4_i64 = dsc.shift_right %x, %y : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  return
}

// CHECK-LABEL: func.func @binary_of_booleans
func.func @binary_of_booleans(%x: tensor<4xi1>, %y: tensor<1xi1>) {
  // CHECK: dsc.and %{{.+}}, %{{.+}} : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %and_4_i1 = dsc.and %x, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  // CHECK: dsc.or %{{.+}}, %{{.+}} : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %or_4_i1 = dsc.or %x, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  // CHECK: dsc.xor %{{.+}}, %{{.+}} : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %xor_4_i1 = dsc.xor %x, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  return
}

// CHECK-LABEL: func.func @mod
func.func @mod(%x: tensor<4xf32>, %y: tensor<f32>) {
  // CHECK: dsc.mod %{{.+}}, %{{.+}} {fmod = true} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %mod_4_f32 = dsc.mod %x, %y {fmod = true} : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return
}

// CHECK-LABEL: func.func @compare
func.func @compare(%x: tensor<4x1xf32>, %y: tensor<8xf32>) {
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<eq>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %eq = dsc.compare %x, %y {predicate = #dsc.compare_predicate<eq>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<ne>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %ne = dsc.compare %x, %y {predicate = #dsc.compare_predicate<ne>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<lt>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %lt = dsc.compare %x, %y {predicate = #dsc.compare_predicate<lt>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<le>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %le = dsc.compare %x, %y {predicate = #dsc.compare_predicate<le>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<gt>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %gt = dsc.compare %x, %y {predicate = #dsc.compare_predicate<gt>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  // CHECK: dsc.compare %{{.+}}, %{{.+}} {predicate = #dsc.compare_predicate<ge>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  %ge = dsc.compare %x, %y {predicate = #dsc.compare_predicate<ge>} : (tensor<4x1xf32>, tensor<8xf32>) -> tensor<4x8xi1>
  return
}

// All three operands broadcast.
// CHECK-LABEL: func.func @select
func.func @select(%c: tensor<4x1xi1>, %x: tensor<8xi32>, %y: tensor<i32>) {
  // CHECK: dsc.select %{{.+}}, %{{.+}}, %{{.+}} : (tensor<4x1xi1>, tensor<8xi32>, tensor<i32>) -> tensor<4x8xi32>
  %z = dsc.select %c, %x, %y : (tensor<4x1xi1>, tensor<8xi32>, tensor<i32>) -> tensor<4x8xi32>
  return
}

// The largest index, 127, just fits.
// CHECK-LABEL: func.func @iota
func.func @iota() {
  // CHECK: dsc.iota {axis = 1 : i64} : () -> tensor<1x128xi8>
  %i = dsc.iota {axis = 1 : i64} : () -> tensor<1x128xi8>
  return
}
