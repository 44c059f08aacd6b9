// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsContraction.td.

func.func @matmul_1(%a: tensor<2x3xf32>, %b: tensor<3x5xf64>) {
  // expected-error @below {{element types differ: 'tensor<2x3xf32>' and 'tensor<3x5xf64>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b : (tensor<2x3xf32>, tensor<3x5xf64>) -> tensor<2x5xf32>
  return
}

// -----

func.func @matmul_2(%a: tensor<3xf32>, %b: tensor<3x5xf32>) {
  // expected-error @below {{ranks must be at least 2: 'tensor<3xf32>' and 'tensor<3x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b : (tensor<3xf32>, tensor<3x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @matmul_3(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) {
  // expected-error @below {{inner dimensions differ: 3 in 'tensor<2x3xf32>' and 4 in 'tensor<4x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

// The operands fit as they are, not with b transposed.
func.func @matmul_3_transposed(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>) {
  // expected-error @below {{inner dimensions differ: 3 in 'tensor<2x3xf32>' and 5 in 'tensor<3x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b {transpose_b = true} : (tensor<2x3xf32>, tensor<3x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @matmul_4(%a: tensor<2x2x3xf32>, %b: tensor<7x3x5xf32>) {
  // expected-error @below {{batch dimensions do not broadcast: 'tensor<2x2x3xf32>' and 'tensor<7x3x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b : (tensor<2x2x3xf32>, tensor<7x3x5xf32>) -> tensor<2x2x5xf32>
  return
}

// -----

func.func @matmul_5(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %bias: tensor<2xf32>) {
  // expected-error @below {{bias is 'tensor<2xf32>', expected 'tensor<5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b bias %bias : (tensor<2x3xf32>, tensor<3x5xf32>, tensor<2xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @matmul_6(%a: tensor<2x3xf32>, %b: tensor<3x5xf32>, %acc: tensor<5xf32>) {
  // expected-error @below {{accumulator is 'tensor<5xf32>', result is 'tensor<2x5xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %y = dsc.matmul %a, %b accumulate %acc : (tensor<2x3xf32>, tensor<3x5xf32>, tensor<5xf32>) -> tensor<2x5xf32>
  return
}

// -----

func.func @attention_1(%q: tensor<2x16x64xf32>, %k: tensor<2x16x64xf32>) {
  // expected-error @below {{takes 1 packed operand or 3, not 2}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %q, %k {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<2x16x64xf32>, tensor<2x16x64xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_2(%qkv: tensor<16x192xf32>) {
  // expected-error @below {{operands have rank 3, not 'tensor<16x192xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<16x192xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_3(%qkv: tensor<2x16x192xf32>) {
  // expected-error @below {{4 heads and 3 kv_heads do not divide 'tensor<2x16x192xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv {heads = 4 : i64, kv_heads = 3 : i64, scale = 0.5 : f64} : (tensor<2x16x192xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_3_width(%qkv: tensor<2x16x190xf32>) {
  // expected-error @below {{4 heads and 4 kv_heads do not divide 'tensor<2x16x190xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<2x16x190xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

// heads + 2 kv_heads does not fit 64 bits.
func.func @attention_3_overflow(%qkv: tensor<2x16x192xf32>) {
  // expected-error @below {{9223372036854775807 heads and 9223372036854775807 kv_heads do not divide 'tensor<2x16x192xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv {heads = 9223372036854775807 : i64, kv_heads = 9223372036854775807 : i64, scale = 0.5 : f64} : (tensor<2x16x192xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_4(%q: tensor<2x16x64xf32>, %k: tensor<3x16x64xf32>, %v: tensor<3x16x64xf32>) {
  // expected-error @below {{k and v do not fit q: 'tensor<2x16x64xf32>', 'tensor<3x16x64xf32>', 'tensor<3x16x64xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %q, %k, %v {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<2x16x64xf32>, tensor<3x16x64xf32>, tensor<3x16x64xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_5(%qkv: tensor<2x16x192xf32>, %mask: tensor<2x4x16x15xf32>) {
  // expected-error @below {{mask 'tensor<2x4x16x15xf32>' does not broadcast to [2, 4, 16, 16]}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv mask %mask {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<2x16x192xf32>, tensor<2x4x16x15xf32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_5_element(%qkv: tensor<2x16x192xf32>, %mask: tensor<1x1x16x16xi32>) {
  // expected-error @below {{mask 'tensor<1x1x16x16xi32>' does not broadcast to [2, 4, 16, 16]}}
  // expected-error @below {{failed to infer returned types}}
  %o, %lse = dsc.attention %qkv mask %mask {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64} : (tensor<2x16x192xf32>, tensor<1x1x16x16xi32>) -> (tensor<2x16x64xf32>, tensor<2x4x16xf32>)
  return
}

// -----

func.func @attention_grad_1(%q: tensor<2x16x64xf32>, %k: tensor<2x16x64xf32>, %out: tensor<2x16x64xf32>, %lse: tensor<2x4x16xf32>, %dout: tensor<2x16x64xf32>) {
  // expected-error @below {{takes 1 packed operand or 3, not 2}}
  // expected-error @below {{failed to infer returned types}}
  %dq, %dk = dsc.attention_grad %q, %k out %out, %lse, %dout {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64}
      : (tensor<2x16x64xf32>, tensor<2x16x64xf32>, tensor<2x16x64xf32>, tensor<2x4x16xf32>, tensor<2x16x64xf32>)
      -> (tensor<2x16x64xf32>, tensor<2x16x64xf32>)
  return
}

// -----

func.func @attention_grad_2(%qkv: tensor<2x16x192xf32>, %out: tensor<2x16x64xf32>, %lse: tensor<2x16xf32>, %dout: tensor<2x16x64xf32>) {
  // expected-error @below {{out, lse and dout are 'tensor<2x16x64xf32>', 'tensor<2x16xf32>' and 'tensor<2x16x64xf32>', attention gives 'tensor<2x16x64xf32>' and 'tensor<2x4x16xf32>'}}
  // expected-error @below {{failed to infer returned types}}
  %d = dsc.attention_grad %qkv out %out, %lse, %dout {heads = 4 : i64, kv_heads = 4 : i64, scale = 0.5 : f64}
      : (tensor<2x16x192xf32>, tensor<2x16x64xf32>, tensor<2x16xf32>, tensor<2x16x64xf32>) -> tensor<2x16x192xf32>
  return
}
