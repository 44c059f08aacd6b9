// RUN: dsc-opt %s --dsc-insert-casts --split-input-file | FileCheck %s

module attributes {dsc.options = {precision = "bf16", loss = "none"}} {
  dsc.global @w : tensor<8x4xf32> {role = #dsc.role<trained>, source = #dsc.source<"m.onnx", "w", "">}
  dsc.global @seen : tensor<4xf32> {role = #dsc.role<buffer>, source = #dsc.source<"m.onnx", "seen", "">}

  // What computes in half is cast back at once, and cast again by the next op; parameters are rounded where they are read.
  // CHECK-LABEL: func.func @half_then_follow
  // CHECK-SAME: %[[X:[^ ]+]]: tensor<2x8xf32>
  func.func @half_then_follow(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
    // CHECK: %[[W:.+]] = dsc.get_global @w
    // CHECK: %[[ROUNDED:.+]] = dsc.cast %[[W]] : (tensor<8x4xf32>) -> tensor<8x4xbf16>
    // CHECK: %[[WIDE:.+]] = dsc.cast %[[ROUNDED]] : (tensor<8x4xbf16>) -> tensor<8x4xf32>
    // CHECK: %[[A:.+]] = dsc.cast %[[X]] : (tensor<2x8xf32>) -> tensor<2x8xbf16>
    // CHECK: %[[B:.+]] = dsc.cast %[[WIDE]] : (tensor<8x4xf32>) -> tensor<8x4xbf16>
    // CHECK: %[[P:.+]] = dsc.matmul %[[A]], %[[B]] : (tensor<2x8xbf16>, tensor<8x4xbf16>) -> tensor<2x4xbf16>
    // CHECK: %[[P32:.+]] = dsc.cast %[[P]]
    // CHECK: %[[P16:.+]] = dsc.cast %[[P32]]
    // CHECK: %[[Y:.+]] = dsc.relu %[[P16]] : (tensor<2x4xbf16>)
    // CHECK: %[[Y32:.+]] = dsc.cast %[[Y]]
    // CHECK: return %[[Y32]]
    %w = dsc.get_global @w : tensor<8x4xf32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %y = dsc.relu %p : (tensor<2x4xf32>) -> tensor<2x4xf32>
    return %y : tensor<2x4xf32>
  }

  // Ops of class float take the f32 value; one f32 operand keeps a following op in f32, a constant does not.
  // CHECK-LABEL: func.func @float_and_constants
  func.func @float_and_constants(%x: tensor<2x8xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
    // CHECK: %[[P:.+]] = dsc.matmul {{.*}}bf16
    // CHECK: %[[P32:.+]] = dsc.cast %[[P]]
    // CHECK: %[[E:.+]] = dsc.exp %[[P32]] : (tensor<2x4xf32>)
    // CHECK: %[[M:.+]] = dsc.mul %[[P32]], %[[E]] : (tensor<2x4xf32>
    // CHECK: %[[HALF:.+]] = dsc.constant dense<5.000000e-01> : tensor<bf16>
    // CHECK: dsc.mul %{{.+}}, %[[HALF]] : (tensor<2x4xbf16>, tensor<bf16>) -> tensor<2x4xbf16>
    %w = dsc.get_global @w : tensor<8x4xf32>
    %half = dsc.constant dense<0.5> : tensor<f32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %e = dsc.exp %p : (tensor<2x4xf32>) -> tensor<2x4xf32>
    %m = dsc.mul %p, %e : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    %s = dsc.mul %p, %half : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
    return %m, %s : tensor<2x4xf32>, tensor<2x4xf32>
  }

  // A norm reads and writes half; its statistics, and those that its gradient reads, are f32.
  // CHECK-LABEL: func.func @norm
  func.func @norm(%x: tensor<2x8xf32>, %g: tensor<2x4xf32>) -> tensor<2x4xf32> {
    // CHECK: %[[Y:.+]], %[[MEAN:.+]], %[[RSTD:.+]] = dsc.layer_norm {{.*}} -> (tensor<2x4xbf16>, tensor<2x1xf32>, tensor<2x1xf32>)
    // CHECK: dsc.layer_norm_grad %{{.+}}, %[[MEAN]], %[[RSTD]], %{{.+}} : (tensor<2x4xbf16>, tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x4xbf16>) -> tensor<2x4xbf16>
    %w = dsc.get_global @w : tensor<8x4xf32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %y, %mean, %rstd = dsc.layer_norm %p {axis = 1 : i64, epsilon = 1.0e-5 : f64}
        : (tensor<2x4xf32>) -> (tensor<2x4xf32>, tensor<2x1xf32>, tensor<2x1xf32>)
    %dx = dsc.layer_norm_grad %p, %mean, %rstd, %y {axis = 1 : i64}
        : (tensor<2x4xf32>, tensor<2x1xf32>, tensor<2x1xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
    return %dx : tensor<2x4xf32>
  }

  // The gradient of a constant (a bias under --loss=mean) is rounded like the others, and what follows reads it rounded.
  // CHECK-LABEL: func.func @constant_gradient
  func.func @constant_gradient(%x: tensor<2x8xf32>) -> tensor<1xf32> {
    // CHECK: %[[ROUNDED:.+]] = dsc.constant dense<1.000980e-01> : tensor<4xbf16>
    // CHECK: dsc.gradients %{{.+}}, %[[ROUNDED]] {names = ["w", "seen"]} : tensor<8x4xbf16>, tensor<4xbf16>
    // CHECK: %[[READ:.+]] = dsc.cast %[[ROUNDED]] : (tensor<4xbf16>) -> tensor<4xf32>
    // CHECK: %[[AGAIN:.+]] = dsc.cast %[[READ]] : (tensor<4xf32>) -> tensor<4xbf16>
    // CHECK: dsc.chunk_squares %[[AGAIN]]
    %w = dsc.get_global @w : tensor<8x4xf32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %dw = dsc.matmul %x, %p {transpose_a = true} : (tensor<2x8xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
    %db = dsc.constant dense<0.1> : tensor<4xf32>
    dsc.gradients %dw, %db {names = ["w", "seen"]} : tensor<8x4xf32>, tensor<4xf32>
    %s = dsc.chunk_squares %db : (tensor<4xf32>) -> tensor<1xf32>
    return %s : tensor<1xf32>
  }

  // Statistics that training updates stay f32, and what meets them.
  // CHECK-LABEL: func.func @written_buffer
  func.func @written_buffer(%x: tensor<2x8xf32>) -> tensor<2x4xf32> {
    // CHECK: %[[S:.+]] = dsc.get_global @seen
    // CHECK: dsc.sub %{{.+}}, %[[S]] : (tensor<2x4xf32>, tensor<4xf32>)
    %w = dsc.get_global @w : tensor<8x4xf32>
    %s = dsc.get_global @seen : tensor<4xf32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %y = dsc.sub %p, %s : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
    dsc.set_global @seen, %s : tensor<4xf32>
    return %y : tensor<2x4xf32>
  }
}

// -----

// The largest f32, a mask's, becomes the largest f16; under fp32 and tf32 nothing is touched (below).
// CHECK-LABEL: func.func @finite_mask
module attributes {dsc.options = {precision = "fp16", loss = "none"}} {
  func.func @finite_mask(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
    // CHECK: dsc.constant dense<[0.000000e+00, -6.550400e+04]> : tensor<2xf16>
    %mask = dsc.constant dense<[0.0, -3.4028234663852886e+38]> : tensor<2xf32>
    %p = dsc.matmul %x, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    %y = dsc.add %p, %mask : (tensor<2x2xf32>, tensor<2xf32>) -> tensor<2x2xf32>
    return %y : tensor<2x2xf32>
  }
}

// -----

// Attention's masks hide by -inf, whatever large finite number they are written with; what only weighs stays.
// CHECK-LABEL: func.func @attention_masks
// CHECK-SAME: %[[X:[^ ]+]]: tensor<1x4x24xf32>, %[[MASK:[^ ]+]]: tensor<1x1x4x4xf32>
module attributes {dsc.options = {precision = "bf16", loss = "none"}} {
  func.func @attention_masks(%x: tensor<1x4x24xf32>, %mask: tensor<1x1x4x4xf32>) -> (tensor<1x4x8xf32>, tensor<1x4x8xf32>) {
    // CHECK: %[[BOUND:.+]] = dsc.constant dense<-3.276800e+04> : tensor<f32>
    // CHECK: %[[HIDES:.+]] = dsc.compare %[[MASK]], %[[BOUND]] {predicate = #dsc.compare_predicate<le>}
    // CHECK: %[[HIDDEN:.+]] = dsc.constant dense<0xFF800000> : tensor<f32>
    // CHECK: %[[WIDE:.+]] = dsc.select %[[HIDES]], %[[HIDDEN]], %[[MASK]]
    // CHECK: %[[NARROW:.+]] = dsc.cast %[[WIDE]] : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xbf16>
    // CHECK: dsc.attention %{{.+}} mask %[[NARROW]]
    %a, %l = dsc.attention %x mask %mask {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<1x4x24xf32>, tensor<1x1x4x4xf32>) -> (tensor<1x4x8xf32>, tensor<1x2x4xf32>)
    // CHECK: %[[CONSTANT:.+]] = dsc.constant dense<{{\[\[\[\[}}0.000000e+00, -9.984000e+03, 0xFF80, 0xFF80]]]]> : tensor<1x1x1x4xbf16>
    // CHECK: dsc.attention %{{.+}} mask %[[CONSTANT]]
    %c = dsc.constant dense<[[[[0.0, -1.0e4, -1.0e9, -3.4028234663852886e+38]]]]> : tensor<1x1x1x4xf32>
    %b, %m = dsc.attention %x mask %c {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<1x4x24xf32>, tensor<1x1x1x4xf32>) -> (tensor<1x4x8xf32>, tensor<1x2x4xf32>)
    return %a, %b : tensor<1x4x8xf32>, tensor<1x4x8xf32>
  }
}

// -----

// CHECK-LABEL: func.func @single
// CHECK-NOT: dsc.cast
module attributes {dsc.options = {precision = "tf32", loss = "none"}} {
  func.func @single(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %p = dsc.matmul %x, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
    return %p : tensor<2x2xf32>
  }
}
