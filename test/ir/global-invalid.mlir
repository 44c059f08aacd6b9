// RUN: dsc-opt %s --split-input-file --verify-diagnostics

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
