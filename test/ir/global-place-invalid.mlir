// RUN: dsc-opt %s --split-input-file --verify-diagnostics

// global_9: what it lies in is a global.
// expected-error @below {{lies within @nothing, which is no global}}
dsc.global @global_9a : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@nothing, 0>}

// -----

// global_9: of its element type.
// expected-note @below {{global declared here}}
dsc.global @flat : tensor<8xf64> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf64>}
// expected-error @below {{is 'tensor<4xf32>' and lies within 'tensor<8xf64>'}}
dsc.global @global_9b : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}

// -----

// global_9: all of it lies inside.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
// expected-error @below {{of 6 elements at 3 ends outside of 8}}
dsc.global @global_9c : tensor<2x3xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2x3xf32>, within = #dsc.place<@flat, 3>}

// -----

// global_9: flat globals lie in no other.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
// expected-note @below {{global declared here}}
dsc.global @middle : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
// expected-error @below {{which lies within another}}
dsc.global @global_9d : tensor<2xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<2xf32>, within = #dsc.place<@middle, 0>}

// -----

// get_global_3: entries read the flat global.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
dsc.global @part : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
func.func @get_global_3() -> tensor<4xf32> {
  // expected-error @below {{names 'part', which lies within @flat}}
  %0 = dsc.get_global @part : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// set_global_4: and write it.
dsc.global @flat : tensor<8xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<8xf32>}
dsc.global @part : tensor<4xf32> {role = #dsc.role<state>, value = dense<0.0> : tensor<4xf32>, within = #dsc.place<@flat, 0>}
func.func @set_global_4(%x: tensor<4xf32>) {
  // expected-error @below {{names 'part', which lies within @flat}}
  dsc.set_global @part, %x : tensor<4xf32>
  return
}
