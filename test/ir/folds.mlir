// RUN: dsc-opt %s --canonicalize | FileCheck %s

// Ops that change nothing are their operand.
// CHECK-LABEL: func.func @identities(
// CHECK-SAME: %[[X:.+]]: tensor<2x3xf32>)
// CHECK-NEXT: return %[[X]], %[[X]], %[[X]]
func.func @identities(%x: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>) {
  %a = dsc.reshape %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %b = dsc.broadcast %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %c = dsc.cast %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %a, %b, %c : tensor<2x3xf32>, tensor<2x3xf32>, tensor<2x3xf32>
}

// Bits read twice are read once; those of a constant are known.
// CHECK-LABEL: func.func @bitcasts(
// CHECK-SAME: %[[X:.+]]: tensor<2xf32>)
// CHECK-DAG: %[[ONE:.+]] = dsc.constant dense<1.000000e+00> : tensor<f16>
// CHECK-DAG: %[[LARGE:.+]] = dsc.constant dense<4294967295> : tensor<ui32>
// CHECK-DAG: %[[Y:.+]] = dsc.bitcast %[[X]] : (tensor<2xf32>) -> tensor<2xui32>
// CHECK: return %[[X]], %[[Y]], %[[ONE]], %[[LARGE]]
func.func @bitcasts(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xui32>, tensor<f16>, tensor<ui32>) {
  %i = dsc.bitcast %x : (tensor<2xf32>) -> tensor<2xi32>
  %y = dsc.bitcast %i : (tensor<2xi32>) -> tensor<2xf32>
  %u = dsc.bitcast %i : (tensor<2xi32>) -> tensor<2xui32>
  %bits = dsc.constant dense<15360> : tensor<i16>
  %one = dsc.bitcast %bits : (tensor<i16>) -> tensor<f16>
  %ones = dsc.constant dense<-1> : tensor<i32>
  %large = dsc.bitcast %ones : (tensor<i32>) -> tensor<ui32>
  return %y, %u, %one, %large : tensor<2xf32>, tensor<2xui32>, tensor<f16>, tensor<ui32>
}

// A reshape of a reshape is one of its operand.
// CHECK-LABEL: func.func @reshape_of_reshape(
// CHECK-SAME: %[[X:.+]]: tensor<2x3xf32>)
// CHECK-NEXT: %[[Y:.+]] = dsc.reshape %[[X]] : (tensor<2x3xf32>) -> tensor<3x2xf32>
// CHECK-NEXT: return %[[Y]]
func.func @reshape_of_reshape(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %a = dsc.reshape %x : (tensor<2x3xf32>) -> tensor<6xf32>
  %b = dsc.reshape %a : (tensor<6xf32>) -> tensor<3x2xf32>
  return %b : tensor<3x2xf32>
}

// CHECK-LABEL: func.func @reshape_of_constant
// CHECK-NEXT: dsc.constant dense<{{\[}}[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi64>
// CHECK-NEXT: return
func.func @reshape_of_constant() -> tensor<3x2xi64> {
  %a = dsc.constant dense<[1, 2, 3, 4, 5, 6]> : tensor<6xi64>
  %b = dsc.reshape %a : (tensor<6xi64>) -> tensor<3x2xi64>
  return %b : tensor<3x2xi64>
}

// Two constants give one, rounded to the op's type: 1/3 in f32, and 1/3 in bf16.
// CHECK-LABEL: func.func @binary
// CHECK-DAG: dsc.constant dense<0.333333343> : tensor<f32>
// CHECK-DAG: dsc.constant dense<3.339840e-01> : tensor<bf16>
// CHECK: return
func.func @binary() -> (tensor<f32>, tensor<bf16>) {
  %one = dsc.constant dense<1.0> : tensor<f32>
  %three = dsc.constant dense<3.0> : tensor<f32>
  %half_one = dsc.constant dense<1.0> : tensor<bf16>
  %half_three = dsc.constant dense<3.0> : tensor<bf16>
  %a = dsc.div %one, %three : (tensor<f32>, tensor<f32>) -> tensor<f32>
  %b = dsc.div %half_one, %half_three : (tensor<bf16>, tensor<bf16>) -> tensor<bf16>
  return %a, %b : tensor<f32>, tensor<bf16>
}

