// RUN: dsc-opt %s --verify-roundtrip | FileCheck %s
// RUN: dsc-opt %s --mlir-print-debuginfo | FileCheck %s --check-prefix=LOCATION

// The tool reads and prints the dialect, and keeps the name of the ONNX node as the op's location.
// CHECK-LABEL: func.func @broadcast_keeps_location
// CHECK: %[[SUM:.+]] = dsc.add %{{.+}}, %{{.+}} : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
// CHECK: return %[[SUM]]
// LOCATION: dsc.add {{.*}}loc(#[[NODE:loc.*]])
// LOCATION: #[[NODE]] = loc("h.0/mlp/Add")
func.func @broadcast_keeps_location(%x: tensor<4x8xf32>, %bias: tensor<8xf32>) -> tensor<4x8xf32> {
  %sum = dsc.add %x, %bias : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32> loc("h.0/mlp/Add")
  return %sum : tensor<4x8xf32>
}
