// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Each case breaks the rule of its op that it is named after; the rules stand in ir/OpsMemory.td.

func.func @kernel_1(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{block arguments and operands have different types}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<32xf32>):
    %c = dsc.constant dense<0.0> : tensor<4x8xf32>
    dsc.yield %c : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @kernel_2(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  // expected-error @+1 {{yielded types and result types differ}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<32xf32>
  return %y : tensor<32xf32>
}

// -----

func.func @kernel_3(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{row_rank is 3, domain has rank 2}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 3 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

func.func @kernel_4(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 8, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<8x8xf32>):
    // expected-error @+1 {{cannot stand in a kernel of kind elementwise}}
    %t = dsc.transpose %a {permutation = array<i64: 1, 0>} : (tensor<8x8xf32>) -> tensor<8x8xf32>
    dsc.yield %t : tensor<8x8xf32>
  } : (tensor<8x8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}

// -----

func.func @kernel_5(%x: tensor<4x8xf32>, %b: tensor<1x16xf32>) -> tensor<4x8xf32> {
  // expected-error @+1 {{value 'tensor<1x16xf32>' does not broadcast to the domain [4, 8]}}
  %y = dsc.kernel (%x, %b) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>, %c: tensor<1x16xf32>):
    dsc.yield %a : tensor<4x8xf32>
  } : (tensor<4x8xf32>, tensor<1x16xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// -----

// The axes are columns, but those of a column kernel's reductions are rows.
func.func @kernel_6(%x: tensor<4x8xf32>) -> tensor<4x1xf32> {
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    // expected-error @+1 {{which a kernel of kind column with 1 dimensions of rows does not do}}
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    dsc.yield %s : tensor<4x1xf32>
  } : (tensor<4x8xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

func.func @kernel_7(%x: tensor<4x1xf32>) -> tensor<4x1xf32> {
  // expected-error @+1 {{result 'tensor<4x1xf32>' is neither of the domain's shape [4, 8] nor one element a row or column}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<4x1xf32>):
    dsc.yield %a : tensor<4x1xf32>
  } : (tensor<4x1xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

func.func @kernel_8(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error @+1 {{of kind loops holds more than one op and its results}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<loops>, domain = array<i64: 8, 4>, row_rank = 0 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %e = dsc.exp %a : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %t = dsc.transpose %e {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    dsc.yield %t : tensor<8x4xf32>
  } : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

func.func @kernel_9(%x: tensor<64x8xf32>) -> tensor<1x8xf32> {
  // expected-error @+1 {{has 0 bytes of scratch, its column reductions need 64}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<column>, domain = array<i64: 64, 8>, row_rank = 1 : i64} {
  ^bb0(%a: tensor<64x8xf32>):
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<64x8xf32>) -> tensor<1x8xf32>
    dsc.yield %s : tensor<1x8xf32>
  } : (tensor<64x8xf32>) -> tensor<1x8xf32>
  return %y : tensor<1x8xf32>
}

// -----

// expected-error @below {{has neither value nor source}}
dsc.global @global_1 : tensor<4xf32> {role = #dsc.role<trained>}

// -----

// expected-error @below {{has both value and source}}
dsc.global @global_1_both : tensor<4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<4xf32>,
  source = #dsc.source<"model.onnx", "weight", "">}

// -----

// expected-error @below {{value is 'tensor<4xf32>', global is 'tensor<5xf32>'}}
dsc.global @global_2 : tensor<5xf32> {role = #dsc.role<constant>, value = dense<0.0> : tensor<4xf32>}

// -----

// expected-error @below {{of role state must start at a splat value}}
dsc.global @global_3 : tensor<2xf32> {role = #dsc.role<state>, value = dense<[0.0, 1.0]> : tensor<2xf32>}

// -----

// expected-error @below {{of role runtime must start at a splat value}}
dsc.global @global_3_source : tensor<2xf32> {role = #dsc.role<runtime>, source = #dsc.source<"model.onnx", "lr", "">}

// -----

// expected-error @below {{belongs to 'weight', which is no global}}
dsc.global @global_4 : tensor<2xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2xf32>, of = @weight}
func.func private @weight()

// -----

// expected-error @below {{type is 'tensor<?xf32>', expected a statically shaped tensor}}
dsc.global @global_10 : tensor<?xf32> {role = #dsc.role<trained>, source = #dsc.source<"model.onnx", "weight", "">}

// -----

func.func @get_global_1() {
  // expected-error @below {{names 'weight', which is no global}}
  %w = dsc.get_global @weight : tensor<4xf32>
  return
}

// -----

// expected-note @below {{global declared here}}
dsc.global @weight : tensor<4xf32> {role = #dsc.role<constant>, value = dense<0.0> : tensor<4xf32>}
func.func @get_global_2() {
  // expected-error @below {{has type 'tensor<5xf32>', global has 'tensor<4xf32>'}}
  %w = dsc.get_global @weight : tensor<5xf32>
  return
}

// -----

func.func @set_global_1(%x: tensor<4xf32>) {
  // expected-error @below {{names 'weight', which is no global}}
  dsc.set_global @weight, %x : tensor<4xf32>
  return
}

// -----

// expected-note @below {{global declared here}}
dsc.global @state : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>}
func.func @set_global_2(%x: tensor<4xf64>) {
  // expected-error @below {{has type 'tensor<4xf64>', global has 'tensor<4xf32>'}}
  dsc.set_global @state, %x : tensor<4xf64>
  return
}

// -----

dsc.global @table : tensor<4xf32> {role = #dsc.role<constant>, value = dense<0.0> : tensor<4xf32>}
func.func @set_global_3(%x: tensor<4xf32>) {
  // expected-error @below {{writes 'table', which is a constant}}
  dsc.set_global @table, %x : tensor<4xf32>
  return
}

// -----

func.func @gradients_1(%dw: tensor<4xf32>) {
  // expected-error @below {{has 1 gradients and 2 names}}
  dsc.gradients %dw {names = ["weight", "bias"]} : tensor<4xf32>
  return
}

// -----

func.func @gradients_2(%dw: tensor<4xf32>) {
  // expected-error @+1 {{'dsc.gradients' op has 1 gradients, 2 of them kept values}}
  dsc.gradients %dw {names = ["w"], kept = 2 : i64} : tensor<4xf32>
  return
}

// -----

func.func @launch_1(%x: tensor<4xf32>) {
  // expected-error @below {{has 1 functions, 2 units and 1 grains}}
  %y = dsc.launch [@kernel_0] (%x) {units = array<i64: 4, 4>, grains = array<i64: 1>} : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

// A compute global has the shape of what it copies.
dsc.global @w : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
// expected-error@+1 {{of role compute is 'tensor<5xbf16>', what it copies is 'tensor<4xf32>'}}
dsc.global @global_5 : tensor<5xbf16> {role = #dsc.role<compute>, of = @w, slot_kind = "compute", value = dense<0.0> : tensor<5xbf16>}

// -----

// A copy starts at a splat, like state.
dsc.global @w : tensor<2xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
// expected-error@+1 {{of role compute must start at a splat value}}
dsc.global @global_3_copy : tensor<2xbf16> {role = #dsc.role<compute>, of = @w, value = dense<[0.0, 1.0]> : tensor<2xbf16>}

// -----

// What stores a part must exist.
// expected-error @+1 {{'dsc.global' op is stored in @global_6_missing, which is no global}}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@global_6_missing, [0, 0], [0, 1]>}

// -----

// A part has the role of what stores it: one optimizer step updates both.
// expected-note @+1 {{a buffer 'tensor<8x4xf32>'}}
dsc.global @global_6_role : tensor<8x4xf32> {role = #dsc.role<buffer>, value = dense<0.0> : tensor<8x4xf32>}
// expected-error @+1 {{is a trained 'tensor<8x4xf32>' and cannot be a part of @global_6_role}}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@global_6_role, [0, 0], [0, 1]>}

// -----

// Parts do not nest.
dsc.global @whole : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
// expected-note @+1 {{a trained 'tensor<8x4xf32>', a part itself}}
dsc.global @global_6_nested : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "p", "">, storage = #dsc.storage<@whole, [0, 0], [0, 1]>}
// expected-error @+1 {{cannot be a part of @global_6_nested}}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@global_6_nested, [0, 0], [0, 1]>}

// -----

// A part ends where its storage ends.
dsc.global @global_7 : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
// expected-error @+1 {{of 'tensor<8x4xf32>' does not lie inside 'tensor<8x4xf32>'}}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@global_7, [1, 0], [0, 1]>}

// -----

// Each dimension of a part has one of the storage to itself.
dsc.global @global_7_permutation : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
// expected-error @+1 {{does not lie inside}}
dsc.global @q : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@global_7_permutation, [0, 0], [0, 0]>}

// -----

// Only what stores it has a place in memory.
dsc.global @global_8 : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
// expected-error @+1 {{has a slot, but is stored in @global_8}}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, slot = #dsc.slot<state, 0, 128, 0, 0>, storage = #dsc.storage<@global_8, [0, 0], [0, 1]>}

// -----

// Entries read and write what stores a part, never the part.
dsc.global @whole : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@whole, [0, 0], [0, 1]>}
func.func @get_global_3() -> tensor<8x4xf32> {
  // expected-error @+1 {{names 'q', which is a part of @whole}}
  %q = dsc.get_global @q : tensor<8x4xf32>
  return %q : tensor<8x4xf32>
}

// -----

dsc.global @whole : tensor<8x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<8x4xf32>}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@whole, [0, 0], [0, 1]>}
func.func @set_global_4(%x: tensor<8x4xf32>) {
  // expected-error @+1 {{names 'q', which is a part of @whole}}
  dsc.set_global @q, %x : tensor<8x4xf32>
  return
}

// -----

// What it lies in is a global.
// expected-error @below {{lies within @nothing, which is no global}}
dsc.global @global_9_missing : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@nothing, 0>}

// -----

// Of its element type.
// expected-note @below {{global declared here}}
dsc.global @flat : tensor<8xf64> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf64>}
// expected-error @below {{is 'tensor<4xf32>' and lies within 'tensor<8xf64>'}}
dsc.global @global_9_element : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}

// -----

// All of it lies inside.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
// expected-error @below {{of 6 elements at 3 ends outside of 8}}
dsc.global @global_9_outside : tensor<2x3xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2x3xf32>, within = #dsc.place<@flat, 3>}

// -----

// Flat globals lie in no other.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
// expected-note @below {{global declared here}}
dsc.global @middle : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
// expected-error @below {{which lies within another}}
dsc.global @global_9_nested : tensor<2xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2xf32>, within = #dsc.place<@middle, 0>}

// -----

// Entries read the flat global.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
dsc.global @part : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
func.func @get_global_3_place() -> tensor<4xf32> {
  // expected-error @below {{names 'part', which lies within @flat}}
  %0 = dsc.get_global @part : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// And write it.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
dsc.global @part : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
func.func @set_global_4_place(%x: tensor<4xf32>) {
  // expected-error @below {{names 'part', which lies within @flat}}
  dsc.set_global @part, %x : tensor<4xf32>
  return
}

// -----

// One offset a part.
func.func @pack_1(%x: tensor<4xf32>) {
  // expected-error @below {{has 1 parts and 2 offsets}}
  %p = dsc.pack %x {offsets = array<i64: 0, 4>} : (tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// Parts have the result's element type.
func.func @pack_2(%x: tensor<4xf64>) {
  // expected-error @below {{part is 'tensor<4xf64>', result is 'tensor<8xf32>'}}
  %p = dsc.pack %x {offsets = array<i64: 0>} : (tensor<4xf64>) -> tensor<8xf32>
  return
}

// -----

// Parts lie apart from each other.
func.func @pack_3_apart(%x: tensor<4xf32>) {
  // expected-error @below {{part of 4 elements at 3 begins before 4 or ends behind 8}}
  %p = dsc.pack %x, %x {offsets = array<i64: 0, 3>} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// Parts lie inside the result.
func.func @pack_3_inside(%x: tensor<2x2xf32>) {
  // expected-error @below {{part of 4 elements at 5 begins before 0 or ends behind 8}}
  %p = dsc.pack %x {offsets = array<i64: 5>} : (tensor<2x2xf32>) -> tensor<8xf32>
  return
}

// -----

// What is sharded has chunks.
// expected-error @below {{is sharded and 'tensor<2048xf32>' of role state, expected a whole [chunks, elements] of trained, state or compute}}
dsc.global @global_11 : tensor<2048xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2048xf32>, sharded}

// -----

// A run-time value has no owner.
// expected-error @below {{is sharded and 'tensor<1x1xf32>' of role runtime}}
dsc.global @global_11_role : tensor<1x1xf32> {role = #dsc.role<runtime>, value = dense<0.0> : tensor<1x1xf32>, sharded}

// -----

func.func @kernel_10(%x: tensor<3x4xf32>) -> tensor<3x4xf32> {
  // expected-error @below {{of kind elementwise over [3, 4] has no 5 equal chunks}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 3, 4>, row_rank = 0 : i64, owned_chunks = 5 : i64} {
  ^bb0(%a: tensor<3x4xf32>):
    %s = dsc.exp %a : (tensor<3x4xf32>) -> tensor<3x4xf32>
    dsc.yield %s : tensor<3x4xf32>
  } : (tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// A chunk of a row kernel is a row.
func.func @kernel_10_row(%x: tensor<4x8xf32>) -> tensor<4x1xf32> {
  // expected-error @below {{of kind row over [4, 8] has no 2 equal chunks}}
  %y = dsc.kernel (%x) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 4, 8>, row_rank = 1 : i64, owned_chunks = 2 : i64} {
  ^bb0(%a: tensor<4x8xf32>):
    %s = dsc.reduce %a {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    dsc.yield %s : tensor<4x1xf32>
  } : (tensor<4x8xf32>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}
