// RUN: dsc-opt %s --split-input-file --verify-diagnostics --dsc-form-buckets

// A bucket is written whole or not at all.
module {
dsc.global @a : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">}
dsc.global @b : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "b", "">}
// expected-error @below {{writes a part of bucket.0, but not that of 'b'}}
func.func @last(%x: tensor<4xf32> {dsc.name = "x"}) {
  dsc.gradients %x, %x {names = ["a", "b"]} : tensor<4xf32>, tensor<4xf32>
  dsc.set_global @a, %x : tensor<4xf32>
  return
}
}

// -----

// A read behind the write of the same parameter would see the old value.
module {
dsc.global @a : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">}
func.func @last(%x: tensor<4xf32> {dsc.name = "x"}) -> (tensor<4xf32> {dsc.name = "y"}) {
  dsc.gradients %x {names = ["a"]} : tensor<4xf32>
  dsc.set_global @a, %x : tensor<4xf32>
  // expected-error @below {{reads 'a' after it was written in this entry}}
  %a = dsc.get_global @a : tensor<4xf32>
  return %a : tensor<4xf32>
}
}

// -----

// Gradients belong to parameters.
module {
func.func @last(%x: tensor<5xf32> {dsc.name = "x"}) {
  // expected-error @below {{names 'a', which is no parameter}}
  dsc.gradients %x {names = ["a"]} : tensor<5xf32>
  return
}
}

// -----

// Gradients have their parameter's shape.
module {
dsc.global @a : tensor<4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "a", "">}
func.func @last(%x: tensor<5xf32> {dsc.name = "x"}) {
  // expected-error @below {{gradient of 'a' is 'tensor<5xf32>', the parameter is 'tensor<4xf32>'}}
  dsc.gradients %x {names = ["a"]} : tensor<5xf32>
  return
}
}
