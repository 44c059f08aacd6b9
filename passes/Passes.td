//===- All passes of dsc, in pipeline order -----------------------------===//

#ifndef DSC_PASSES_TD
#define DSC_PASSES_TD

include "mlir/Pass/PassBase.td"

// Passes that only improve the program have this option: without any of their rewrites, or with the
// first N, the result is the same within rounding. It is what `--disable` and `--pass-limit` set.
defvar limitOption = Option<"limit", "limit", "int64_t", /*default=*/"-1",
    "at most this many rewrites; -1: all of them">;

// raise

def CanonicalizeViews : Pass<"dsc-canonicalize-views", "::mlir::ModuleOp"> {
  let summary = "Removes changes of layout that undo each other, and ops that change nothing";
  let options = [limitOption];
  let description = [{
    Assumes: nothing. Guarantees: reshapes and transposes that leave the elements in order are one reshape; transposes
    and slices of their own kind are one; x * 1, x / 1, x + 0, x - 0, whole slices and pads by nothing are gone.

    Before:
    ```mlir
    %a = dsc.transpose %x {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x4x3x8xf32>) -> tensor<2x3x4x8xf32>
    %y = dsc.transpose %a {permutation = array<i64: 0, 2, 1, 3>} : (tensor<2x3x4x8xf32>) -> tensor<2x4x3x8xf32>
    %z = dsc.mul %y, %one : (tensor<2x4x3x8xf32>, tensor<f32>) -> tensor<2x4x3x8xf32>
    ```
    ==> `%x` in the place of `%z`.
  }];
}

def CanonicalizeContractions : Pass<"dsc-canonicalize-contractions", "::mlir::ModuleOp"> {
  let summary = "Transposes of operands become flags of matrix products; flattened rows get their dimensions back";
  let options = [limitOption];
  let description = [{
    Assumes: nothing. Guarantees: no product has an operand that is a transpose of its last two dimensions; a product
    of rows that were flattened for it alone has the dimensions that they had before.

    Before:
    ```mlir
    %f = dsc.reshape %x : (tensor<2x3x8xf32>) -> tensor<6x8xf32>
    %t = dsc.transpose %w {permutation = array<i64: 1, 0>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
    %m = dsc.matmul %f, %t : (tensor<6x8xf32>, tensor<8x4xf32>) -> tensor<6x4xf32>
    %s = dsc.add %m, %b : (tensor<6x4xf32>, tensor<4xf32>) -> tensor<6x4xf32>
    %y = dsc.reshape %s : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
    ```
    ==>
    ```mlir
    %m = dsc.matmul %x, %w {transpose_b = true} : (tensor<2x3x8xf32>, tensor<4x8xf32>) -> tensor<2x3x4xf32>
    %y = dsc.add %m, %b : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
    ```
  }];
}

def RaiseNormalization : Pass<"dsc-raise-normalization", "::mlir::ModuleOp"> {
  let summary = "Layer and RMS norms written out become dsc.layer_norm and dsc.rms_norm";
  let options = [limitOption];
  let description = [{
    Assumes: after dsc-canonicalize-views. Guarantees: a norm over the last dimensions is one op; the square may be a
    product or a power, the division a product with the reciprocal; weight and bias may stand on either side. Near
    misses are in `dsc.patterns`, with what differed.

    Before:
    ```mlir
    %s = dsc.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %t = dsc.reduce %s {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    %m = dsc.div %t, %eight : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
    %v = dsc.add %m, %epsilon : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
    %r = dsc.rsqrt %v : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %n = dsc.mul %x, %r : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
    %y = dsc.mul %w, %n : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %y, %rstd = dsc.rms_norm %x, %w {axis = 1 : i64, epsilon = 1.0e-6 : f64}
        : (tensor<4x8xf32>, tensor<8xf32>) -> (tensor<4x8xf32>, tensor<4x1xf32>)
    ```
  }];
}

