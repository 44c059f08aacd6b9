// RUN: dsc-opt %s --split-input-file --verify-diagnostics --dsc-verify-plan

// A value whose place is given away while it is still read.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note @below {{overwritten by this dsc.matmul}}
  %b = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 32, 64, 1, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{reads a value whose bytes #dsc.slot<arena, 0, 64, 0, 2> it no longer owns}}
  %c = dsc.matmul %a, %b {dsc.slots = [#dsc.slot<arena, 128, 64, 2, 3>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %c : tensor<4x4xf32>
}
}

// -----

// A library call must not write over its operand.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{overwrites its own operand}}
  %b = dsc.matmul %a, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 1, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %b : tensor<4x4xf32>
}
}

// -----

// Scratch lies apart from operands and results.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  // expected-error @below {{results or scratch overlap}}
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 1>], dsc.scratch = #dsc.slot<arena, 32, 64, 0, 0>}
      : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %a : tensor<4x4xf32>
}
}

// -----

// set_global finds its value where the global lies.
module {
dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">, slot = #dsc.slot<state, 0, 64, 0, 0>}
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{the global at #dsc.slot<state, 0, 64, 0, 0>}}
  dsc.set_global @w, %a : tensor<4x4xf32>
  return
}
}

// -----

// A slot has its value's size.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  // expected-error @below {{has not the size of}}
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 32, 0, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %a : tensor<4x4xf32>
}
}

// -----

// What lies within a flat global has its bytes there.
module {
dsc.global @flat : tensor<16xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<16xf32>, slot = #dsc.slot<state, 0, 64, 0, 0>}
// expected-error @below {{lies at #dsc.slot<state, 64, 16, 0, 0>, its flat global at #dsc.slot<state, 0, 64, 0, 0>}}
dsc.global @w : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">, within = #dsc.place<@flat, 12>,
    slot = #dsc.slot<state, 64, 16, 0, 0>}
func.func @last() {
  return
}
}

// -----

// A part lies where its pack does.
module {
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{part lies at #dsc.slot<arena, 0, 64, 0, 1>, the pack at #dsc.slot<arena, 0, 128, 0, 1>}}
  %p = dsc.pack %a {offsets = array<i64: 16>, dsc.slots = [#dsc.slot<arena, 0, 128, 0, 1>]} : (tensor<4x4xf32>) -> tensor<32xf32>
  return
}
}

// -----

// A part that was overwritten before the pack.
module {
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note @below {{overwritten by this dsc.matmul}}
  %b = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 32, 64, 1, 1>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{reads a value whose bytes #dsc.slot<arena, 0, 64, 0, 2> it no longer owns}}
  %p = dsc.pack %a {offsets = array<i64: 0>, dsc.slots = [#dsc.slot<arena, 0, 128, 0, 2>]} : (tensor<4x4xf32>) -> tensor<32xf32>
  return
}
}

// -----

// What a collective works on is not read before its wait.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = dsc.all_gather %a {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : tensor<4x4xf32>
  // expected-error @below {{reads the result of a collective before its wait}}
  %b = dsc.matmul %x, %r {dsc.slots = [#dsc.slot<arena, 64, 64, 2, 3>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %b : tensor<4x4xf32>
}
}

// -----

// What it works on is not what it was.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 4>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note @below {{overwritten by this dsc.reduce_scatter}}
  %r = dsc.reduce_scatter %a {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : tensor<4x4xf32>
  %w = dsc.wait %r {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : tensor<4x4xf32>
  // expected-error @below {{it no longer owns}}
  %b = dsc.matmul %a, %w {dsc.slots = [#dsc.slot<arena, 64, 64, 2, 3>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %b : tensor<4x4xf32>
}
}

// -----

// It works in place.
module {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-error @below {{is not that of its operand}}
  %r = dsc.reduce_scatter %a {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 64, 64, 0, 2>]} : tensor<4x4xf32>
  return %r : tensor<4x4xf32>
}
}

// -----

// A gather that an entry leaves under way is waited for in the next one.
module {
dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">, slot = #dsc.slot<state, 0, 64, 0, 0>}
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<state, 0, 64, 0, 2>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = dsc.all_gather %a {id = 0 : i64, dsc.slots = [#dsc.slot<state, 0, 64, 0, 2>]} : tensor<4x4xf32>
  dsc.set_global @w, %r : tensor<4x4xf32>
  return
}
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 3>}) -> tensor<4x4xf32> {
  %w = dsc.get_global @w {dsc.slots = [#dsc.slot<state, 0, 64, 0, 2>]} : tensor<4x4xf32>
  // expected-error @below {{reads the result of a collective before its wait}}
  %b = dsc.matmul %x, %w {dsc.slots = [#dsc.slot<arena, 64, 64, 2, 3>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %b : tensor<4x4xf32>
}
}

// -----

// NCCL writes behind what it works on, up to the wait.
module attributes {dsc.options = {target = "cuda"}, dsc.max_ranks = 3 : i64} {
func.func @eval(%x: tensor<4x4xf32> {dsc.name = "x", dsc.slot = #dsc.slot<io, 0, 64, 0, 5>}) -> tensor<4x4xf32> {
  %a = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 0, 64, 0, 4>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  // expected-note @below {{overwritten by this dsc.reduce_scatter}}
  %r = dsc.reduce_scatter %a {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 0, 64, 0, 4>]} : tensor<4x4xf32>
  %b = dsc.matmul %x, %x {dsc.slots = [#dsc.slot<arena, 64, 64, 2, 4>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %w = dsc.wait %r {id = 0 : i64, dsc.slots = [#dsc.slot<arena, 0, 64, 0, 4>]} : tensor<4x4xf32>
  // expected-error @below {{it no longer owns}}
  %c = dsc.matmul %b, %w {dsc.slots = [#dsc.slot<arena, 128, 64, 4, 5>]} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %c : tensor<4x4xf32>
}
}
