// RUN: dsc-opt %s --split-input-file --dsc-merge-products --dsc-pack-attention | FileCheck %s
// RUN: dsc-opt %s --split-input-file --dsc-merge-products=all --dsc-canonicalize-views | FileCheck %s --check-prefix=ALL
// RUN: dsc-opt %s --split-input-file --dsc-merge-products=limit=0 | FileCheck %s --check-prefix=NONE

// NONE-NOT: storage

// Three Linear layers with biases, as PyTorch stores them, become one whose rows attention reads in place; each parameter
// is a part of the new one at its rows, in both functions alike.
// CHECK: dsc.patterns = [
// CHECK-SAME: detail = "3 products of one input: attn.{q,k,v}.weight", found = true, function = "forward", pattern = "merged_products"}
// CHECK-SAME: detail = "one projection of 24 columns", found = true, function = "forward", pattern = "packed_qkv"}
// CHECK: dsc.global @"attn.{q,k,v}.weight" : tensor<24x8xf32> {role = #dsc.role<trained>, value = dense<0.000000e+00> : tensor<24x8xf32>}
// CHECK-NEXT: dsc.global @attn.q.weight : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"attn.{q,k,v}.weight", [0, 0], [0, 1]>}
// CHECK-NEXT: dsc.global @"attn.{q,k,v}.bias" : tensor<24xf32>
// CHECK-NEXT: dsc.global @attn.q.bias : tensor<8xf32> {{.*}}storage = #dsc.storage<@"attn.{q,k,v}.bias", [0], [0]>}
// CHECK-NEXT: dsc.global @attn.k.weight : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"attn.{q,k,v}.weight", [8, 0], [0, 1]>}
// CHECK-NEXT: dsc.global @attn.k.bias : tensor<8xf32> {{.*}}storage = #dsc.storage<@"attn.{q,k,v}.bias", [8], [0]>}
// CHECK-NEXT: dsc.global @attn.v.weight : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"attn.{q,k,v}.weight", [16, 0], [0, 1]>}
dsc.global @attn.q.weight : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "qw", "">}
dsc.global @attn.q.bias : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "qb", "">}
dsc.global @attn.k.weight : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "kw", "">}
dsc.global @attn.k.bias : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "kb", "">}
dsc.global @attn.v.weight : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "vw", "">}
dsc.global @attn.v.bias : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "vb", "">}
// CHECK-LABEL: @forward
// CHECK-NEXT: %[[W:.+]] = dsc.get_global @"attn.{q,k,v}.weight" : tensor<24x8xf32>
// CHECK-NEXT: %[[P:.+]] = dsc.matmul %arg0, %[[W]] {transpose_b = true} : (tensor<2x3x8xf32>, tensor<24x8xf32>) -> tensor<2x3x24xf32>
// CHECK-NEXT: %[[B:.+]] = dsc.get_global @"attn.{q,k,v}.bias" : tensor<24xf32>
// CHECK-NEXT: %[[S:.+]] = dsc.add %[[P]], %[[B]]
// CHECK-NEXT: %[[O:.+]], %{{.+}} = dsc.attention %[[S]] {causal = true, heads = 2 : i64
// CHECK-NEXT: return %[[O]]
// CHECK-LABEL: @inference
// CHECK: dsc.matmul {{.+}} -> tensor<2x3x24xf32>
// CHECK-NOT: dsc.matmul
func.func @forward(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @attn.q.weight : tensor<8x8xf32>
  %kw = dsc.get_global @attn.k.weight : tensor<8x8xf32>
  %vw = dsc.get_global @attn.v.weight : tensor<8x8xf32>
  %qb = dsc.get_global @attn.q.bias : tensor<8xf32>
  %kb = dsc.get_global @attn.k.bias : tensor<8xf32>
  %vb = dsc.get_global @attn.v.bias : tensor<8xf32>
  %q0 = dsc.matmul %x, %qw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %q = dsc.add %q0, %qb : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %k0 = dsc.matmul %x, %kw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.add %kb, %k0 : (tensor<8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %v0 = dsc.matmul %x, %vw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.add %v0, %vb : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}
func.func @inference(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @attn.q.weight : tensor<8x8xf32>
  %kw = dsc.get_global @attn.k.weight : tensor<8x8xf32>
  %vw = dsc.get_global @attn.v.weight : tensor<8x8xf32>
  %qb = dsc.get_global @attn.q.bias : tensor<8xf32>
  %kb = dsc.get_global @attn.k.bias : tensor<8xf32>
  %vb = dsc.get_global @attn.v.bias : tensor<8xf32>
  %q0 = dsc.matmul %x, %qw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %q = dsc.add %q0, %qb : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %k0 = dsc.matmul %x, %kw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.add %k0, %kb : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %v0 = dsc.matmul %x, %vw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.add %v0, %vb : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64, causal = true}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// Weights that an exporter transposed stand side by side in columns; k and v of fewer heads are narrower, and a bias that
// only some layers have is 0 for the others.
// CHECK: dsc.global @"q+k+value.weight" : tensor<8x16xf32>
// CHECK-NEXT: dsc.global @q : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"q+k+value.weight", [0, 0], [0, 1]>}
// CHECK-NEXT: dsc.global @k : tensor<8x4xf32> {{.*}}storage = #dsc.storage<@"q+k+value.weight", [0, 8], [0, 1]>}
// CHECK-NEXT: dsc.global @value.weight : tensor<8x4xf32> {{.*}}storage = #dsc.storage<@"q+k+value.weight", [0, 12], [0, 1]>}
// CHECK-NEXT: dsc.global @b : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">}
dsc.global @value.weight : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
dsc.global @b : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
// CHECK-LABEL: @grouped
// CHECK: %[[P:.+]] = dsc.matmul %arg0, %{{.+}} : (tensor<2x3x8xf32>, tensor<8x16xf32>) -> tensor<2x3x16xf32>
// CHECK: %[[B:.+]] = dsc.concat %{{.+}}, %{{.+}}, %{{.+}} {axis = 0 : i64} : (tensor<8xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<16xf32>
// CHECK-NEXT: %[[S:.+]] = dsc.add %[[P]], %[[B]]
// CHECK-NEXT: dsc.attention %[[S]] {heads = 2 : i64, kv_heads = 1 : i64
func.func @grouped(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x4xf32>
  %vw = dsc.get_global @value.weight : tensor<8x4xf32>
  %b = dsc.get_global @b : tensor<8xf32>
  %q0 = dsc.matmul %x, %qw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %q = dsc.add %q0, %b : (tensor<2x3x8xf32>, tensor<8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %x, %kw : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
  %v = dsc.matmul %x, %vw : (tensor<2x3x8xf32>, tensor<8x4xf32>) -> tensor<2x3x4xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 1 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// Of two orientations PyTorch's is kept, and the other parameter is stored transposed.
// CHECK: dsc.global @q : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"{q,k,v}", [0, 0], [0, 1]>}
// CHECK-NEXT: dsc.global @k : tensor<8x8xf32> {{.*}}storage = #dsc.storage<@"{q,k,v}", [8, 0], [1, 0]>}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">}
dsc.global @v : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
// CHECK-LABEL: @two_orientations
func.func @two_orientations(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x8xf32>
  %vw = dsc.get_global @v : tensor<8x8xf32>
  %q = dsc.matmul %x, %qw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %x, %kw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.matmul %x, %vw {transpose_b = true} : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// A frozen parameter stays on its own: what is trained and what is not have different storage and state.
// CHECK: detail = "'k' is buffer, 'q' is trained", found = false, function = "frozen", pattern = "merged_products"}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x8xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m", "k", "">}
dsc.global @v : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
// CHECK-LABEL: @frozen
// CHECK-COUNT-3: dsc.matmul
func.func @frozen(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x8xf32>
  %vw = dsc.get_global @v : tensor<8x8xf32>
  %q = dsc.matmul %x, %qw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %x, %kw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.matmul %x, %vw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// A parameter that something else reads as well is not moved.
// CHECK: detail = "'v' is read elsewhere too", found = false, function = "shared", pattern = "merged_products"}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">}
dsc.global @v : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
// CHECK-LABEL: @shared
// CHECK-COUNT-4: dsc.matmul
func.func @shared(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x8xf32>
  %vw = dsc.get_global @v : tensor<8x8xf32>
  %q = dsc.matmul %x, %qw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %x, %kw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.matmul %x, %vw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  %y = dsc.matmul %o, %vw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// -----

// Cross attention: q is a projection of something else than k and v.
// CHECK: detail = "k and q are projections of different values", found = false, function = "cross", pattern = "merged_products"}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">}
dsc.global @v : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
func.func @cross(%x: tensor<2x3x8xf32>, %z: tensor<2x5x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x8xf32>
  %vw = dsc.get_global @v : tensor<8x8xf32>
  %q = dsc.matmul %x, %qw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %z, %kw : (tensor<2x5x8xf32>, tensor<8x8xf32>) -> tensor<2x5x8xf32>
  %v = dsc.matmul %z, %vw : (tensor<2x5x8xf32>, tensor<8x8xf32>) -> tensor<2x5x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// q is turned by something before attention reads it (as rotary embeddings do): its part would have to be copied out.
// CHECK: detail = "q is not what a projection writes, but comes from 'dsc.tanh'", found = false, function = "turned", pattern = "merged_products"}
dsc.global @q : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">}
dsc.global @k : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">}
dsc.global @v : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "v", "">}
func.func @turned(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %qw = dsc.get_global @q : tensor<8x8xf32>
  %kw = dsc.get_global @k : tensor<8x8xf32>
  %vw = dsc.get_global @v : tensor<8x8xf32>
  %q0 = dsc.matmul %x, %qw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %q = dsc.tanh %q0 : (tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %k = dsc.matmul %x, %kw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %v = dsc.matmul %x, %vw : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %o, %l = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
      : (tensor<2x3x8xf32>, tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> (tensor<2x3x8xf32>, tensor<2x2x3xf32>)
  return %o : tensor<2x3x8xf32>
}

// -----

// Gate and up projections of SwiGLU: kernels read whole rows, so the halves of one product would have to be copied out,
// which `all` does all the same.
// CHECK: detail = "2 products of one input, but 'dsc.sigmoid' would need its part copied out of the one product's rows", found = false, function = "swiglu"
// CHECK-LABEL: @swiglu
// CHECK-COUNT-2: dsc.matmul
// ALL-LABEL: @swiglu
// ALL: %[[P:.+]] = dsc.matmul %arg0, %{{.+}} {transpose_b = true} : (tensor<6x8xf32>, tensor<32x8xf32>) -> tensor<6x32xf32>
// ALL-NEXT: %[[G:.+]] = dsc.slice %[[P]] {sizes = array<i64: 6, 16>, starts = array<i64: 0, 0>
// ALL-NEXT: %[[U:.+]] = dsc.slice %[[P]] {sizes = array<i64: 6, 16>, starts = array<i64: 0, 16>
// ALL-NEXT: %[[S:.+]] = dsc.sigmoid %[[G]]
dsc.global @mlp.gate.weight : tensor<16x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "g", "">}
dsc.global @mlp.up.weight : tensor<16x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "u", "">}
func.func @swiglu(%x: tensor<6x8xf32>) -> tensor<6x16xf32> {
  %gw = dsc.get_global @mlp.gate.weight : tensor<16x8xf32>
  %uw = dsc.get_global @mlp.up.weight : tensor<16x8xf32>
  %g = dsc.matmul %x, %gw {transpose_b = true} : (tensor<6x8xf32>, tensor<16x8xf32>) -> tensor<6x16xf32>
  %u = dsc.matmul %x, %uw {transpose_b = true} : (tensor<6x8xf32>, tensor<16x8xf32>) -> tensor<6x16xf32>
  %s = dsc.sigmoid %g : (tensor<6x16xf32>) -> tensor<6x16xf32>
  %a = dsc.mul %g, %s : (tensor<6x16xf32>, tensor<6x16xf32>) -> tensor<6x16xf32>
  %y = dsc.mul %a, %u : (tensor<6x16xf32>, tensor<6x16xf32>) -> tensor<6x16xf32>
  return %y : tensor<6x16xf32>
}
