// Two GPT blocks with their embeddings and head, as they stand after raise.
module attributes {dsc.options = {loss = "cross-entropy", output = "logits", accumulate = 1 : i64}} {
dsc.global @"wte" : tensor<11x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "wte", "">}
dsc.global @"wpe" : tensor<3x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "wpe", "">}
dsc.global @"h.0.ln1.weight" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.ln1.weight", "">}
dsc.global @"h.0.ln1.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.ln1.bias", "">}
dsc.global @"h.0.attn.weight" : tensor<8x24xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.attn.weight", "">}
dsc.global @"h.0.attn.bias" : tensor<24xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.attn.bias", "">}
dsc.global @"h.0.proj.weight" : tensor<8x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.proj.weight", "">}
dsc.global @"h.0.proj.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.proj.bias", "">}
dsc.global @"h.0.ln2.weight" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.ln2.weight", "">}
dsc.global @"h.0.ln2.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.ln2.bias", "">}
dsc.global @"h.0.fc.weight" : tensor<8x32xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.fc.weight", "">}
dsc.global @"h.0.fc.bias" : tensor<32xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.fc.bias", "">}
dsc.global @"h.0.fc2.weight" : tensor<32x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.fc2.weight", "">}
dsc.global @"h.0.fc2.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.0.fc2.bias", "">}
dsc.global @"h.1.ln1.weight" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.ln1.weight", "">}
dsc.global @"h.1.ln1.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.ln1.bias", "">}
dsc.global @"h.1.attn.weight" : tensor<8x24xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.attn.weight", "">}
dsc.global @"h.1.attn.bias" : tensor<24xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.attn.bias", "">}
dsc.global @"h.1.proj.weight" : tensor<8x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.proj.weight", "">}
dsc.global @"h.1.proj.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.proj.bias", "">}
dsc.global @"h.1.ln2.weight" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.ln2.weight", "">}
dsc.global @"h.1.ln2.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.ln2.bias", "">}
dsc.global @"h.1.fc.weight" : tensor<8x32xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.fc.weight", "">}
dsc.global @"h.1.fc.bias" : tensor<32xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.fc.bias", "">}
dsc.global @"h.1.fc2.weight" : tensor<32x8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.fc2.weight", "">}
dsc.global @"h.1.fc2.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "h.1.fc2.bias", "">}
dsc.global @"lnf.weight" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "lnf.weight", "">}
dsc.global @"lnf.bias" : tensor<8xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "lnf.bias", "">}
dsc.global @"head" : tensor<8x11xf64> {role = #dsc.role<trained>, source = #dsc.source<"m", "head", "">}
func.func @forward(%ids: tensor<2x3xi64> {dsc.name = "ids"}) -> (tensor<2x3x11xf64> {dsc.name = "logits"}) {
  %v1 = dsc.get_global @"wte" : tensor<11x8xf64> loc("wte")
  %v2 = dsc.get_global @"wpe" : tensor<3x8xf64> loc("wpe")
  %v3 = dsc.gather %v1, %ids {axis = 0 : i64} : (tensor<11x8xf64>, tensor<2x3xi64>) -> tensor<2x3x8xf64> loc("emb")
  %v4 = dsc.add %v3, %v2 : (tensor<2x3x8xf64>, tensor<3x8xf64>) -> tensor<2x3x8xf64> loc("pos")
  %v5 = dsc.get_global @"h.0.ln1.weight" : tensor<8xf64> loc("h.0.ln1.weight")
  %v6 = dsc.get_global @"h.0.ln1.bias" : tensor<8xf64> loc("h.0.ln1.bias")
  %v7:3 = dsc.layer_norm %v4 gamma %v5 beta %v6 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.0.ln1")
  %v8 = dsc.get_global @"h.0.attn.weight" : tensor<8x24xf64> loc("h.0.attn.weight")
  %v9 = dsc.get_global @"h.0.attn.bias" : tensor<24xf64> loc("h.0.attn.bias")
  %v10 = dsc.matmul %v7#0, %v8 : (tensor<2x3x8xf64>, tensor<8x24xf64>) -> tensor<2x3x24xf64> loc("h.0.attn.mm")
  %v11 = dsc.add %v10, %v9 : (tensor<2x3x24xf64>, tensor<24xf64>) -> tensor<2x3x24xf64> loc("h.0.attn.bias")
  %v12:2 = dsc.attention %v11 {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.125 : f64, causal = true} : (tensor<2x3x24xf64>) -> (tensor<2x3x8xf64>, tensor<2x2x3xf64>) loc("h.0.sdpa")
  %v13 = dsc.get_global @"h.0.proj.weight" : tensor<8x8xf64> loc("h.0.proj.weight")
  %v14 = dsc.get_global @"h.0.proj.bias" : tensor<8xf64> loc("h.0.proj.bias")
  %v15 = dsc.matmul %v12#0, %v13 : (tensor<2x3x8xf64>, tensor<8x8xf64>) -> tensor<2x3x8xf64> loc("h.0.proj.mm")
  %v16 = dsc.add %v15, %v14 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.0.proj.bias")
  %v17 = dsc.add %v4, %v16 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.0.res1")
  %v18 = dsc.get_global @"h.0.ln2.weight" : tensor<8xf64> loc("h.0.ln2.weight")
  %v19 = dsc.get_global @"h.0.ln2.bias" : tensor<8xf64> loc("h.0.ln2.bias")
  %v20:3 = dsc.layer_norm %v17 gamma %v18 beta %v19 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.0.ln2")
  %v21 = dsc.get_global @"h.0.fc.weight" : tensor<8x32xf64> loc("h.0.fc.weight")
  %v22 = dsc.get_global @"h.0.fc.bias" : tensor<32xf64> loc("h.0.fc.bias")
  %v23 = dsc.matmul %v20#0, %v21 : (tensor<2x3x8xf64>, tensor<8x32xf64>) -> tensor<2x3x32xf64> loc("h.0.fc.mm")
  %v24 = dsc.add %v23, %v22 : (tensor<2x3x32xf64>, tensor<32xf64>) -> tensor<2x3x32xf64> loc("h.0.fc.bias")
  %v25 = dsc.gelu %v24 {kind = #dsc.gelu_kind<tanh>} : (tensor<2x3x32xf64>) -> tensor<2x3x32xf64> loc("h.0.gelu")
  %v26 = dsc.get_global @"h.0.fc2.weight" : tensor<32x8xf64> loc("h.0.fc2.weight")
  %v27 = dsc.get_global @"h.0.fc2.bias" : tensor<8xf64> loc("h.0.fc2.bias")
  %v28 = dsc.matmul %v25, %v26 : (tensor<2x3x32xf64>, tensor<32x8xf64>) -> tensor<2x3x8xf64> loc("h.0.fc2.mm")
  %v29 = dsc.add %v28, %v27 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.0.fc2.bias")
  %v30 = dsc.add %v17, %v29 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.0.res2")
  %v31 = dsc.get_global @"h.1.ln1.weight" : tensor<8xf64> loc("h.1.ln1.weight")
  %v32 = dsc.get_global @"h.1.ln1.bias" : tensor<8xf64> loc("h.1.ln1.bias")
  %v33:3 = dsc.layer_norm %v30 gamma %v31 beta %v32 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.1.ln1")
  %v34 = dsc.get_global @"h.1.attn.weight" : tensor<8x24xf64> loc("h.1.attn.weight")
  %v35 = dsc.get_global @"h.1.attn.bias" : tensor<24xf64> loc("h.1.attn.bias")
  %v36 = dsc.matmul %v33#0, %v34 : (tensor<2x3x8xf64>, tensor<8x24xf64>) -> tensor<2x3x24xf64> loc("h.1.attn.mm")
  %v37 = dsc.add %v36, %v35 : (tensor<2x3x24xf64>, tensor<24xf64>) -> tensor<2x3x24xf64> loc("h.1.attn.bias")
  %v38:2 = dsc.attention %v37 {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.125 : f64, causal = true} : (tensor<2x3x24xf64>) -> (tensor<2x3x8xf64>, tensor<2x2x3xf64>) loc("h.1.sdpa")
  %v39 = dsc.get_global @"h.1.proj.weight" : tensor<8x8xf64> loc("h.1.proj.weight")
  %v40 = dsc.get_global @"h.1.proj.bias" : tensor<8xf64> loc("h.1.proj.bias")
  %v41 = dsc.matmul %v38#0, %v39 : (tensor<2x3x8xf64>, tensor<8x8xf64>) -> tensor<2x3x8xf64> loc("h.1.proj.mm")
  %v42 = dsc.add %v41, %v40 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.1.proj.bias")
  %v43 = dsc.add %v30, %v42 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.1.res1")
  %v44 = dsc.get_global @"h.1.ln2.weight" : tensor<8xf64> loc("h.1.ln2.weight")
  %v45 = dsc.get_global @"h.1.ln2.bias" : tensor<8xf64> loc("h.1.ln2.bias")
  %v46:3 = dsc.layer_norm %v43 gamma %v44 beta %v45 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.1.ln2")
  %v47 = dsc.get_global @"h.1.fc.weight" : tensor<8x32xf64> loc("h.1.fc.weight")
  %v48 = dsc.get_global @"h.1.fc.bias" : tensor<32xf64> loc("h.1.fc.bias")
  %v49 = dsc.matmul %v46#0, %v47 : (tensor<2x3x8xf64>, tensor<8x32xf64>) -> tensor<2x3x32xf64> loc("h.1.fc.mm")
  %v50 = dsc.add %v49, %v48 : (tensor<2x3x32xf64>, tensor<32xf64>) -> tensor<2x3x32xf64> loc("h.1.fc.bias")
  %v51 = dsc.gelu %v50 {kind = #dsc.gelu_kind<tanh>} : (tensor<2x3x32xf64>) -> tensor<2x3x32xf64> loc("h.1.gelu")
  %v52 = dsc.get_global @"h.1.fc2.weight" : tensor<32x8xf64> loc("h.1.fc2.weight")
  %v53 = dsc.get_global @"h.1.fc2.bias" : tensor<8xf64> loc("h.1.fc2.bias")
  %v54 = dsc.matmul %v51, %v52 : (tensor<2x3x32xf64>, tensor<32x8xf64>) -> tensor<2x3x8xf64> loc("h.1.fc2.mm")
  %v55 = dsc.add %v54, %v53 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.1.fc2.bias")
  %v56 = dsc.add %v43, %v55 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.1.res2")
  %v57 = dsc.get_global @"lnf.weight" : tensor<8xf64> loc("lnf.weight")
  %v58 = dsc.get_global @"lnf.bias" : tensor<8xf64> loc("lnf.bias")
  %v59:3 = dsc.layer_norm %v56 gamma %v57 beta %v58 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("lnf")
  %v60 = dsc.get_global @"head" : tensor<8x11xf64> loc("head")
  %v61 = dsc.matmul %v59#0, %v60 : (tensor<2x3x8xf64>, tensor<8x11xf64>) -> tensor<2x3x11xf64> loc("head")
  return %v61 : tensor<2x3x11xf64>
}

func.func @inference(%ids: tensor<2x3xi64> {dsc.name = "ids"}) -> (tensor<2x3x11xf64> {dsc.name = "logits"}) {
  %v1 = dsc.get_global @"wte" : tensor<11x8xf64> loc("wte")
  %v2 = dsc.get_global @"wpe" : tensor<3x8xf64> loc("wpe")
  %v3 = dsc.gather %v1, %ids {axis = 0 : i64} : (tensor<11x8xf64>, tensor<2x3xi64>) -> tensor<2x3x8xf64> loc("emb")
  %v4 = dsc.add %v3, %v2 : (tensor<2x3x8xf64>, tensor<3x8xf64>) -> tensor<2x3x8xf64> loc("pos")
  %v5 = dsc.get_global @"h.0.ln1.weight" : tensor<8xf64> loc("h.0.ln1.weight")
  %v6 = dsc.get_global @"h.0.ln1.bias" : tensor<8xf64> loc("h.0.ln1.bias")
  %v7:3 = dsc.layer_norm %v4 gamma %v5 beta %v6 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.0.ln1")
  %v8 = dsc.get_global @"h.0.attn.weight" : tensor<8x24xf64> loc("h.0.attn.weight")
  %v9 = dsc.get_global @"h.0.attn.bias" : tensor<24xf64> loc("h.0.attn.bias")
  %v10 = dsc.matmul %v7#0, %v8 : (tensor<2x3x8xf64>, tensor<8x24xf64>) -> tensor<2x3x24xf64> loc("h.0.attn.mm")
  %v11 = dsc.add %v10, %v9 : (tensor<2x3x24xf64>, tensor<24xf64>) -> tensor<2x3x24xf64> loc("h.0.attn.bias")
  %v12:2 = dsc.attention %v11 {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.125 : f64, causal = true} : (tensor<2x3x24xf64>) -> (tensor<2x3x8xf64>, tensor<2x2x3xf64>) loc("h.0.sdpa")
  %v13 = dsc.get_global @"h.0.proj.weight" : tensor<8x8xf64> loc("h.0.proj.weight")
  %v14 = dsc.get_global @"h.0.proj.bias" : tensor<8xf64> loc("h.0.proj.bias")
  %v15 = dsc.matmul %v12#0, %v13 : (tensor<2x3x8xf64>, tensor<8x8xf64>) -> tensor<2x3x8xf64> loc("h.0.proj.mm")
  %v16 = dsc.add %v15, %v14 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.0.proj.bias")
  %v17 = dsc.add %v4, %v16 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.0.res1")
  %v18 = dsc.get_global @"h.0.ln2.weight" : tensor<8xf64> loc("h.0.ln2.weight")
  %v19 = dsc.get_global @"h.0.ln2.bias" : tensor<8xf64> loc("h.0.ln2.bias")
  %v20:3 = dsc.layer_norm %v17 gamma %v18 beta %v19 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.0.ln2")
  %v21 = dsc.get_global @"h.0.fc.weight" : tensor<8x32xf64> loc("h.0.fc.weight")
  %v22 = dsc.get_global @"h.0.fc.bias" : tensor<32xf64> loc("h.0.fc.bias")
  %v23 = dsc.matmul %v20#0, %v21 : (tensor<2x3x8xf64>, tensor<8x32xf64>) -> tensor<2x3x32xf64> loc("h.0.fc.mm")
  %v24 = dsc.add %v23, %v22 : (tensor<2x3x32xf64>, tensor<32xf64>) -> tensor<2x3x32xf64> loc("h.0.fc.bias")
  %v25 = dsc.gelu %v24 {kind = #dsc.gelu_kind<tanh>} : (tensor<2x3x32xf64>) -> tensor<2x3x32xf64> loc("h.0.gelu")
  %v26 = dsc.get_global @"h.0.fc2.weight" : tensor<32x8xf64> loc("h.0.fc2.weight")
  %v27 = dsc.get_global @"h.0.fc2.bias" : tensor<8xf64> loc("h.0.fc2.bias")
  %v28 = dsc.matmul %v25, %v26 : (tensor<2x3x32xf64>, tensor<32x8xf64>) -> tensor<2x3x8xf64> loc("h.0.fc2.mm")
  %v29 = dsc.add %v28, %v27 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.0.fc2.bias")
  %v30 = dsc.add %v17, %v29 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.0.res2")
  %v31 = dsc.get_global @"h.1.ln1.weight" : tensor<8xf64> loc("h.1.ln1.weight")
  %v32 = dsc.get_global @"h.1.ln1.bias" : tensor<8xf64> loc("h.1.ln1.bias")
  %v33:3 = dsc.layer_norm %v30 gamma %v31 beta %v32 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.1.ln1")
  %v34 = dsc.get_global @"h.1.attn.weight" : tensor<8x24xf64> loc("h.1.attn.weight")
  %v35 = dsc.get_global @"h.1.attn.bias" : tensor<24xf64> loc("h.1.attn.bias")
  %v36 = dsc.matmul %v33#0, %v34 : (tensor<2x3x8xf64>, tensor<8x24xf64>) -> tensor<2x3x24xf64> loc("h.1.attn.mm")
  %v37 = dsc.add %v36, %v35 : (tensor<2x3x24xf64>, tensor<24xf64>) -> tensor<2x3x24xf64> loc("h.1.attn.bias")
  %v38:2 = dsc.attention %v37 {heads = 2 : i64, kv_heads = 2 : i64, scale = 0.125 : f64, causal = true} : (tensor<2x3x24xf64>) -> (tensor<2x3x8xf64>, tensor<2x2x3xf64>) loc("h.1.sdpa")
  %v39 = dsc.get_global @"h.1.proj.weight" : tensor<8x8xf64> loc("h.1.proj.weight")
  %v40 = dsc.get_global @"h.1.proj.bias" : tensor<8xf64> loc("h.1.proj.bias")
  %v41 = dsc.matmul %v38#0, %v39 : (tensor<2x3x8xf64>, tensor<8x8xf64>) -> tensor<2x3x8xf64> loc("h.1.proj.mm")
  %v42 = dsc.add %v41, %v40 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.1.proj.bias")
  %v43 = dsc.add %v30, %v42 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.1.res1")
  %v44 = dsc.get_global @"h.1.ln2.weight" : tensor<8xf64> loc("h.1.ln2.weight")
  %v45 = dsc.get_global @"h.1.ln2.bias" : tensor<8xf64> loc("h.1.ln2.bias")
  %v46:3 = dsc.layer_norm %v43 gamma %v44 beta %v45 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("h.1.ln2")
  %v47 = dsc.get_global @"h.1.fc.weight" : tensor<8x32xf64> loc("h.1.fc.weight")
  %v48 = dsc.get_global @"h.1.fc.bias" : tensor<32xf64> loc("h.1.fc.bias")
  %v49 = dsc.matmul %v46#0, %v47 : (tensor<2x3x8xf64>, tensor<8x32xf64>) -> tensor<2x3x32xf64> loc("h.1.fc.mm")
  %v50 = dsc.add %v49, %v48 : (tensor<2x3x32xf64>, tensor<32xf64>) -> tensor<2x3x32xf64> loc("h.1.fc.bias")
  %v51 = dsc.gelu %v50 {kind = #dsc.gelu_kind<tanh>} : (tensor<2x3x32xf64>) -> tensor<2x3x32xf64> loc("h.1.gelu")
  %v52 = dsc.get_global @"h.1.fc2.weight" : tensor<32x8xf64> loc("h.1.fc2.weight")
  %v53 = dsc.get_global @"h.1.fc2.bias" : tensor<8xf64> loc("h.1.fc2.bias")
  %v54 = dsc.matmul %v51, %v52 : (tensor<2x3x32xf64>, tensor<32x8xf64>) -> tensor<2x3x8xf64> loc("h.1.fc2.mm")
  %v55 = dsc.add %v54, %v53 : (tensor<2x3x8xf64>, tensor<8xf64>) -> tensor<2x3x8xf64> loc("h.1.fc2.bias")
  %v56 = dsc.add %v43, %v55 : (tensor<2x3x8xf64>, tensor<2x3x8xf64>) -> tensor<2x3x8xf64> loc("h.1.res2")
  %v57 = dsc.get_global @"lnf.weight" : tensor<8xf64> loc("lnf.weight")
  %v58 = dsc.get_global @"lnf.bias" : tensor<8xf64> loc("lnf.bias")
  %v59:3 = dsc.layer_norm %v56 gamma %v57 beta %v58 {axis = 2 : i64, epsilon = 1.0e-5 : f64} : (tensor<2x3x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<2x3x8xf64>, tensor<2x3x1xf64>, tensor<2x3x1xf64>) loc("lnf")
  %v60 = dsc.get_global @"head" : tensor<8x11xf64> loc("head")
  %v61 = dsc.matmul %v59#0, %v60 : (tensor<2x3x8xf64>, tensor<8x11xf64>) -> tensor<2x3x11xf64> loc("head")
  return %v61 : tensor<2x3x11xf64>
}

}
