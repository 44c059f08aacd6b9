// RUN: dsc-opt %s | dsc-opt | FileCheck %s

// A global names the flat one that it lies in, and its first element there.
// CHECK: dsc.global @bias : {{.*}}within = #dsc.place<@flat, 3>
dsc.global @flat : tensor<2x4xf32> {role = #dsc.role<trained>, value = dense<0.0> : tensor<2x4xf32>}
dsc.global @bias : tensor<5xf32> {role = #dsc.role<trained>, source = #dsc.source<"w", "b", "">, within = #dsc.place<@flat, 3>}
