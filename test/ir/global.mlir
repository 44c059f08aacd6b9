// RUN: dsc-opt %s | dsc-opt | FileCheck %s

// A part reads back as it was written: rows of a larger parameter, and a part that lies transposed in padding.
// CHECK: dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@qk, [0, 0], [0, 1]>}
// CHECK: dsc.global @k : tensor<4x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">, storage = #dsc.storage<@qk, [8, 1], [1, 0]>}
dsc.global @qk : tensor<16x5xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<16x5xf32>}
dsc.global @q : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "q", "">, storage = #dsc.storage<@qk, [0, 0], [0, 1]>}
dsc.global @k : tensor<4x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "k", "">, storage = #dsc.storage<@qk, [8, 1], [1, 0]>}