def RaiseActivation : Pass<"dsc-raise-activation", "::mlir::ModuleOp"> {
  let summary = "GELU written out around erf or tanh becomes dsc.gelu";
  let options = [limitOption];
  let description = [{
    Assumes: after dsc-canonicalize-views. Guarantees: 0.5 x (1 + erf(x / sqrt 2)) and its tanh form are one op, in
    whatever order the factors stand. Near misses are in `dsc.patterns`, with what differed.

    Before:
    ```mlir
    %u = dsc.div %x, %sqrt2 : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %t = dsc.erf %u : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %s = dsc.add %t, %one : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    %p = dsc.mul %x, %s : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
    %y = dsc.mul %p, %half : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %y = dsc.gelu %x {kind = #dsc.gelu_kind<erf>} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
  }];
}

def RaiseAttention : Pass<"dsc-raise-attention", "::mlir::ModuleOp"> {
  let summary = "softmax(scale q k^T + mask) v becomes dsc.attention";
  let options = [limitOption];
  let description = [{
    Assumes: after dsc-canonicalize-contractions. Guarantees: attention is one op, and so no scores are in memory.
    Scales may stand on q, on k or on the scores; masks may be added or chosen. Not raised, with the reason in `dsc.patterns`: probabilities that are used elsewhere or go through a
    dropout, masks that are trained, a softmax over another dimension.

    Before:
    ```mlir
    %s = dsc.matmul %q, %k {transpose_b = true} : (tensor<2x3x4x8xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x4xf32>
    %t = dsc.mul %s, %scale : (tensor<2x3x4x4xf32>, tensor<f32>) -> tensor<2x3x4x4xf32>
    %p = dsc.softmax %t {axis = 3 : i64} : (tensor<2x3x4x4xf32>) -> tensor<2x3x4x4xf32>
    %o = dsc.matmul %p, %v : (tensor<2x3x4x4xf32>, tensor<2x3x4x8xf32>) -> tensor<2x3x4x8xf32>
    ```
    ==> (with q, k, v and the result transposed and reshaped around it)
    ```mlir
    %o, %lse = dsc.attention %q1, %k1, %v1 {heads = 3 : i64, kv_heads = 3 : i64, scale = 0.35 : f64}
        : (tensor<2x4x24xf32>, tensor<2x4x24xf32>, tensor<2x4x24xf32>) -> (tensor<2x4x24xf32>, tensor<2x3x4xf32>)
    ```
  }];
}

def MergeProducts : Pass<"dsc-merge-products", "::mlir::ModuleOp"> {
  let summary = "Matrix products of one value with several parameters become one";
  let description = [{
    Assumes: after dsc-raise-attention. Guarantees: the projections of one attention that read the same value are one
    product; with `all`, every group of such products. The parameters are parts of one that the product reads, in all
    functions alike. Not merged: parameters of different roles (one is
    frozen), or read by other ops too.

    Before:
    ```mlir
    dsc.global @"q.weight" : tensor<8x8xf32> {role = #dsc.global_role<trained>, source = ..}
    dsc.global @"k.weight" ...  dsc.global @"v.weight" ...
    %q = dsc.matmul %x, %wq {transpose_b = true} : (tensor<2x4x8xf32>, tensor<8x8xf32>) -> tensor<2x4x8xf32>
    %k = dsc.matmul %x, %wk ...  %v = dsc.matmul %x, %wv ...
    %o, %lse = dsc.attention %q, %k, %v ...
    ```
    ==>
    ```mlir
    dsc.global @"{q,k,v}.weight" : tensor<24x8xf32> {role = #dsc.global_role<trained>, value = dense<0.0> : tensor<24x8xf32>}
    dsc.global @"q.weight" : tensor<8x8xf32> {.., storage = #dsc.storage<@"{q,k,v}.weight", [0, 0], [0, 1]>}
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<2x4x8xf32>, tensor<24x8xf32>) -> tensor<2x4x24xf32>
    %q = dsc.slice %y ...  %k = dsc.slice %y ...  %v = dsc.slice %y ...
    %o, %lse = dsc.attention %q, %k, %v ...
    ```
  }];
  let options = [limitOption,
    Option<"all", "all", "bool", /*default=*/"false", "merge products whose parts have to be copied out, too">];
}

def PadProducts : Pass<"dsc-pad-products", "::mlir::ModuleOp"> {
  let summary = "Gives the last matrix product of a classifier a width that the machine likes";
  let description = [{
    Assumes: nothing. Guarantees: a parameter whose product with the last hidden value is a result of the model (logits), or what a cross-entropy
    reads, is stored with more classes than it has: the next multiple of `Target::gemmAlignment`. The classes that are
    added have weights and biases of 0, which stay 0: the loss does not see their logits (`classes` of
    dsc.cross_entropy), so their gradients are 0.

    Before:
    ```mlir
    dsc.global @head : tensor<65x8xf32> {role = #dsc.global_role<trained>, source = ..}
    %w = dsc.get_global @head : tensor<65x8xf32>
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x8xf32>, tensor<65x8xf32>) -> tensor<4x65xf32>
    return %y : tensor<4x65xf32>
    ```
    ==> (alignment 8)
    ```mlir
    dsc.global @head.padded : tensor<72x8xf32> {role = #dsc.global_role<trained>, value = dense<0.0> : tensor<72x8xf32>}
    dsc.global @head : tensor<65x8xf32> {.., storage = #dsc.storage<@head.padded, [0, 0], [0, 1]>}
    %w = dsc.get_global @head.padded : tensor<72x8xf32>
    %p = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x8xf32>, tensor<72x8xf32>) -> tensor<4x72xf32>
    %y = dsc.slice %p {starts = array<i64: 0, 0>, sizes = array<i64: 4, 65>, steps = array<i64: 1, 1>} : (tensor<4x72xf32>) -> tensor<4x65xf32>
    return %y : tensor<4x65xf32>
    ```
  }];
  let options = [limitOption,
    Option<"alignment", "alignment", "int64_t", /*default=*/"0", "pad to multiples of this instead of what the target says">];
}

def ChooseLayout : Pass<"dsc-choose-layout", "::mlir::ModuleOp"> {
  let summary = "Convolutions and what stands between them take the layout that the machine prefers";
  let description = [{
    Assumes: images are channels_first. Guarantees: where `Target::convLayout` is channels_last, convolutions, pools and batch norms become channels_last, and elementwise
    ops, spatial means and concatenations between them follow, so that images are transposed only where they enter or leave
    such an island. Weights become parts that are stored channels-last (`storage`).

    Before:
    ```mlir
    %a = dsc.conv %x, %w {..} : (tensor<2x3x8x8xf32>, tensor<4x3x3x3xf32>) -> tensor<2x4x6x6xf32>
    %b = dsc.relu %a : (tensor<2x4x6x6xf32>) -> tensor<2x4x6x6xf32>
    ```
    ==>
    ```mlir
    %t = dsc.transpose %x {permutation = array<i64: 0, 2, 3, 1>} : (tensor<2x3x8x8xf32>) -> tensor<2x8x8x3xf32>
    %a = dsc.conv %t, %w {.., layout = #dsc.conv_layout<channels_last>} : (tensor<2x8x8x3xf32>, tensor<4x3x3x3xf32>) -> tensor<2x6x6x4xf32>
    %r = dsc.relu %a : (tensor<2x6x6x4xf32>) -> tensor<2x6x6x4xf32>
    %b = dsc.transpose %r {permutation = array<i64: 0, 3, 1, 2>} : (tensor<2x6x6x4xf32>) -> tensor<2x4x6x6xf32>
    ```
  }];
  let options = [limitOption,
    Option<"layout", "layout", "std::string", /*default=*/"", "channels_first or channels_last instead of what the target says">];
}

def PackAttention : Pass<"dsc-pack-attention", "::mlir::ModuleOp"> {
  let summary = "Attention reads q, k, v where the projections wrote them";
  let options = [limitOption];
  let description = [{
    Assumes: after dsc-raise-attention. Guarantees: head splits and merges, however they are written, slices of one
    projection, keys repeated for several heads, constant factors and constant masks are attributes of the op and its
    choice of operands.

    Before:
    ```mlir
    %q = dsc.slice %qkv {starts = array<i64: 0, 0, 0>, sizes = array<i64: 2, 4, 24>, steps = array<i64: 1, 1, 1>}
        : (tensor<2x4x72xf32>) -> tensor<2x4x24xf32>
    ... %k and %v the same with starts 24 and 48 ...
    %o, %lse = dsc.attention %q, %k, %v {heads = 3 : i64, kv_heads = 3 : i64, scale = 0.35 : f64}
        : (tensor<2x4x24xf32>, tensor<2x4x24xf32>, tensor<2x4x24xf32>) -> (tensor<2x4x24xf32>, tensor<2x3x4xf32>)
    ```
    ==>
    ```mlir
    %o, %lse = dsc.attention %qkv {heads = 3 : i64, kv_heads = 3 : i64, scale = 0.35 : f64}
        : (tensor<2x4x72xf32>) -> (tensor<2x4x24xf32>, tensor<2x3x4xf32>)
    ```
  }];
}

def RaiseCrossEntropy : Pass<"dsc-raise-cross-entropy", "::mlir::ModuleOp"> {
  let summary = "An element of log_softmax a row becomes dsc.cross_entropy";
  let options = [limitOption];
  let description = [{
    Assumes: after dsc-canonicalize-views. Guarantees: a model that picks its labels' log-probabilities itself does so
    by the one op that needs no log_softmax in memory.

    Before:
    ```mlir
    %l = dsc.log_softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %p = dsc.gather_elements %l, %i {axis = 1 : i64} : (tensor<4x8xf32>, tensor<4x1xi64>) -> tensor<4x1xf32>
    ```
    ==> (no label is ignored: the index is the smallest there is)
    ```mlir
    %j = dsc.reshape %i : (tensor<4x1xi64>) -> tensor<4xi64>
    %c, %lse = dsc.cross_entropy %x, %j {ignore_index = -9223372036854775808 : i64, label_smoothing = 0.0 : f64}
        : (tensor<4x8xf32>, tensor<4xi64>) -> (tensor<4xf32>, tensor<4xf32>)
    %n = dsc.reshape %c : (tensor<4xf32>) -> tensor<4x1xf32>
    %p = dsc.neg %n : (tensor<4x1xf32>) -> tensor<4x1xf32>
    ```
  }];
}

// autodiff

def BuildEntries : Pass<"dsc-build-entries", "::mlir::ModuleOp"> {
  let summary = "Adds loss, backward pass and optimizer: @forward and @inference become @micro, @last, @eval, @gather";
  let description = [{
    Assumes: `dsc.options` on the module names loss, optimizer and accumulation; trained parameters are globals of role
    `trained`. Guarantees: @micro runs forward and backward and accumulates; @last the same, then averages, measures
    the gradient norm, clips, evaluates the learning rate's schedule and updates; @eval runs forward as in inference; @gather gathers sharded weights. State and
    run-time values are globals. A step that is not finite leaves every global as it was. Error: a parameter that
    reaches the loss through an op without a gradient.
    Each parameter has a learning rate and a weight decay of its own, run-time values that its group gives it.

    Before:
    ```mlir
    func.func @forward(%x: tensor<4x10xf32>) -> tensor<4x1xf32> {
      %w = dsc.get_global @weight : tensor<1x10xf32>
      %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x10xf32>, tensor<1x10xf32>) -> tensor<4x1xf32>
      return %y : tensor<4x1xf32>
    }
    ```
    ==> (of @last, with the mean of y as the loss, without accumulation)
    ```mlir
    %w = dsc.get_global @weight : tensor<1x10xf32>
    %y = dsc.matmul %x, %w {transpose_b = true} : (tensor<4x10xf32>, tensor<1x10xf32>) -> tensor<4x1xf32>
    ... %loss = mean(%y), %dy = 1/4 ...
    %dw = dsc.matmul %dy, %x {transpose_a = true} : (tensor<4x1xf32>, tensor<4x10xf32>) -> tensor<1x10xf32>
    dsc.gradients %dw {names = ["weight"]} : tensor<1x10xf32>
    ... %ok, %scale from the sums of squares of the chunks of %dw ...
    %w1, %m1, %v1 = dsc.adam %w, %dw, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true} : ...
    dsc.set_global @weight, %w1 : tensor<1x10xf32>
    ```
  }];
  let dependentDialects = ["::dsc::DscDialect"];
}

def DifferentiateFunctions : Pass<"dsc-differentiate", "::mlir::ModuleOp"> {
  let summary = "Appends to every function the gradients of its arguments (for reading and tests)";
  let description = [{
    Assumes: nothing; it is no part of the pipeline. Guarantees: f(x..) -> y.. is f(x.., dy..) -> y.., dx.. for float
    arguments and results. An argument that no result depends on differentiably has the gradient 0.

    Before:
    ```mlir
    func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
      %y = dsc.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      return %y : tensor<4xf32>
    }
    ```
    ==>
    ```mlir
    func.func @f(%x: tensor<4xf32>, %dy: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
      %y = dsc.exp %x : (tensor<4xf32>) -> tensor<4xf32>
      %dx = dsc.mul %dy, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
      return %y, %dx : tensor<4xf32>, tensor<4xf32>
    }
    ```
  }];
  let dependentDialects = ["::dsc::DscDialect"];
}

// precision

def InsertCasts : Pass<"dsc-insert-casts", "::mlir::ModuleOp"> {
  let summary = "Casts around every op, as the precision table says (--fp16, --bf16)";
  let description = [{
    Assumes: entries in f32. Guarantees: ops of class half compute in the half type, ops of class follow where their
    operands are half, all others in f32 (passes/precision/PrecisionTable.cpp); values between ops are f32; parameters
    are rounded where they are read, but for their update; constants are rounded here. Nothing happens under --fp32.

    Before:
    ```mlir
    %w = dsc.get_global @w : tensor<8x4xf32>
    %p = dsc.matmul %x, %w : (tensor<2x8xf32>, tensor<8x4xf32>) -> tensor<2x4xf32>
    %y = dsc.relu %p : (tensor<2x4xf32>) -> tensor<2x4xf32>
    ```
    ==>
    ```mlir
    %w = dsc.get_global @w : tensor<8x4xf32>
    %w16 = dsc.cast %w : (tensor<8x4xf32>) -> tensor<8x4xbf16>
    %w32 = dsc.cast %w16 : (tensor<8x4xbf16>) -> tensor<8x4xf32>
    %x16 = dsc.cast %x : (tensor<2x8xf32>) -> tensor<2x8xbf16>
    %again = dsc.cast %w32 : (tensor<8x4xf32>) -> tensor<8x4xbf16>
    %p = dsc.matmul %x16, %again : (tensor<2x8xbf16>, tensor<8x4xbf16>) -> tensor<2x4xbf16>
    %p32 = dsc.cast %p : (tensor<2x4xbf16>) -> tensor<2x4xf32>
    %p16 = dsc.cast %p32 : (tensor<2x4xf32>) -> tensor<2x4xbf16>
    %y16 = dsc.relu %p16 : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
    %y = dsc.cast %y16 : (tensor<2x4xbf16>) -> tensor<2x4xf32>
    ```
  }];
}

def ElideCasts : Pass<"dsc-elide-casts", "::mlir::ModuleOp"> {
  let summary = "Removes casts of casts that lose nothing, and duplicates; moves casts to the narrow side of views";
  let description = [{
    Assumes: after dsc-insert-casts. Guarantees: the same values, bit for bit; no cast reads a widened value; each value is rounded once; a widening cast
    stands right before its one user, so that kernels read the narrow value.

    Before:
    ```mlir
    %p32 = dsc.cast %p : (tensor<2x4xbf16>) -> tensor<2x4xf32>
    %p16 = dsc.cast %p32 : (tensor<2x4xf32>) -> tensor<2x4xbf16>
    %y = dsc.relu %p16 : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
    %t = dsc.transpose %z {permutation = array<i64: 1, 0>} : (tensor<2x4xf32>) -> tensor<4x2xf32>
    %u = dsc.cast %t : (tensor<4x2xf32>) -> tensor<4x2xbf16>
    ```
    ==>
    ```mlir
    %y = dsc.relu %p : (tensor<2x4xbf16>) -> tensor<2x4xbf16>
    %z16 = dsc.cast %z : (tensor<2x4xf32>) -> tensor<2x4xbf16>
    %u = dsc.transpose %z16 {permutation = array<i64: 1, 0>} : (tensor<2x4xbf16>) -> tensor<4x2xbf16>
    ```
  }];
}

def CopyWeights : Pass<"dsc-copy-weights", "::mlir::ModuleOp"> {
  let summary = "Weights that are read in half get a half copy, which the optimizer op writes";
  let description = [{
    Assumes: after dsc-elide-casts. Guarantees: no entry casts a parameter, a frozen weight or a constant global; the
    update of a parameter with a copy yields both. The module's `dsc.casts` says how many casts are left.

    Before:
    ```mlir
    %w16 = dsc.cast %w : (tensor<8x4xf32>) -> tensor<8x4xbf16>
    %w1, %b1 = dsc.sgd %w, ... : (tensor<8x4xf32>, ...) -> (tensor<8x4xf32>, tensor<8x4xf32>)
    dsc.set_global @w, %w1 : tensor<8x4xf32>
    ```
    ==>
    ```mlir
    dsc.global @w.bf16 : tensor<8x4xbf16> {role = #dsc.role<compute>, of = @w, slot_kind = "compute", value = ...}
    %w16 = dsc.get_global @w.bf16 : tensor<8x4xbf16>
    %w1, %b1, %copy = dsc.sgd %w, ... : (tensor<8x4xf32>, ...) -> (tensor<8x4xf32>, tensor<8x4xf32>, tensor<8x4xbf16>)
    dsc.set_global @w, %w1 : tensor<8x4xf32>
    dsc.set_global @w.bf16, %copy : tensor<8x4xbf16>
    ```
  }];
}

// recompute

// parallel

def FormBuckets : Pass<"dsc-form-buckets", "::mlir::ModuleOp"> {
  let summary = "Parameters, state and gradients lie in flat buckets; the optimizer is one op a bucket";
  let description = [{
    Assumes: after autodiff; the parameters' order is that of `gradients` in @last. Guarantees: each of these
    parameters and its state lies `within` a flat global of shape [chunks, 1024], from a chunk on; entries read its
    parts as views and write it whole; gradients are packed into flat values of the same form. Padding of gradients is
    unspecified: the norm leaves it out, the update of what lies beside the parameters is never read. Numbers that each
    parameter has one of (its group's learning rate and decay, LAMB's trust ratio) become one a chunk, [chunks, 1].

    Before:
    ```mlir
    dsc.gradients %dw, %db {names = ["w", "b"]} : tensor<4x8xf32>, tensor<4xf32>
    %sw = dsc.chunk_squares %dw : (tensor<4x8xf32>) -> tensor<1xf32>
    %w1, %mw1 = dsc.sgd %w, %dw, %mw, ..
    %b1, %mb1 = dsc.sgd %b, %db, %mb, ..
    dsc.set_global @w, %w1 : tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %g = dsc.pack %dw, %db {offsets = array<i64: 0, 1024>} : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<2x1024xf32>
    %s = dsc.reduce %squares {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<2x1024xf32>) -> tensor<2x1xf32>
    %p1, %m1 = dsc.sgd %p, %g, %m, ..
    dsc.set_global @bucket.0, %p1 : tensor<2x1024xf32>
    ```
  }];
  let options = [Option<"bucketBytes", "bucket-bytes", "int64_t", "0",
                        "bytes of a bucket's gradients; 0: the module's option bucket_bytes">];
}

def InsertCollectives : Pass<"dsc-insert-collectives", "::mlir::ModuleOp"> {
  let summary = "Makes the step that of several ranks: reduces gradients, shards what the ZeRO stage says, gathers what is read whole";
  let description = [{
    Assumes: flat buckets; options `zero` and `max_ranks` (1: nothing is done). Guarantees: a bucket's gradient is
    reduce-scattered once a step, in the type that it has in `gradients`; micro-batches are added up before, whole. At stage 0 it is gathered again and every rank updates everything. From
    stage 1 on the update works on own chunks: optimizer state and, where there are compute copies, the f32 weights
    are `sharded`; the sums of chunks are gathered for the norm, and what forward reads is gathered where the update
    writes it. Stage 2 shards gradients too; stage 3 also what forward reads, and every op
    that reads some of it gathers the bucket. A parameter that lies in no bucket is one
    number, and is all-reduced. No op reads chunks that the rank does not have.

    Before:
    ```mlir
    %g = dsc.pack %dw, %db {offsets = array<i64: 0, 1024>} : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<2x1024xf32>
    %p1, %m1 = dsc.sgd %p, %g, %m, ..
    dsc.set_global @bucket.0, %p1 : tensor<2x1024xf32>
    ```
    ==> (stage 1)
    ```mlir
    %g = dsc.pack %dw, %db {offsets = array<i64: 0, 1024>} : (tensor<4x8xf32>, tensor<4xf32>) -> tensor<2x1024xf32>
    %r = dsc.reduce_scatter %g : tensor<2x1024xf32>
    %p1, %m1 = dsc.sgd %p, %r, %m, ..
    %w = dsc.all_gather %p1 : tensor<2x1024xf32>
    dsc.set_global @bucket.0, %w : tensor<2x1024xf32>
    ```
  }];
}

def MergeCollectives : Pass<"dsc-merge-collectives", "::mlir::ModuleOp"> {
  let summary = "Sums over the ranks that are ready together become one";
  let description = [{
    Assumes: collectives as inserted. Guarantees: all-reduces of one element type of which the first one's result is
    not read before the last one's operand is there are one, of a vector; what it gives is the same to the bit.
    Gathers of one sharded global are one as long as at most `window` gathers of others come between its readers:
    so backward gathers again what forward gave back.

    Before:
    ```mlir
    %a1 = dsc.all_reduce %a : tensor<f32>
    %b1 = dsc.all_reduce %b : tensor<f32>
    ```
    ==>
    ```mlir
    %ab = dsc.pack %a, %b {offsets = array<i64: 0, 1>} : (tensor<f32>, tensor<f32>) -> tensor<2xf32>
    %s = dsc.all_reduce %ab : tensor<2xf32>
    %a1 = dsc.slice %s {starts = array<i64: 0>, ..}
    %b1 = dsc.slice %s {starts = array<i64: 1>, ..}
    ```
  }];
  let options = [Option<"window", "window", "int64_t", "2",
                        "gathers of others between two readers of what is kept for both">];
}

// fusion

def ExpandNormalization : Pass<"dsc-expand-normalization", "::mlir::func::FuncOp"> {
  let summary = "Writes softmax and norms as elementwise ops and reductions";
  let description = [{
    Assumes: nothing. Guarantees: no softmax, log_softmax, layer_norm, rms_norm, batch_norm or gradient of one is left. Statistics are
    f32 (f64 for f64), variances take two passes.

    Before:
    ```mlir
    %y = dsc.softmax %x {axis = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %m = dsc.reduce %x {kind = #dsc.reduce_kind<max>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    %d = dsc.sub %x, %m : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
    %e = dsc.exp %d : (tensor<4x8xf32>) -> tensor<4x8xf32>
    %s = dsc.reduce %e {kind = #dsc.reduce_kind<sum>, axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
    %y = dsc.div %e, %s : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
    ```
  }];
}

def ExpandLosses : Pass<"dsc-expand-losses", "::mlir::func::FuncOp"> {
  let summary = "Writes softmax cross-entropy and its gradient as ops over rows of logits";
  let description = [{
    Assumes: nothing. Guarantees: no cross_entropy or cross_entropy_grad is left. The label is found by comparing it with dsc.iota, so
    loss and gradient can be one row kernel.

    Before:
    ```mlir
    %d = dsc.cross_entropy_grad %x, %labels, %lse, %dloss {ignore_index = -100 : i64, label_smoothing = 0.0 : f64}
        : (tensor<4x8xf32>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %l = dsc.reshape %labels : (tensor<4xi64>) -> tensor<4x1xi64>
    %valid = dsc.compare %l, %ignored {predicate = #dsc.compare_predicate<ne>} : (tensor<4x1xi64>, tensor<i64>) -> tensor<4x1xi1>
    %p = dsc.exp (%x - %lse)
    %i = dsc.iota {axis = 1 : i64} : () -> tensor<1x8xi32>
    %is = dsc.compare %i, %l {predicate = #dsc.compare_predicate<eq>} : (tensor<1x8xi32>, tensor<4x1xi32>) -> tensor<4x8xi1>
    %d = %valid ? %dloss * (%p - (%is ? 1 : 0)) : 0
    ```
  }];
}

def ExpandAttention : Pass<"dsc-expand-attention", "::mlir::func::FuncOp"> {
  let summary = "Expands attention that no library of the target computes";
  let description = [{
    Assumes: nothing. Guarantees: every attention and attention_grad left is one that `Target::takesAttention`. The others are batched
    products around a softmax over the keys, which is computed in the type of statistics; a row with every key hidden
    gives 0.

    Before:
    ```mlir
    %o, %lse = dsc.attention %q, %k, %v {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.5 : f64}
        : (tensor<1x4x16xf32>, tensor<1x4x16xf32>, tensor<1x4x16xf32>) -> (tensor<1x4x16xf32>, tensor<1x2x4xf32>)
    ```
    ==>
    ```mlir
    %s = dsc.matmul %qh, %kh {transpose_b = true} : (tensor<1x2x1x4x8xf32>, tensor<1x2x1x4x8xf32>) -> tensor<1x2x1x4x4xf32>
    %p = softmax(0.5 * %s)
    %o = dsc.matmul %p, %vh : (tensor<1x2x1x4x4xf32>, tensor<1x2x1x4x8xf32>) -> tensor<1x2x1x4x8xf32>
    ```
  }];
}

def SplitReductions : Pass<"dsc-split-reductions", "::mlir::func::FuncOp"> {
  let summary = "Splits reductions that no kernel does in one go";
  let description = [{
    Assumes: composite ops are expanded. Guarantees: a reduction over leading and trailing dimensions is one over the trailing ones and then one over the
    leading ones; one over 16,384 elements and more is one over parts of at least 1,024 and then one over the parts
    (where its trailing dimensions give such parts). Reductions over dimensions of size 1 vanish.

    Before:
    ```mlir
    %s = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0, 2>} : (tensor<4x3x64xf32>) -> tensor<1x3x1xf32>
    ```
    ==>
    ```mlir
    %r = dsc.reduce %x {kind = #dsc.reduce_kind<sum>, axes = array<i64: 2>} : (tensor<4x3x64xf32>) -> tensor<4x3x1xf32>
    %s = dsc.reduce %r {kind = #dsc.reduce_kind<sum>, axes = array<i64: 0>} : (tensor<4x3x1xf32>) -> tensor<1x3x1xf32>
    ```
  }];
}

def OutlineConstants : Pass<"dsc-outline-constants", "::mlir::ModuleOp"> {
  let summary = "Moves constants that kernels cannot make into globals";
  let description = [{
    Assumes: nothing. Guarantees: the only constants left are splats that elementwise ops, broadcasts or reductions read; kernels make
    those. A large splat that others read becomes a broadcast.

    Before:
    ```mlir
    %c = dsc.constant dense<[0, 2]> : tensor<2xi64>
    %y = dsc.gather %x, %c {axis = 0 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
    ```
    ==>
    ```mlir
    dsc.global @constant : tensor<2xi64> {role = #dsc.role<constant>, value = dense<[0, 2]> : tensor<2xi64>}
    %c = dsc.get_global @constant : tensor<2xi64>
    %y = dsc.gather %x, %c {axis = 0 : i64} : (tensor<4xf32>, tensor<2xi64>) -> tensor<2xf32>
    ```
  }];
}

def FuseEpilogues : Pass<"dsc-fuse-epilogues", "::mlir::func::FuncOp"> {
  let summary = "Gives bias additions to matrix products and convolutions, ReLUs to matrix products";
  let options = [limitOption];
  let description = [{
    Assumes: contractions without epilogues. Guarantees: a bias that is added to the only use of a contraction's result
    is its operand and a ReLU of a matrix product its activation where the target takes them (`Target::takesEpilogue`);
    library calls carry `workspace`.

    Before:
    ```mlir
    %p = dsc.matmul %x, %w : (tensor<4x8xf32>, tensor<8x16xf32>) -> tensor<4x16xf32>
    %y = dsc.add %p, %b : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    ```
    ==>
    ```mlir
    %y = dsc.matmul %x, %w bias %b : (tensor<4x8xf32>, tensor<8x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    ```
  }];
}

def FormKernels : Pass<"dsc-form-kernels", "::mlir::func::FuncOp"> {
  let summary = "Groups ops into kernels";
  let description = [{
    Assumes: composite ops are expanded, constants are outlined. Guarantees: every op of an entry is a kernel, a library
    call, a view or an access of a global, in an order that can run; kernels follow the table in
    docs/architecture.md. Shapes in a kernel are those of its iteration space, with as few dimensions as its
    broadcasts and reductions need. `refused` says why a kernel and the makers of its operands are two
    (FusionRules.cpp).

    Before:
    ```mlir
    %a = dsc.add %x, %bias : (tensor<2x4x8xf32>, tensor<8xf32>) -> tensor<2x4x8xf32>
    %y = dsc.tanh %a : (tensor<2x4x8xf32>) -> tensor<2x4x8xf32>
    ```
    ==>
    ```mlir
    %0 = dsc.reshape %x : (tensor<2x4x8xf32>) -> tensor<8x8xf32>
    %1 = dsc.reshape %bias : (tensor<8xf32>) -> tensor<1x8xf32>
    %2 = dsc.kernel (%0, %1) attributes {kind = #dsc.kernel_kind<elementwise>, domain = array<i64: 8, 8>, row_rank = 2 : i64} {
    ^bb0(%arg0: tensor<8x8xf32>, %arg1: tensor<1x8xf32>):
      %3 = dsc.add %arg0, %arg1 : (tensor<8x8xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
      %4 = dsc.tanh %3 : (tensor<8x8xf32>) -> tensor<8x8xf32>
      dsc.yield %4 : tensor<8x8xf32>
    } : (tensor<8x8xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
    %y = dsc.reshape %2 : (tensor<8x8xf32>) -> tensor<2x4x8xf32>
    ```
  }];
}

// memory

def ScheduleCollectives : Pass<"dsc-schedule-collectives", "::mlir::ModuleOp"> {
  let summary = "Splits collectives into start and wait, and puts what needs no result between them";
  let description = [{
    Assumes: entries after fusion. Guarantees: each collective has its `id`, counted over all entries; it stands right
    behind what makes its operand, and dsc.wait before the first op that reads its result. What depends on results
    stands, in its old order, behind what does not: at stages 2 and 3, where a bucket's bytes are wanted back, only
    until `window` further reductions have started. There, a gather of what is sharded starts where the one `window`
    before it is first read. A gather into a global is waited for where the next entry first
    reads the global. An operand that others read too, or that is no value of its own, is copied.

    Before:
    ```mlir
    %r = dsc.reduce_scatter %g : tensor<2x1024xf32>
    %s = dsc.kernel (%r) ...
    %y = dsc.matmul %a, %b : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
    ```
    ==>
    ```mlir
    %r = dsc.reduce_scatter %g {id = 0 : i64} : tensor<2x1024xf32>
    %y = dsc.matmul %a, %b : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
    %r1 = dsc.wait %r {id = 0 : i64} : tensor<2x1024xf32>
    %s = dsc.kernel (%r1) ...
    ```
  }];
  let options = [Option<"window", "window", "int64_t", "2",
                        "stages 2 and 3: reductions, and gathers of parameters, that may start before one's result is used">];
}

def PlanMemory : Pass<"dsc-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Gives every value its place in memory";
  let description = [{
    Assumes: after fusion. Guarantees: globals carry `slot`, ops `dsc.slots` and `dsc.scratch`, arguments and
    results `dsc.slot`, the module `dsc.memory` with the size of each space. The op order is the schedule.

    Before:
    ```mlir
    %y = dsc.matmul %x, %w : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    ```
    ==>
    ```mlir
    %y = dsc.matmul %x, %w {dsc.slots = [#dsc.slot<arena, 0, 128, 2, 3>]}
        : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
    ```
  }];
}

def VerifyPlan : Pass<"dsc-verify-plan", "::mlir::ModuleOp"> {
  let summary = "Checks a memory plan by following which value owns each byte";
  let description = [{
    Assumes: after dsc-plan-memory, of which it uses nothing but the slots. Guarantees: no value is overwritten before
    its last reader; it rewrites nothing. Walks each entry in order: an op's operands must still own all their bytes
    when it runs; its results then own theirs. An op writes over its own operand only where kernels may. Errors name
    the value that was lost and the op that overwrote it.
  }];
}

#endif // DSC_PASSES_TD
