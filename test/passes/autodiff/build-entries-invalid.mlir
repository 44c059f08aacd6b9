// RUN: dsc-opt %s --split-input-file --verify-diagnostics --dsc-build-entries

// Neither scalar nor logits: the error lists the outputs and the choices, and what fits a log-softmax.
module {
  // expected-error @below {{no loss was given, and no output is a scalar or looks like logits; the model has 'y' (tensor<2x3xf32>); choose --loss=cross-entropy|nll|mse|l1|bce-with-logits|mean|sum, or --loss=output:NAME for an output that is the loss; output 'y' is a log-softmax: --loss=nll fits it}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    %y = dsc.log_softmax %x {axis = 1 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
    return %y : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// No parameter before the loss.
module attributes {dsc.options = {loss = "mean"}} {
  // expected-error @below {{the loss (mean of 'y') depends on no trained parameter, so there is nothing to train}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {dsc.options = {loss = "hinge"}} {
  // expected-error @below {{unknown loss 'hinge'; choose --loss=cross-entropy|nll|mse|l1|bce-with-logits|mean|sum}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {dsc.options = {loss = "mse", output = "z"}} {
  // expected-error @below {{--output names the output 'z', the model has 'y' (tensor<2x3xf32>)}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {dsc.options = {loss = "output:y"}} {
  // expected-error @below {{--loss=output:y: the output is 'tensor<2x3xf32>', not one number; --loss=mean --output=y takes its mean}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// Inputs with different numbers of samples.
module attributes {dsc.options = {loss = "mean"}} {
  // expected-error @below {{inputs "x" ('tensor<2x3xf32>') and "p" ('tensor<1x3xf32>') have different numbers of samples; make the one that is no data a constant with --bind}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}, %p: tensor<1x3xf32> {dsc.name = "p"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}, %p: tensor<1x3xf32> {dsc.name = "p"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {dsc.options = {loss = "mse", shift_labels = true}} {
  // expected-error @below {{--shift-labels shifts labels along positions, but those of --loss=mse are 'tensor<2x3xf32>'}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// Labels that are an input must have the labels' size.
module attributes {dsc.options = {loss = "cross-entropy", labels = "x"}} {
  // expected-error @below {{input 'x' is 'tensor<2x3xf32>' and cannot be the labels of 'y' ('tensor<2x3xf32>'), which are 'tensor<2xi64>'; name the labels otherwise with --labels}}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

module attributes {dsc.options = {loss = "mean"}} {
  // expected-error @below {{parameter 'w' is 'f16', training needs f32: export the model in float32}}
  dsc.global @w : tensor<3xf16> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// A gradient op between a parameter and the loss has no rule of its own.
module attributes {dsc.options = {loss = "mean"}} {
  dsc.global @w : tensor<2x3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @w : tensor<2x3xf32>
    // expected-error @below {{'dsc.gelu_grad' op stands between a trained parameter and the loss but second derivatives are not taken}}
    %y = dsc.gelu_grad %w, %x {kind = #dsc.gelu_kind<erf>} : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
    return %y : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// A parameter that the loss does not depend on is worth a warning.
module attributes {dsc.options = {loss = "mean"}} {
  dsc.global @w : tensor<3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "w", "">}
  // expected-warning @below {{parameter 'unused' does not reach the loss and stays as it is}}
  dsc.global @unused : tensor<3xf32> {role = #dsc.role<trained>, source = #dsc.source<"m", "unused", "">}
  func.func @forward(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    %w = dsc.get_global @w : tensor<3xf32>
    %y = dsc.mul %x, %w : (tensor<2x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
    return %y : tensor<2x3xf32>
  }
  func.func @inference(%x: tensor<2x3xf32> {dsc.name = "x"}) -> (tensor<2x3xf32> {dsc.name = "y"}) {
    return %x : tensor<2x3xf32>
  }
}

// -----

// expected-error @below {{function 'forward' is missing: autodiff starts from a module after raise}}
module {
}

// -----

// expected-error @below {{unknown optimizer 'muon'; choose --optimizer=adamw|adam|sgd|lion|adagrad|lamb}}
module attributes {dsc.options = {optimizer = "muon"}} {
  func.func @forward() {
    return
  }
  func.func @inference() {
    return
  }
}

// -----

// expected-error @below {{unknown mean of the loss 'rank'; choose --loss-mean=micro-batch|global}}
module attributes {dsc.options = {loss_mean = "rank"}} {
  func.func @forward() {
    return
  }
  func.func @inference() {
    return
  }
}

// -----

// expected-error @below {{--label-smoothing is 2.000000e+00, it lies between 0 and 1}}
module attributes {dsc.options = {label_smoothing = 2.0}} {
  func.func @forward() {
    return
  }
  func.func @inference() {
    return
  }
}

// -----

module {
  // expected-error @below {{the model has no output, so it has no loss}}
  func.func @forward() {
    return
  }
  func.func @inference() {
    return
  }
}
