// RUN: dsc-opt %s --dsc-build-entries | FileCheck %s

// What --no-decay=norm,bias goes by: parameters of normalizations and vectors that scale are `norm`, vectors that are added
// are `bias`, the bias of a normalization is both; a matrix is neither, whatever is done with it.
// CHECK-DAG: dsc.global @gamma {{.*}}dsc.use = ["norm"]
// CHECK-DAG: dsc.global @beta {{.*}}dsc.use = ["norm", "bias"]
// CHECK-DAG: dsc.global @scale {{.*}}dsc.use = ["norm"]
// CHECK-DAG: dsc.global @bias {{.*}}dsc.use = ["bias"]
// CHECK-NOT: dsc.global @matrix {{.*}}dsc.use
// CHECK-NOT: dsc.global @positions {{.*}}dsc.use
// Each parameter has numbers of its own, with the options' defaults.
// CHECK-DAG: dsc.global @gamma.lr : tensor<f32> {of = @gamma, role = #dsc.role<runtime>, slot_kind = "lr", value = dense<1.000000e-03>
// CHECK-DAG: dsc.global @gamma.weight_decay : tensor<f32> {of = @gamma, {{.*}}value = dense<0.00999999977>
// CHECK-LABEL: func.func @last
module attributes {dsc.options = {loss = "mean", optimizer = "lion"}} {
  dsc.global @gamma : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "gamma", "">}
  dsc.global @beta : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "beta", "">}
  dsc.global @scale : tensor<1x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "scale", "">}
  dsc.global @bias : tensor<8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "bias", "">}
  dsc.global @matrix : tensor<8x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "matrix", "">}
  dsc.global @positions : tensor<4x8xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "positions", "">}
  func.func @forward(%x: tensor<4x8xf32> {dsc.name = "x"}) -> (tensor<4x8xf32> {dsc.name = "y"}) {
    %gamma = dsc.get_global @gamma : tensor<8xf32>
    %beta = dsc.get_global @beta : tensor<8xf32>
    %scale = dsc.get_global @scale : tensor<1x8xf32>
    %bias = dsc.get_global @bias : tensor<8xf32>
    %matrix = dsc.get_global @matrix : tensor<8x8xf32>
    %positions = dsc.get_global @positions : tensor<4x8xf32>
    %p = dsc.add %x, %positions : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %n, %mean, %rstd = dsc.layer_norm %p gamma %gamma beta %beta {axis = 1 : i64, epsilon = 1.0e-5 : f64}
        : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>, tensor<4x1xf32>)
    %m = dsc.matmul %n, %matrix : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    %row = dsc.reshape %bias : (tensor<8xf32>) -> tensor<1x8xf32>
    %b = dsc.add %m, %row : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    %y = dsc.mul %b, %scale : (tensor<4x8xf32>, tensor<1x8xf32>) -> tensor<4x8xf32>
    return %y : tensor<4x8xf32>
  }
  func.func @inference(%x: tensor<4x8xf32> {dsc.name = "x"}) -> (tensor<4x8xf32> {dsc.name = "y"}) {
    return %x : tensor<4x8xf32>
  }
}
