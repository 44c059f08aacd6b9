// RUN: dsc-opt %s --split-input-file --dsc-plan-memory --dsc-verify-plan | FileCheck %s

// Arguments and small results lie in io; a temporary in the arena is free again after its last reader.
// CHECK: dsc.memory = {arena = 128 : i64
// CHECK-LABEL: func.func @eval
// CHECK-SAME: dsc.slot = #dsc.slot<io, 0, 128, 0, 4>
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, 0, 64, 0, 1>
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, 64, 64, 1, 2>
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, 0, 64, 2, 3>
// CHECK: dsc.matmul {{.*}}#dsc.slot<io,
module {
func.func @eval(%x: tensor<4x8xf32> {dsc.name = "x"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %a = dsc.matmul %x, %x {transpose_b = true} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x4xf32>
  %b = dsc.matmul %a, %a : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %c = dsc.matmul %b, %b : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %d = dsc.matmul %c, %c : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %d : tensor<4x4xf32>
}
}

// -----

// An elementwise kernel takes the place of an operand that dies in it, and a view repeats its base's slot.
// CHECK-LABEL: func.func @eval
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, 0, 64, 0, 2>
// CHECK: dsc.reshape {{.*}}#dsc.slot<arena, 0, 64,
// CHECK: dsc.slots = [#dsc.slot<arena, 0, 64, 2, 4>]
module {
func.func @eval(%x: tensor<4x8xf32> {dsc.name = "x"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %a = dsc.matmul %x, %x {transpose_b = true} : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x4xf32>
  %r = dsc.reshape %a : (tensor<4x4xf32>) -> tensor<16xf32>
  %k = dsc.kernel (%r) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 16>, row_rank = 0 : i64} {
  ^bb0(%v: tensor<16xf32>):
    %e = dsc.exp %v : (tensor<16xf32>) -> tensor<16xf32>
    dsc.yield %e : tensor<16xf32>
  } : (tensor<16xf32>) -> tensor<16xf32>
  %m = dsc.reshape %k : (tensor<16xf32>) -> tensor<4x4xf32>
  %d = dsc.matmul %m, %m : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %d : tensor<4x4xf32>
}
}

// -----

// A parameter's new value is written where the parameter lies: nothing reads the old one later.
// CHECK: dsc.global @w {{.*}}slot = #dsc.slot<state, 0, 64, 0, 0>
// CHECK-LABEL: func.func @last
// CHECK: dsc.kernel{{.*}}#dsc.slot<state, 0, 64,
// CHECK-NOT: = dsc.kernel
// CHECK: return
module {
dsc.global @w : tensor<16xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">}
func.func @last(%g: tensor<16xf32> {dsc.name = "g"}) {
  %w = dsc.get_global @w : tensor<16xf32>
  %k = dsc.kernel (%w, %g) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 16>, row_rank = 0 : i64} {
  ^bb0(%v: tensor<16xf32>, %d: tensor<16xf32>):
    %e = dsc.sub %v, %d : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
    dsc.yield %e : tensor<16xf32>
  } : (tensor<16xf32>, tensor<16xf32>) -> tensor<16xf32>
  dsc.set_global @w, %k : tensor<16xf32>
  return
}
}

// -----

// The old value is read after the new one is made: the new one waits in the arena and is copied at set_global.
// CHECK-LABEL: func.func @last
// CHECK: dsc.kernel{{.*}}#dsc.slot<arena,
// CHECK: dsc.matmul
// CHECK: dsc.kernel{{.*}}#dsc.slot<state, 0, 64,
// CHECK: dsc.set_global
module {
dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">}
func.func @last(%g: tensor<4x4xf32> {dsc.name = "g"}) -> (tensor<4x4xf32> {dsc.name = "y"}) {
  %w = dsc.get_global @w : tensor<4x4xf32>
  %k = dsc.kernel (%w, %g) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 4>, row_rank = 0 : i64} {
  ^bb0(%v: tensor<4x4xf32>, %d: tensor<4x4xf32>):
    %e = dsc.sub %v, %d : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
    dsc.yield %e : tensor<4x4xf32>
  } : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %y = dsc.matmul %w, %g : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  dsc.set_global @w, %k : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
}

// -----

// A result that is an argument gets a place of its own by a copy.
// CHECK-LABEL: func.func @eval
// CHECK: dsc.kernel
// CHECK: return
module {
func.func @eval(%x: tensor<4xf32> {dsc.name = "x"}) -> (tensor<4xf32> {dsc.name = "y"}) {
  return %x : tensor<4xf32>
}
}

// -----

// What lies within a flat global has a part of its slot.
// CHECK: dsc.global @flat {{.*}}slot = #dsc.slot<state, 0, 16384, 0, 0>
// CHECK: dsc.global @w {{.*}}slot = #dsc.slot<state, 4096, 48, 0, 0>
module {
dsc.global @flat : tensor<4x1024xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<4x1024xf32>}
dsc.global @w : tensor<4x3xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">, within = #dsc.place<@flat, 1024>}
}

// -----

