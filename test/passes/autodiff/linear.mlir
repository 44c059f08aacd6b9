// RUN: dsc-opt %s --dsc-build-entries --canonicalize --cse | FileCheck %s

// A linear model with loss = mean of the outputs and two accumulated micro-batches: the whole of training, to be read.
module attributes {dsc.options = {loss = "mean", optimizer = "adam", accumulate = 2 : i64, weight_decay = 0.0}} {
  dsc.global @weight : tensor<1x10xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "weight", "">}
  dsc.global @bias : tensor<1xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "bias", "">}
  func.func @forward(%x: tensor<4x10xf32> {dsc.name = "x"}) -> (tensor<4x1xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @weight : tensor<1x10xf32>
    %b = dsc.get_global @bias : tensor<1xf32>
    %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x10xf32>, tensor<1x10xf32>) -> tensor<4x1xf32>
    %y = dsc.add %p, %b : (tensor<4x1xf32>, tensor<1xf32>) -> tensor<4x1xf32>
    return %y : tensor<4x1xf32>
  }
  func.func @inference(%x: tensor<4x10xf32> {dsc.name = "x"}) -> (tensor<4x1xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @weight : tensor<1x10xf32>
    %b = dsc.get_global @bias : tensor<1xf32>
    %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x10xf32>, tensor<1x10xf32>) -> tensor<4x1xf32>
    %y = dsc.add %p, %b : (tensor<4x1xf32>, tensor<1xf32>) -> tensor<4x1xf32>
    return %y : tensor<4x1xf32>
  }
}

// Run-time values with the options' defaults; state says what it belongs to.
// CHECK-DAG: dsc.global @rt.lr : tensor<f32> {role = #dsc.role<runtime>, value = dense<1.000000e-03>
// CHECK-DAG: dsc.global @rt.micro_index : tensor<i64> {role = #dsc.role<runtime>
// CHECK-DAG: dsc.global @weight.exp_avg : tensor<1x10xf32> {of = @weight, role = #dsc.role<state>, slot_kind = "exp_avg"
// CHECK-DAG: dsc.global @weight.accumulator : tensor<1x10xf32> {of = @weight, {{.*}}slot_kind = "accumulator"

// The first micro-batch of a step starts the accumulators, the others add to them.
// CHECK-LABEL: func.func @micro(
// CHECK-SAME: %[[X:[^ ]+]]: tensor<4x10xf32> {dsc.name = "x", dsc.role = "input"}) {
// CHECK: %[[INDEX:.+]] = dsc.get_global @rt.micro_index
// CHECK: %[[FIRST:.+]] = dsc.compare %[[INDEX]], {{.*}} {predicate = #dsc.compare_predicate<eq>}
// CHECK: %[[DW:.+]] = dsc.matmul %[[DY:.+]], %[[X]] {transpose_a = true} : (tensor<4x1xf32>, tensor<4x10xf32>) -> tensor<1x10xf32>
// CHECK: %[[OLD:.+]] = dsc.get_global @weight.accumulator
// CHECK: %[[MORE:.+]] = dsc.add %[[OLD]], %[[DW]]
// CHECK: %[[NEW:.+]] = dsc.select %[[FIRST]], %[[DW]], %[[MORE]]
// CHECK: dsc.set_global @weight.accumulator, %[[NEW]]
// CHECK: return{{$}}

// The last one averages, measures, and updates where loss and norm are finite.
// CHECK-LABEL: func.func @last(
// CHECK-SAME: -> (tensor<f32> {dsc.name = "loss"}, tensor<f32> {dsc.name = "grad_norm"}, tensor<f32> {dsc.name = "skipped"})
// CHECK: %[[G:.+]] = dsc.get_global @rt.micro_batches
// CHECK: %[[INVERSE:.+]] = dsc.reciprocal %[[G]]
// CHECK: %[[LOSS:.+]] = dsc.mul %{{.+}}, %[[INVERSE]] : (tensor<f32>, tensor<f32>)
// CHECK: %[[GB:.+]] = dsc.mul %{{.+}}, %[[INVERSE]] : (tensor<1xf32>
// CHECK: %[[GW:.+]] = dsc.mul %{{.+}}, %[[INVERSE]] : (tensor<1x10xf32>
// CHECK: dsc.gradients %[[GB]], %[[GW]] {names = ["bias", "weight"]}
// CHECK: %[[SB:.+]] = dsc.chunk_squares %[[GB]]
// CHECK: %[[SW:.+]] = dsc.chunk_squares %[[GW]]
// CHECK: dsc.concat %[[SB]], %[[SW]]
// CHECK: %[[NORM:.+]] = dsc.sqrt
// CHECK: %[[OK:.+]] = dsc.and
// CHECK: %[[STEP:.+]] = dsc.get_global @state.step
// CHECK: %[[T:.+]] = dsc.add %[[STEP]]
// CHECK: %[[APPLIED:.+]] = dsc.select %[[OK]], %[[T]], %[[STEP]]
// CHECK: dsc.set_global @state.step, %[[APPLIED]]
// The rate is that of the parameter's group, as the schedule's table has it after as many updates.
// CHECK: %[[TABLE:.+]] = dsc.get_global @rt.schedule : tensor<14x4xf64>
// CHECK: %[[K:.+]] = dsc.cast %[[STEP]] : (tensor<f32>) -> tensor<f64>
// CHECK: dsc.compare %[[K]], %{{.+}} {predicate = #dsc.compare_predicate<ge>} : (tensor<f64>, tensor<4xf64>) -> tensor<4xi1>
// CHECK: dsc.cos
// CHECK: %[[OWN:.+]] = dsc.get_global @bias.lr
// CHECK: %[[SCALED:.+]] = dsc.mul %{{.+}}, %[[OWN]]
// CHECK: dsc.add %{{.+}}, %[[SCALED]]
// CHECK: dsc.adam %{{.+}}, %[[GB]], {{.*}}%[[OK]] {decoupled = false}
// CHECK: %[[W1:.+]], %{{.+}}, %{{.+}} = dsc.adam %{{.+}}, %[[GW]], {{.*}}%[[OK]] {decoupled = false}
// CHECK: dsc.set_global @weight, %[[W1]]
// CHECK: return %[[LOSS]], %[[NORM]], %{{.+}}

// CHECK-LABEL: func.func @gather() {

// Evaluation gives sums, so that batches of any weight can be averaged, and every output.
// CHECK-LABEL: func.func @eval(
// CHECK-SAME: %[[WEIGHT:[^ ]+]]: tensor<4xf32> {dsc.name = "sample_weight", dsc.role = "sample_weight"})
// CHECK-SAME: -> (tensor<f32> {dsc.name = "loss_sum"}, tensor<f32> {dsc.name = "loss_weight"}, tensor<4x1xf32> {dsc.name = "y"})
// CHECK-NOT: @forward
