//===- Optimizer ops ----------------------------------------------------===//

#ifndef DSC_IR_OPS_OPTIMIZER_TD
#define DSC_IR_OPS_OPTIMIZER_TD

include "ir/Attrs.td"

def Dsc_Update : NativeOpTrait<"Update"> { let cppNamespace = "::dsc"; }

def Dsc_OptimizerGroup : OpDocGroup {
  let summary = "Optimizer ops";
  let description = [{
    Pure like all others: new values are results, written back by set_global. `ok` (i1 scalar)
    predicates the update: where false, the results are the operands, bit for bit. The gradient is
    multiplied by `scale` first (clipping and unscaling). Scalars are f32. Where the parameters of a bucket
    are updated as one [chunks, 1024], what depends on a parameter's group (lr, weight_decay) is
    [chunks, 1]: each chunk has the number of the parameter that it belongs to. With mixed precision the last
    result is the new parameter rounded to the compute type, so that no step reads a parameter to cast it.
  }];
}

let opDocGroup = Dsc_OptimizerGroup in {

def Dsc_ChunkSquaresOp : Dsc_PureOp<"chunk_squares"> {
  let summary = "Sum of squares of each chunk of 1024 elements, in f32: the parts of the gradient norm.";
  let description = [{
    Chunks are those of ZeRO's flat order, so the norm's bits do not depend on who owns them.

    Example:
    ```mlir
    %s = dsc.chunk_squares %g : (tensor<3000xf32>) -> tensor<3xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$x);
  let results = (outs Dsc_FloatTensor:$y);
}

def Dsc_AdamOp : Dsc_Op<"adam", [Pure, Dsc_Update]> {
  let summary = "Adam (Kingma & Ba 2015) or, with `decoupled`, AdamW (Loshchilov & Hutter 2019).";
  let description = [{
    g = scale grad (+ weight_decay param, if not decoupled); m' = m + (1 - beta1)(g - m);
    v' = beta2 v + (1 - beta2) g g; p' = p (1 - lr weight_decay, if decoupled)
    - lr / bias1 * m' / (sqrt(v') / sqrt(bias2) + epsilon), with bias_i = 1 - beta_i^t computed from
    the step count `t` (f32, from 1). As torch.optim.Adam and AdamW.
    1. param, m, v and the results have one type.
    2. `copy`, where it is asked for, has its shape and a narrower float type.
    3. grad has its shape.
    4. The other operands are scalars; lr and weight_decay may have one element a row instead.
    5. The type is of f32, or f64.

    Example:
    ```mlir
    %p1, %m1, %v1 = dsc.adam %p, %g, %m, %v, %t, %lr, %b1, %b2, %eps, %wd, %scale, %ok {decoupled = true}
        : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$grad, Dsc_FloatTensor:$m, Dsc_FloatTensor:$v,
      Dsc_FloatTensor:$t, Dsc_FloatTensor:$lr, Dsc_FloatTensor:$beta1, Dsc_FloatTensor:$beta2,
      Dsc_FloatTensor:$epsilon, Dsc_FloatTensor:$weight_decay, Dsc_FloatTensor:$scale, Dsc_BoolTensor:$ok,
      BoolAttr:$decoupled);
  let results = (outs Dsc_FloatTensor:$new_param, Dsc_FloatTensor:$new_m, Dsc_FloatTensor:$new_v,
      Optional<Dsc_FloatTensor>:$copy);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_SgdOp : Dsc_Op<"sgd", [Pure, Dsc_Update]> {
  let summary = "Stochastic gradient descent with momentum, as torch.optim.SGD.";
  let description = [{
    g = scale grad + weight_decay param; b' = t == 1 ? g : momentum b + (1 - dampening) g;
    p' = p - lr (nesterov ? g + momentum b' : b').
    1. param, buffer and the results have one type.
    2. `copy`, where it is asked for, has its shape and a narrower float type.
    3. grad has its shape.
    4. The other operands are scalars; lr and weight_decay may have one element a row instead.
    5. The type is of f32, or f64.

    Example:
    ```mlir
    %p1, %b1 = dsc.sgd %p, %g, %b, %t, %lr, %momentum, %dampening, %wd, %scale, %ok {nesterov = false}
        : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$grad, Dsc_FloatTensor:$buffer,
      Dsc_FloatTensor:$t, Dsc_FloatTensor:$lr, Dsc_FloatTensor:$momentum, Dsc_FloatTensor:$dampening,
      Dsc_FloatTensor:$weight_decay, Dsc_FloatTensor:$scale, Dsc_BoolTensor:$ok, BoolAttr:$nesterov);
  let results = (outs Dsc_FloatTensor:$new_param, Dsc_FloatTensor:$new_buffer, Optional<Dsc_FloatTensor>:$copy);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_LionOp : Dsc_Op<"lion", [Pure, Dsc_Update]> {
  let summary = "Lion (Chen et al. 2023): the sign of an interpolated momentum.";
  let description = [{
    g = scale grad; p' = p (1 - lr weight_decay) - lr sign(beta1 m + (1 - beta1) g);
    m' = beta2 m + (1 - beta2) g.
    1. param, m and the results have one type.
    2. `copy`, where it is asked for, has its shape and a narrower float type.
    3. grad has its shape.
    4. The other operands are scalars; lr and weight_decay may have one element a row instead.
    5. The type is of f32, or f64.

    Example:
    ```mlir
    %p1, %m1 = dsc.lion %p, %g, %m, %lr, %b1, %b2, %wd, %scale, %ok
        : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$grad, Dsc_FloatTensor:$m,
      Dsc_FloatTensor:$lr, Dsc_FloatTensor:$beta1, Dsc_FloatTensor:$beta2, Dsc_FloatTensor:$weight_decay,
      Dsc_FloatTensor:$scale, Dsc_BoolTensor:$ok);
  let results = (outs Dsc_FloatTensor:$new_param, Dsc_FloatTensor:$new_m, Optional<Dsc_FloatTensor>:$copy);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_AdagradOp : Dsc_Op<"adagrad", [Pure, Dsc_Update]> {
  let summary = "Adagrad (Duchi et al. 2011), as torch.optim.Adagrad.";
  let description = [{
    g = scale grad + weight_decay param; s' = s + g g;
    p' = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s') + epsilon), with the step count `t` from 1.
    1. param, sum and the results have one type.
    2. `copy`, where it is asked for, has its shape and a narrower float type.
    3. grad has its shape.
    4. The other operands are scalars; lr and weight_decay may have one element a row instead.
    5. The type is of f32, or f64.

    Example:
    ```mlir
    %p1, %s1 = dsc.adagrad %p, %g, %s, %t, %lr, %lr_decay, %eps, %wd, %scale, %ok
        : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$grad, Dsc_FloatTensor:$sum,
      Dsc_FloatTensor:$t, Dsc_FloatTensor:$lr, Dsc_FloatTensor:$lr_decay, Dsc_FloatTensor:$epsilon,
      Dsc_FloatTensor:$weight_decay, Dsc_FloatTensor:$scale, Dsc_BoolTensor:$ok);
  let results = (outs Dsc_FloatTensor:$new_param, Dsc_FloatTensor:$new_sum, Optional<Dsc_FloatTensor>:$copy);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_LambOp : Dsc_Op<"lamb", [Pure, Dsc_Update]> {
  let summary = "LAMB (You et al. 2020), first half: moments, and the direction before it is scaled.";
  let description = [{
    g = scale grad; m' = m + (1 - beta1)(g - m); v' = beta2 v + (1 - beta2) g g;
    direction = m' / (sqrt(v') + epsilon) + weight_decay param. As DeepSpeed's FusedLamb, whose bias
    correction is part of the step size; how far to go needs the direction's norm, so `lamb_step` goes.
    1. param, m, v and the results have one type.
    2. grad has its shape.
    3. The other operands are scalars; weight_decay may have one element a row instead.
    4. The type is of f32, or f64.

    Example:
    ```mlir
    %u, %m1, %v1 = dsc.lamb %p, %g, %m, %v, %b1, %b2, %eps, %wd, %scale, %ok
        : (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<f32>, tensor<i1>)
        -> (tensor<8xf32>, tensor<8xf32>, tensor<8xf32>)
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$grad, Dsc_FloatTensor:$m, Dsc_FloatTensor:$v,
      Dsc_FloatTensor:$beta1, Dsc_FloatTensor:$beta2, Dsc_FloatTensor:$epsilon,
      Dsc_FloatTensor:$weight_decay, Dsc_FloatTensor:$scale, Dsc_BoolTensor:$ok);
  let results = (outs Dsc_FloatTensor:$direction, Dsc_FloatTensor:$new_m, Dsc_FloatTensor:$new_v);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

def Dsc_LambStepOp : Dsc_Op<"lamb_step", [Pure, Dsc_Update]> {
  let summary = "LAMB, second half: a step along the direction.";
  let description = [{
    p' = p - size direction, with a step size of each parameter.
    1. param and the result have one type.
    2. `copy`, where it is asked for, has its shape and a narrower float type.
    3. direction has its shape.
    4. size is a scalar or has one element a row; ok is a scalar.
    5. The type is of f32, or f64.

    Example:
    ```mlir
    %p1 = dsc.lamb_step %p, %u, %size, %ok : (tensor<8xf32>, tensor<8xf32>, tensor<f32>, tensor<i1>) -> tensor<8xf32>
    ```
  }];
  let arguments = (ins Dsc_FloatTensor:$param, Dsc_FloatTensor:$direction, Dsc_FloatTensor:$size,
      Dsc_BoolTensor:$ok);
  let results = (outs Dsc_FloatTensor:$new_param, Optional<Dsc_FloatTensor>:$copy);
  let assemblyFormat = "operands attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 1;
}

} // opDocGroup

#endif // DSC_IR_OPS_OPTIMIZER_TD
