// An MLP with batch norm, its running statistics, SGD and clipping, as it stands after raise.
module attributes {dsc.options = {loss = "cross-entropy", output = "logits", optimizer = "sgd", clip = 1.0 : f64}} {
dsc.global @w1 : tensor<3x5xf64> {role = #dsc.role<trained>, value = dense<0.0> : tensor<3x5xf64>}
dsc.global @b1 : tensor<5xf64> {role = #dsc.role<trained>, value = dense<0.0> : tensor<5xf64>}
dsc.global @gamma : tensor<5xf64> {role = #dsc.role<trained>, value = dense<0.0> : tensor<5xf64>}
dsc.global @beta : tensor<5xf64> {role = #dsc.role<trained>, value = dense<0.0> : tensor<5xf64>}
dsc.global @w2 : tensor<4x5xf64> {role = #dsc.role<trained>, value = dense<0.0> : tensor<4x5xf64>}
dsc.global @running_mean : tensor<5xf64> {role = #dsc.role<buffer>, value = dense<0.0> : tensor<5xf64>}
dsc.global @running_var : tensor<5xf64> {role = #dsc.role<buffer>, value = dense<0.0> : tensor<5xf64>}

func.func @forward(%x: tensor<6x3xf64> {dsc.name = "x"}) -> (tensor<6x4xf64> {dsc.name = "logits"}) {
  %w1 = dsc.get_global @w1 : tensor<3x5xf64>
  %b1 = dsc.get_global @b1 : tensor<5xf64>
  %gamma = dsc.get_global @gamma : tensor<5xf64>
  %beta = dsc.get_global @beta : tensor<5xf64>
  %w2 = dsc.get_global @w2 : tensor<4x5xf64>
  %h = dsc.matmul %x, %w1 : (tensor<6x3xf64>, tensor<3x5xf64>) -> tensor<6x5xf64>
  %hb = dsc.add %h, %b1 : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %n, %mean, %var, %rstd = dsc.batch_norm %hb, %gamma, %beta {epsilon = 1.0e-5 : f64}
    : (tensor<6x5xf64>, tensor<5xf64>, tensor<5xf64>) -> (tensor<6x5xf64>, tensor<5xf64>, tensor<5xf64>, tensor<5xf64>)
  %keep = dsc.constant dense<0.9> : tensor<f64>
  %take = dsc.constant dense<0.1> : tensor<f64>
  %unbiased = dsc.constant dense<0.12> : tensor<f64>
  %rm = dsc.get_global @running_mean : tensor<5xf64>
  %rm0 = dsc.mul %rm, %keep : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>
  %rm1 = dsc.mul %mean, %take : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>
  %rm2 = dsc.add %rm0, %rm1 : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  dsc.set_global @running_mean, %rm2 : tensor<5xf64>
  %rv = dsc.get_global @running_var : tensor<5xf64>
  %rv0 = dsc.mul %rv, %keep : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>
  %rv1 = dsc.mul %var, %unbiased : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>
  %rv2 = dsc.add %rv0, %rv1 : (tensor<5xf64>, tensor<5xf64>) -> tensor<5xf64>
  dsc.set_global @running_var, %rv2 : tensor<5xf64>
  %r = dsc.relu %n : (tensor<6x5xf64>) -> tensor<6x5xf64>
  %y = dsc.matmul %r, %w2 {transpose_b = true} : (tensor<6x5xf64>, tensor<4x5xf64>) -> tensor<6x4xf64>
  return %y : tensor<6x4xf64>
}

func.func @inference(%x: tensor<6x3xf64> {dsc.name = "x"}) -> (tensor<6x4xf64> {dsc.name = "logits"}) {
  %w1 = dsc.get_global @w1 : tensor<3x5xf64>
  %b1 = dsc.get_global @b1 : tensor<5xf64>
  %gamma = dsc.get_global @gamma : tensor<5xf64>
  %beta = dsc.get_global @beta : tensor<5xf64>
  %w2 = dsc.get_global @w2 : tensor<4x5xf64>
  %rm = dsc.get_global @running_mean : tensor<5xf64>
  %rv = dsc.get_global @running_var : tensor<5xf64>
  %epsilon = dsc.constant dense<1.0e-5> : tensor<f64>
  %h = dsc.matmul %x, %w1 : (tensor<6x3xf64>, tensor<3x5xf64>) -> tensor<6x5xf64>
  %hb = dsc.add %h, %b1 : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %c = dsc.sub %hb, %rm : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %v = dsc.add %rv, %epsilon : (tensor<5xf64>, tensor<f64>) -> tensor<5xf64>
  %rstd = dsc.rsqrt %v : (tensor<5xf64>) -> tensor<5xf64>
  %s = dsc.mul %c, %rstd : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %g = dsc.mul %s, %gamma : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %n = dsc.add %g, %beta : (tensor<6x5xf64>, tensor<5xf64>) -> tensor<6x5xf64>
  %r = dsc.relu %n : (tensor<6x5xf64>) -> tensor<6x5xf64>
  %y = dsc.matmul %r, %w2 {transpose_b = true} : (tensor<6x5xf64>, tensor<4x5xf64>) -> tensor<6x4xf64>
  return %y : tensor<6x4xf64>
}
}
