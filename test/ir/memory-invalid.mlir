// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// Rule global_5: a compute global has the shape of what it copies.
dsc.global @w : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
// expected-error@+1 {{of role compute is 'tensor<5xbf16>', what it copies is 'tensor<4xf32>'}}
dsc.global @global_5 : tensor<5xbf16> {role = #dsc.role<compute>, of = @w, slot_kind = "compute", value = dense<0.0> : tensor<5xbf16>}

// -----

// Rule global_3: it starts at a splat, like state.
dsc.global @w : tensor<2xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
// expected-error@+1 {{of role compute must start at a splat value}}
dsc.global @global_3 : tensor<2xbf16> {role = #dsc.role<compute>, of = @w, value = dense<[0.0, 1.0]> : tensor<2xbf16>}
