// RUN: dsc-opt %s --dsc-differentiate --canonicalize --cse | FileCheck %s
// RUN: dsc-opt %s --dsc-differentiate --mlir-print-debuginfo | FileCheck %s --check-prefix=LOCATION

// Transposes stand in the products' flags: no transpose op.
// CHECK-LABEL: func.func @matmul_flags
// CHECK-SAME: %[[A:[^ ]+]]: tensor<3x5xf32>, %[[B:[^ ]+]]: tensor<2x5xf32>, %[[DC:[^ ]+]]: tensor<3x2xf32>)
// CHECK-NOT: dsc.transpose
// CHECK-DAG: %[[DA:.+]] = dsc.matmul %[[DC]], %[[B]] : (tensor<3x2xf32>, tensor<2x5xf32>) -> tensor<3x5xf32>
// CHECK-DAG: %[[DB:.+]] = dsc.matmul %[[DC]], %[[A]] {transpose_a = true} : (tensor<3x2xf32>, tensor<3x5xf32>) -> tensor<2x5xf32>
// CHECK: return %{{.+}}, %[[DA]], %[[DB]]
func.func @matmul_flags(%a: tensor<3x5xf32>, %b: tensor<2x5xf32>) -> tensor<3x2xf32> {
  %c = dsc.matmul %a, %b {transpose_b = true} : (tensor<3x5xf32>, tensor<2x5xf32>) -> tensor<3x2xf32>
  return %c : tensor<3x2xf32>
}

// The gradient of a weight that a whole batch shares is one product over all rows, not a batch of products and a sum.
// CHECK-LABEL: func.func @matmul_one_product_for_the_batch
// CHECK-SAME: %[[A:[^ ]+]]: tensor<2x3x5xf32>, %{{[^ ]+}}: tensor<5x4xf32>, %[[DC:[^ ]+]]: tensor<2x3x4xf32>)
// CHECK-DAG: %[[ROWS_A:.+]] = dsc.reshape %[[A]] : (tensor<2x3x5xf32>) -> tensor<6x5xf32>
// CHECK-DAG: %[[ROWS_C:.+]] = dsc.reshape %[[DC]] : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
// CHECK: dsc.matmul %[[ROWS_A]], %[[ROWS_C]] {transpose_a = true} : (tensor<6x5xf32>, tensor<6x4xf32>) -> tensor<5x4xf32>
// CHECK-NOT: dsc.reduce
func.func @matmul_one_product_for_the_batch(%a: tensor<2x3x5xf32>, %b: tensor<5x4xf32>) -> tensor<2x3x4xf32> {
  %c = dsc.matmul %a, %b : (tensor<2x3x5xf32>, tensor<5x4xf32>) -> tensor<2x3x4xf32>
  return %c : tensor<2x3x4xf32>
}

// A bias gets the sum over everything it was repeated along, in one reduction.
// CHECK-LABEL: func.func @broadcast_bias
// CHECK-SAME: %[[DZ:[^ ]+]]: tensor<2x3x4xf32>)
// CHECK: %[[SUM:.+]] = dsc.reduce %[[DZ]] {axes = array<i64: 0, 1>, kind = #dsc.reduce_kind<sum>}
// CHECK: %[[DB:.+]] = dsc.reshape %[[SUM]] : (tensor<1x1x4xf32>) -> tensor<4xf32>
// CHECK: return %{{.+}}, %[[DZ]], %[[DB]]
func.func @broadcast_bias(%x: tensor<2x3x4xf32>, %b: tensor<4xf32>) -> tensor<2x3x4xf32> {
  %z = dsc.add %x, %b : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  return %z : tensor<2x3x4xf32>
}

// Contributions to a value are added from its last use to its first.
// CHECK-LABEL: func.func @uses_from_last_to_first
// CHECK-SAME: %[[X:[^ ]+]]: tensor<4xf32>, %[[D1:[^ ]+]]: tensor<4xf32>, %[[D2:[^ ]+]]: tensor<4xf32>, %[[D3:[^ ]+]]: tensor<4xf32>)
// CHECK: %[[FROM_LAST:.+]] = dsc.neg %[[D3]]
// CHECK: %[[FROM_EXP:.+]] = dsc.mul %[[D2]], %{{.+}}
// CHECK: %[[FROM_TANH:.+]] = dsc.mul %[[D1]]
// CHECK: %[[TWO:.+]] = dsc.add %[[FROM_LAST]], %[[FROM_EXP]]
// CHECK: dsc.add %[[TWO]], %[[FROM_TANH]]
func.func @uses_from_last_to_first(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %t = dsc.tanh %x : (tensor<4xf32>) -> tensor<4xf32>
  %e = dsc.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %n = dsc.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  return %t, %e, %n : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// The zero of a branch that was not taken stays a zero behind log's infinite slope: the product is inside the select.
// CHECK-LABEL: func.func @select_guards_slopes
// CHECK-SAME: %[[X:[^ ]+]]: tensor<4xf32>, %[[DZ:[^ ]+]]: tensor<4xf32>)
// CHECK: %[[C:.+]] = dsc.compare
// CHECK: %[[SLOPE:.+]] = dsc.div %[[DZ]], %[[X]]
// CHECK: %[[DX:.+]] = dsc.select %[[C]], %[[SLOPE]], %{{.+}}
// CHECK: return %{{.+}}, %[[DX]]
func.func @select_guards_slopes(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = dsc.constant dense<0.0> : tensor<f32>
  %c = dsc.compare %x, %zero {predicate = #dsc.compare_predicate<gt>} : (tensor<4xf32>, tensor<f32>) -> tensor<4xi1>
  %l = dsc.log %x : (tensor<4xf32>) -> tensor<4xf32>
  %z = dsc.select %c, %l, %zero : (tensor<4xi1>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %z : tensor<4xf32>
}

// Steps, integers and comparisons end a path: the gradient is 0, and no op is written for it.
// CHECK-LABEL: func.func @no_path
// CHECK-SAME: %[[X:[^ ]+]]: tensor<4xf32>, %{{[^ ]+}}: tensor<4xf32>)
// CHECK: %[[ZERO:.+]] = dsc.constant dense<0.000000e+00> : tensor<4xf32>
// CHECK-NEXT: %[[Y:.+]] = dsc.floor %[[X]]
// CHECK-NEXT: return %[[Y]], %[[ZERO]]
func.func @no_path(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = dsc.floor %x : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// Gradient ops carry the forward op's name.
// LOCATION-DAG: #[[NODE:loc[0-9]+]] = loc("h.0/act/Tanh")
// LOCATION-DAG: #{{loc[0-9]+}} = loc("grad"(#[[NODE]]))
func.func @location(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = dsc.tanh %x : (tensor<4xf32>) -> tensor<4xf32> loc("h.0/act/Tanh")
  return %y : tensor<4xf32>
}
