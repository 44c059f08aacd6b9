// RUN: dsc-opt %s --dsc-elide-casts | FileCheck %s

module attributes {dsc.options = {precision = "bf16", loss = "none"}} {
  // A pair that widens and rounds again is nothing.
  // CHECK-LABEL: func.func @pair
  // CHECK-SAME: %[[X:[^ ]+]]: tensor<4xbf16>
  // CHECK-NEXT: %[[Y:.+]] = dsc.relu %[[X]]
  // CHECK-NEXT: return %[[Y]]
  func.func @pair(%x: tensor<4xbf16>) -> tensor<4xbf16> {
    %wide = dsc.cast %x : (tensor<4xbf16>) -> tensor<4xf32>
    %again = dsc.cast %wide : (tensor<4xf32>) -> tensor<4xbf16>
    %y = dsc.relu %again : (tensor<4xbf16>) -> tensor<4xbf16>
    return %y : tensor<4xbf16>
  }

  // A pair that rounds and widens is a rounding: it stays.
  // CHECK-LABEL: func.func @rounding_pair
  // CHECK-COUNT-2: dsc.cast
  func.func @rounding_pair(%x: tensor<4xf32>) -> tensor<4xf32> {
    %narrow = dsc.cast %x : (tensor<4xf32>) -> tensor<4xbf16>
    %wide = dsc.cast %narrow : (tensor<4xbf16>) -> tensor<4xf32>
    return %wide : tensor<4xf32>
  }

  // What is widened on the way to another type is cast from the narrow value.
  // CHECK-LABEL: func.func @cast_of_widened
  // CHECK-SAME: %[[X:[^ ]+]]: tensor<4xbf16>
  // CHECK-NEXT: %[[Y:.+]] = dsc.cast %[[X]] : (tensor<4xbf16>) -> tensor<4xi32>
  func.func @cast_of_widened(%x: tensor<4xbf16>) -> tensor<4xi32> {
    %wide = dsc.cast %x : (tensor<4xbf16>) -> tensor<4xf32>
    %y = dsc.cast %wide : (tensor<4xf32>) -> tensor<4xi32>
    return %y : tensor<4xi32>
  }

  // Views move narrow values: the rounding goes before, the widening behind.
  // CHECK-LABEL: func.func @views
  // CHECK-SAME: %[[X:[^ ]+]]: tensor<2x4xf32>, %[[Z:[^ )]+]]: tensor<2x4xbf16>
  // CHECK: dsc.transpose {{.*}} : (tensor<2x4xbf16>) -> tensor<4x2xbf16>
  // CHECK: dsc.transpose {{.*}} : (tensor<2x4xbf16>) -> tensor<4x2xbf16>
  // CHECK: dsc.cast {{.*}} : (tensor<4x2xbf16>) -> tensor<4x2xf32>
  func.func @views(%x: tensor<2x4xf32>, %z: tensor<2x4xbf16>) -> (tensor<4x2xbf16>, tensor<4x2xf32>) {
    %t = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
    %narrow = dsc.cast %t : (tensor<4x2xf32>) -> tensor<4x2xbf16>
    %wide = dsc.cast %z : (tensor<2x4xbf16>) -> tensor<2x4xf32>
    %u = dsc.transpose %wide {permutation = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
    return %narrow, %u : tensor<4x2xbf16>, tensor<4x2xf32>
  }

  // A transpose that others read in f32 keeps its place.
  // CHECK-LABEL: func.func @shared_view
  // CHECK: dsc.transpose {{.*}} : (tensor<2x4xf32>) -> tensor<4x2xf32>
  func.func @shared_view(%x: tensor<2x4xf32>) -> (tensor<4x2xbf16>, tensor<4x2xf32>) {
    %t = dsc.transpose %x {permutation = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
    %narrow = dsc.cast %t : (tensor<4x2xf32>) -> tensor<4x2xbf16>
    return %narrow, %t : tensor<4x2xbf16>, tensor<4x2xf32>
  }

  // A value is rounded once for all its users, and widened by each user for itself.
  // CHECK-LABEL: func.func @once
  // CHECK-SAME: %[[X:[^ ]+]]: tensor<4xf32>, %[[Z:[^ )]+]]: tensor<4xbf16>
  // CHECK: %[[N:.+]] = dsc.cast %[[X]] : (tensor<4xf32>) -> tensor<4xbf16>
  // CHECK-NEXT: dsc.relu %[[N]]
  // CHECK-NEXT: dsc.abs %[[N]]
  // CHECK-NEXT: %[[A:.+]] = dsc.cast %[[Z]]
  // CHECK-NEXT: dsc.exp %[[A]]
  // CHECK-NEXT: %[[B:.+]] = dsc.cast %[[Z]]
  // CHECK-NEXT: dsc.log %[[B]]
  func.func @once(%x: tensor<4xf32>, %z: tensor<4xbf16>) -> (tensor<4xbf16>, tensor<4xbf16>, tensor<4xf32>, tensor<4xf32>) {
    %wide = dsc.cast %z : (tensor<4xbf16>) -> tensor<4xf32>
    %n1 = dsc.cast %x : (tensor<4xf32>) -> tensor<4xbf16>
    %r = dsc.relu %n1 : (tensor<4xbf16>) -> tensor<4xbf16>
    %n2 = dsc.cast %x : (tensor<4xf32>) -> tensor<4xbf16>
    %a = dsc.abs %n2 : (tensor<4xbf16>) -> tensor<4xbf16>
    %e = dsc.exp %wide : (tensor<4xf32>) -> tensor<4xf32>
    %l = dsc.log %wide : (tensor<4xf32>) -> tensor<4xf32>
    return %r, %a, %e, %l : tensor<4xbf16>, tensor<4xbf16>, tensor<4xf32>, tensor<4xf32>
  }
}