// One operand that is no constant keeps the op.
// CHECK-LABEL: func.func @not_all_constant
// CHECK: dsc.add
func.func @not_all_constant(%x: tensor<4xf32>) -> tensor<4xf32> {
  %one = dsc.constant dense<1.0> : tensor<f32>
  %y = dsc.add %x, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// A result too large to stand in the IR is computed when it is needed; one number may be repeated to any size.
// CHECK-LABEL: func.func @too_large
// CHECK-DAG: dsc.constant dense<2.000000e+00> : tensor<100000000xf32>
// CHECK-DAG: dsc.pad
func.func @too_large() -> (tensor<100000000xf32>, tensor<100000000xf32>) {
  %one = dsc.constant dense<1.0> : tensor<f32>
  %two = dsc.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %x = dsc.broadcast %one : (tensor<f32>) -> tensor<100000000xf32>
  %y = dsc.add %x, %one : (tensor<100000000xf32>, tensor<f32>) -> tensor<100000000xf32>
  %z = dsc.pad %two {low = array<i64: 0>, high = array<i64: 99999998>, interior = array<i64: 0>, value = 0.0 : f64} : (tensor<2xf32>) -> tensor<100000000xf32>
  return %y, %z : tensor<100000000xf32>, tensor<100000000xf32>
}

// A broadcast of a broadcast is one of its operand, and a table that is repeated many times is not written out.
// CHECK-LABEL: func.func @broadcasts
// CHECK-DAG: %[[TABLE:.+]] = dsc.constant dense<[1, 2]> : tensor<2xi64>
// CHECK-DAG: dsc.constant dense<{{\[}}[1, 2], [1, 2]]> : tensor<2x2xi64>
// CHECK: dsc.broadcast %[[TABLE]] : (tensor<2xi64>) -> tensor<4000x2x2xi64>
func.func @broadcasts() -> (tensor<2x2xi64>, tensor<4000x2x2xi64>) {
  %table = dsc.constant dense<[1, 2]> : tensor<2xi64>
  %a = dsc.broadcast %table : (tensor<2xi64>) -> tensor<2x2xi64>
  %b = dsc.broadcast %table : (tensor<2xi64>) -> tensor<4000x1x2xi64>
  %c = dsc.broadcast %b : (tensor<4000x1x2xi64>) -> tensor<4000x2x2xi64>
  return %a, %c : tensor<2x2xi64>, tensor<4000x2x2xi64>
}

// Integer divisions that have no result in C do not stop the compiler.
// CHECK-LABEL: func.func @division
// CHECK: return
func.func @division() -> (tensor<i64>, tensor<i64>, tensor<i64>, tensor<i64>) {
  %one = dsc.constant dense<1> : tensor<i64>
  %zero = dsc.constant dense<0> : tensor<i64>
  %least = dsc.constant dense<-9223372036854775808> : tensor<i64>
  %minus_one = dsc.constant dense<-1> : tensor<i64>
  %a = dsc.div %one, %zero : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %b = dsc.mod %one, %zero : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %c = dsc.div %least, %minus_one : (tensor<i64>, tensor<i64>) -> tensor<i64>
  %d = dsc.mod %least, %minus_one : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %a, %b, %c, %d : tensor<i64>, tensor<i64>, tensor<i64>, tensor<i64>
}

// Comparisons with NaN are false but for `ne`; select takes what the condition says.
// CHECK-LABEL: func.func @nan
// CHECK-DAG: %[[FALSE:.+]] = dsc.constant dense<false> : tensor<i1>
// CHECK-DAG: %[[TRUE:.+]] = dsc.constant dense<true> : tensor<i1>
// CHECK-DAG: %[[TWO:.+]] = dsc.constant dense<2.000000e+00> : tensor<f32>
// CHECK: return %[[FALSE]], %[[TRUE]], %[[TRUE]], %[[TWO]]
func.func @nan() -> (tensor<i1>, tensor<i1>, tensor<i1>, tensor<f32>) {
  %nan = dsc.constant dense<0x7FC00000> : tensor<f32>
  %two = dsc.constant dense<2.0> : tensor<f32>
  %le = dsc.compare %nan, %nan {predicate = #dsc.compare_predicate<le>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
  %ne = dsc.compare %nan, %nan {predicate = #dsc.compare_predicate<ne>} : (tensor<f32>, tensor<f32>) -> tensor<i1>
  %is = dsc.is_nan %nan : (tensor<f32>) -> tensor<i1>
  %z = dsc.select %le, %nan, %two : (tensor<i1>, tensor<f32>, tensor<f32>) -> tensor<f32>
  return %le, %ne, %is, %z : tensor<i1>, tensor<i1>, tensor<i1>, tensor<f32>
}

// Float to integer truncates, to boolean asks for zero.
// CHECK-LABEL: func.func @cast
// CHECK-DAG: dsc.constant dense<[-1, 2]> : tensor<2xi32>
// CHECK-DAG: dsc.constant dense<true> : tensor<2xi1>
// CHECK: return
func.func @cast() -> (tensor<2xi32>, tensor<2xi1>) {
  %x = dsc.constant dense<[-1.9, 2.9]> : tensor<2xf32>
  %i = dsc.cast %x : (tensor<2xf32>) -> tensor<2xi32>
  %b = dsc.cast %x : (tensor<2xf32>) -> tensor<2xi1>
  return %i, %b : tensor<2xi32>, tensor<2xi1>
}

// CHECK-LABEL: func.func @movement
// CHECK-DAG: %[[T:.+]] = dsc.constant dense<{{\[}}[1, 4], [2, 5], [3, 6]]> : tensor<3x2xi64>
// CHECK-DAG: %[[S:.+]] = dsc.constant dense<{{\[}}[6, 4], [3, 1]]> : tensor<2x2xi64>
// CHECK-DAG: %[[P:.+]] = dsc.constant dense<{{\[}}[7, 1, 7, 2, 7, 3], [7, 4, 7, 5, 7, 6]]> : tensor<2x6xi64>
// CHECK-DAG: %[[C:.+]] = dsc.constant dense<{{\[}}[1, 2, 3, 1, 2, 3], [4, 5, 6, 4, 5, 6]]> : tensor<2x6xi64>
// CHECK: return %[[T]], %[[S]], %[[P]], %[[C]]
func.func @movement() -> (tensor<3x2xi64>, tensor<2x2xi64>, tensor<2x6xi64>, tensor<2x6xi64>) {
  %x = dsc.constant dense<[[1, 2, 3], [4, 5, 6]]> : tensor<2x3xi64>
  %t = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x3xi64>) -> tensor<3x2xi64>
  %s = dsc.slice %x {starts = array<i64: 1, 2>, sizes = array<i64: 2, 2>, steps = array<i64: -1, -2>} : (tensor<2x3xi64>) -> tensor<2x2xi64>
  %p = dsc.pad %x {low = array<i64: 0, 1>, high = array<i64: 0, 0>, interior = array<i64: 0, 1>, value = 7.0 : f64} : (tensor<2x3xi64>) -> tensor<2x6xi64>
  %c = dsc.concat %x, %x {axis = 1 : i64} : (tensor<2x3xi64>, tensor<2x3xi64>) -> tensor<2x6xi64>
  return %t, %s, %p, %c : tensor<3x2xi64>, tensor<2x2xi64>, tensor<2x6xi64>, tensor<2x6xi64>
}

// Negative indices count from the end.
// CHECK-LABEL: func.func @indexing
// CHECK-DAG: %[[G:.+]] = dsc.constant dense<[30, 10]> : tensor<2xi64>
// CHECK-DAG: %[[E:.+]] = dsc.constant dense<20> : tensor<2xi64>
// CHECK-DAG: %[[A:.+]] = dsc.constant dense<[11, 20, 31]> : tensor<3xi64>
// CHECK: return %[[G]], %[[E]], %[[A]]
func.func @indexing() -> (tensor<2xi64>, tensor<2xi64>, tensor<3xi64>) {
  %x = dsc.constant dense<[10, 20, 30]> : tensor<3xi64>
  %i = dsc.constant dense<[-1, 0]> : tensor<2xi64>
  %j = dsc.constant dense<[1, -2]> : tensor<2xi64>
  %one = dsc.constant dense<1> : tensor<2xi64>
  %g = dsc.gather %x, %i {axis = 0 : i64} : (tensor<3xi64>, tensor<2xi64>) -> tensor<2xi64>
  %e = dsc.gather_elements %x, %j {axis = 0 : i64} : (tensor<3xi64>, tensor<2xi64>) -> tensor<2xi64>
  %a = dsc.scatter_elements %x, %i, %one {axis = 0 : i64, kind = #dsc.scatter_kind<add>} : (tensor<3xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<3xi64>
  return %g, %e, %a : tensor<2xi64>, tensor<2xi64>, tensor<3xi64>
}

// An index that lies outside has no value to fold to.
// CHECK-LABEL: func.func @index_outside
// CHECK: dsc.gather
func.func @index_outside() -> tensor<2xi64> {
  %x = dsc.constant dense<[10, 20, 30]> : tensor<3xi64>
  %i = dsc.constant dense<[9223372036854775807, -9223372036854775808]> : tensor<2xi64>
  %g = dsc.gather %x, %i {axis = 0 : i64} : (tensor<3xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %g : tensor<2xi64>
}

// The first of equal elements wins, or the last; an empty sum is 0.
// CHECK-LABEL: func.func @reductions
// CHECK-DAG: %[[SUM:.+]] = dsc.constant dense<0> : tensor<1xi64>
// CHECK-DAG: %[[MAX:.+]] = dsc.constant dense<5> : tensor<1xi64>
// CHECK-DAG: %[[FIRST:.+]] = dsc.constant dense<1> : tensor<1xi64>
// CHECK-DAG: %[[LAST:.+]] = dsc.constant dense<2> : tensor<1xi64>
// CHECK-DAG: %[[RUNNING:.+]] = dsc.constant dense<[11, 10, 5]> : tensor<3xi64>
// CHECK: return %[[SUM]], %[[MAX]], %[[FIRST]], %[[LAST]], %[[RUNNING]]
func.func @reductions() -> (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<3xi64>) {
  %none = dsc.constant dense<> : tensor<0xi64>
  %x = dsc.constant dense<[1, 5, 5]> : tensor<3xi64>
  %s = dsc.reduce %none {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<0xi64>) -> tensor<1xi64>
  %m = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 0>} : (tensor<3xi64>) -> tensor<1xi64>
  %f = dsc.arg_reduce %x {kind = #dsc.reduce_kind<max>, axis = 0 : i64} : (tensor<3xi64>) -> tensor<1xi64>
  %l = dsc.arg_reduce %x {kind = #dsc.reduce_kind<max>, axis = 0 : i64, select_last = true} : (tensor<3xi64>) -> tensor<1xi64>
  %c = dsc.cumulative %x {kind = #dsc.reduce_kind<sum>, axis = 0 : i64, reverse = true} : (tensor<3xi64>) -> tensor<3xi64>
  return %s, %m, %f, %l, %c : tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<3xi64>
}

// CHECK-LABEL: func.func @softmax
// CHECK-NEXT: dsc.constant dense<5.000000e-01> : tensor<1x2xf32>
func.func @softmax() -> tensor<1x2xf32> {
  %x = dsc.constant dense<3.0> : tensor<1x2xf32>
  %y = dsc.softmax %x {axis = 1 : i64} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  return %y : tensor<1x2xf32>
}
