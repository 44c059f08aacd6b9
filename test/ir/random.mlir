// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s

// What every op of the family accepts, read and printed: operands and attributes in all their forms.

// CHECK-LABEL: func.func @random
func.func @random(%s: tensor<i64>, %t: tensor<i64>, %b: tensor<i64>) {
  // CHECK: dsc.random %{{.+}}, %{{.+}}, %{{.+}} {distribution = #dsc.distribution<uniform>, number = 3 : i64}
  %u = dsc.random %s, %t, %b {distribution = #dsc.distribution<uniform>, number = 3 : i64}
      : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<8x16xf32>
  // CHECK: dsc.random %{{.+}}, %{{.+}}, %{{.+}} {distribution = #dsc.distribution<normal>, number = 4 : i64}
  %n = dsc.random %s, %t, %b {distribution = #dsc.distribution<normal>, number = 4 : i64}
      : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<8xf64>
  return
}