// The parts of a pack are computed where it lies, from the first one's op on: %b does not lie in its bytes.
// CHECK-LABEL: func.func @last
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, [[A:[0-9]+]], 64, 0, 4>
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, {{[0-9]+}}, 64, 1, 2>
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, [[C:[0-9]+]], 64, 0, 4>
// CHECK-NOT: dsc.kernel
// CHECK: dsc.pack {{.*}}#dsc.slot<arena, [[A]], 192, 0, 4>
module {
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x"}) -> (tensor<4x16xf32> {dsc.name = "y"}) {
  %a = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = dsc.matmul %a, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %c = dsc.matmul %b, %a : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = dsc.pack %a, %c {offsets = array<i64: 0, 24>} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<3x16xf32>
  %d = dsc.matmul %p, %p {transpose_a = true} : (tensor<3x16xf32>, tensor<3x16xf32>) -> tensor<16x16xf32>
  %s = dsc.slice %d {starts = array<i64: 0, 0>, sizes = array<i64: 4, 16>, steps = array<i64: 1, 1>} : (tensor<16x16xf32>) -> tensor<4x16xf32>
  return %s : tensor<4x16xf32>
}
}

// -----

// What lies in another place already is copied: an argument, a global, a part of something larger, a part twice.
// CHECK-LABEL: func.func @last
// CHECK: %[[M:.+]] = dsc.matmul
// CHECK: %[[V:.+]] = dsc.slice
// CHECK: %[[X:.+]] = dsc.kernel(%arg0)
// CHECK: %[[W:.+]] = dsc.kernel(%{{.+}})
// CHECK: %[[S:.+]] = dsc.kernel(%[[V]])
// CHECK: %[[T:.+]] = dsc.kernel(%[[M]])
// CHECK: dsc.pack %[[M]], %[[X]], %[[W]], %[[S]], %[[T]]
module {
dsc.global @w : tensor<16xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "w", "">}
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x"}) -> (tensor<f32> {dsc.name = "y"}) {
  %w = dsc.get_global @w : tensor<16xf32>
  %m = dsc.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %n = dsc.matmul %m, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %v = dsc.slice %n {starts = array<i64: 2, 0>, sizes = array<i64: 2, 4>, steps = array<i64: 1, 1>} : (tensor<4x4xf32>) -> tensor<2x4xf32>
  %p = dsc.pack %m, %x, %w, %v, %m {offsets = array<i64: 0, 16, 32, 48, 64>}
      : (tensor<4x4xf32>, tensor<4x4xf32>, tensor<16xf32>, tensor<2x4xf32>, tensor<4x4xf32>) -> tensor<80xf32>
  %k = dsc.kernel (%p) attributes {kind = #dsc.kernel_kind<row>, domain = array<i64: 80>, row_rank = 0 : i64} {
  ^bb0(%q: tensor<80xf32>):
    %r = dsc.reduce %q {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<80xf32>) -> tensor<1xf32>
    dsc.yield %r : tensor<1xf32>
  } : (tensor<80xf32>) -> tensor<1xf32>
  %y = dsc.reshape %k : (tensor<1xf32>) -> tensor<f32>
  return %y : tensor<f32>
}
}

// -----

// NCCL's slices are all of one length: memory that ranks exchange has room for max_ranks - 1 chunks more, in the arena
// as behind a global that is gathered; what lies in place of an operand needs one with as much room.
// CHECK: dsc.memory = {arena = 256 : i64
// CHECK-SAME: state = 256 : i64
// CHECK: dsc.global @w {{.*}}slot = #dsc.slot<state, 0, 64, 0, 0>
// CHECK: dsc.global @next {{.*}}slot = #dsc.slot<state, 192, 16, 0, 0>
// CHECK-LABEL: func.func @last
// CHECK: dsc.matmul {{.*}}#dsc.slot<arena, 192, 64,
// CHECK: dsc.kernel{{.*}}#dsc.slot<arena, 0, 64,
// CHECK: dsc.reduce_scatter {{.*}}#dsc.slot<arena, 0, 64,
module attributes {dsc.options = {target = "cuda"}, dsc.max_ranks = 8 : i64} {
dsc.global @w : tensor<4x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
dsc.global @next : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "next", "">}
func.func @last(%x: tensor<4x4xf32> {dsc.name = "x"}) {
  %a = dsc.matmul %x, %x {workspace = 0 : i64} : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %k = dsc.kernel (%a) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 4>, row_rank = 0 : i64} {
  ^bb0(%v: tensor<4x4xf32>):
    %e = dsc.exp %v : (tensor<4x4xf32>) -> tensor<4x4xf32>
    dsc.yield %e : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %r = dsc.reduce_scatter %k {id = 0 : i64} : tensor<4x4xf32>
  %d = dsc.wait %r {id = 0 : i64} : tensor<4x4xf32>
  %u = dsc.kernel (%d) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 4, 4>, row_rank = 0 : i64, owned_chunks = 4 : i64} {
  ^bb0(%v: tensor<4x4xf32>):
    %n = dsc.neg %v : (tensor<4x4xf32>) -> tensor<4x4xf32>
    dsc.yield %n : tensor<4x4xf32>
  } : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %g = dsc.all_gather %u {id = 1 : i64} : tensor<4x4xf32>
  dsc.set_global @w, %g : tensor<4x4xf32>
  return
}
}
