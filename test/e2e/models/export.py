"""Makes everything in this folder: MODEL-EXPORTER+OPSET[-fresh][-dynamic][-..].onnx, MODEL.data.npz, references.json, parameters.json.

Needs torch, onnx, onnxscript, onnxruntime, transformers, numpy; run it here, with the beginnings of file names to make those alone. Exporters: D and R are torch.onnx.export with
optimize=True and False, T and Tt the older TorchScript one in eval and in training mode. README.md describes the results."""
import copy, functools, json, logging, os, re, sys, warnings
import numpy as np, onnx, onnx.reference, onnxruntime, torch
from torch import nn
from torch.nn import functional as F
import nets

STEPS = 10
OPTIMIZER = {"kind": "adamw", "lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "decay": "every parameter"}
# How far ONNX Runtime's output may be from PyTorch's, relative to the largest logit.
AGREE = 2e-5

# name: (module, micro-batch, kind of data). GPT-2 has one position more than it needs in one of its forms, for the exporters
# then cut the table. A TorchScript export of it succeeds only with attention_mask as an input.
MODELS = {
    "mlp": (nets.mlp, 4, (13,)),
    "mlp_batchnorm": (nets.mlp_batchnorm, 6, (13,)),
    "mlp_mixer": (nets.Mixer, 3, (7, 10)),
    "act_smooth": (nets.act_smooth, 4, (12,)),
    "act_piecewise": (functools.partial(nets.act_piecewise, True), 4, (12,)),
    "act_piecewise_ts": (functools.partial(nets.act_piecewise, False), 4, (12,)),
    "act_normalising": (nets.act_normalising, 4, (12,)),
    "cnn": (nets.cnn, 4, (3, 13, 11)),
    "cnn_grouped": (nets.GroupedCnn, 2, (3, 14, 10)),
    "nanogpt": (nets.NanoGpt, 3, "tokens"),
    "nanogpt_untied": (functools.partial(nets.NanoGpt, bias=False, tied=False, gelu="none"), 2, "tokens"),
    "nanogpt_eager": (functools.partial(nets.NanoGpt, eager=True, gelu="none"), 3, "tokens"),
    "gpt2_eager": (functools.partial(nets.Gpt2, "eager", nets.SEQ), 3, "tokens"),
    "gpt2_sdpa": (functools.partial(nets.Gpt2, "sdpa", nets.SEQ + 8), 2, "tokens"),
    "gpt2_eager_mask": (functools.partial(nets.Gpt2, "eager", nets.SEQ + 8), 2, "masked tokens"),
    "gpt2_sdpa_mask": (functools.partial(nets.Gpt2, "sdpa", nets.SEQ), 3, "masked tokens"),
    "class_token": (nets.ClassToken, 3, (3, 8, 8)),
    "relative_bias": (nets.RelativeBias, 3, (6, 12)),
    "llama_sdpa": (functools.partial(nets.Llama, "sdpa"), 3, "tokens"),
    "llama_eager": (functools.partial(nets.Llama, "eager"), 2, "tokens"),
    "bert_sdpa": (functools.partial(nets.Bert, "sdpa"), 3, "tokens"),
    "bert_eager": (functools.partial(nets.Bert, "eager"), 2, "tokens"),
    "bert_mask": (functools.partial(nets.Bert, "sdpa"), 2, "masked tokens"),
    "packed_projection": (nets.PackedProjection, 3, (6, 12)),
    "gpt2_left_padding": (functools.partial(nets.Gpt2, "eager", nets.SEQ), 2, "padded tokens"),
    "mlp_two_norms": (nets.mlp_two_norms, 6, (13,)),
    "cnn_lrn": (nets.cnn_lrn, 3, (3, 9, 8)),
    "shaped_constants": (nets.ShapedConstants, 4, (12,)),
}

# What stands here cannot be seen from the PyTorch module: what the exporter did to the parameters.
COPIES = {"expect": "error", "why": "the file holds copies of a parameter's elements, which would be trained apart"}
FOLDED = {"folded": True}
CUT = {"file_shapes": {"m.transformer.wpe.weight": [nets.SEQ, 32]}}  # positions that the sequence does not reach are gone
# ONNX Runtime folds the transposes of weights into tensors with the exporter's numbers.
ORT_NAMES = {"up.weight": ["val_5"], "left.weight": ["val_6"], "down.weight": ["val_8"], "tokens.weight": ["val_10"], "gate.weight": ["val_2"]}
CASES = [  # (model, exporter, opset, options)
    ("mlp", "D", 20, {"fresh": True}), ("mlp", "R", 20, {}), ("mlp", "T", 20, {}), ("mlp", "Tt", 20, {}),
    ("mlp", "R", 20, {"dynamic": True}), ("mlp", "T", 13, {"unnamed": True}), ("mlp", "Tt", 9, {"fresh": True}), ("mlp", "D", 18, {}),
    ("mlp", "R", 23, {}), ("mlp", "R", 20, {"external": True}),
    ("mlp_batchnorm", "D", 20, FOLDED), ("mlp_batchnorm", "R", 20, {}), ("mlp_batchnorm", "T", 20, {}), ("mlp_batchnorm", "Tt", 20, {}),
    ("mlp_batchnorm", "Tt", 13, {"fresh": True}),
    ("mlp_mixer", "D", 20, {}), ("mlp_mixer", "R", 20, {}), ("mlp_mixer", "T", 20, {"fresh": True}), ("mlp_mixer", "Tt", 13, {}),
    ("mlp_mixer", "R", 20, {"dynamic": True}),
    ("act_smooth", "D", 20, {}), ("act_smooth", "R", 20, {}), ("act_smooth", "T", 20, {}), ("act_smooth", "Tt", 13, {}), ("act_smooth", "R", 18, {}),
    ("act_piecewise", "D", 20, {}), ("act_piecewise", "R", 20, {}), ("act_piecewise", "R", 18, {}),
    ("act_piecewise_ts", "T", 20, {}), ("act_piecewise_ts", "Tt", 13, {}),
    ("act_normalising", "D", 20, {}), ("act_normalising", "R", 20, {}), ("act_normalising", "T", 20, {}), ("act_normalising", "Tt", 12, {}),
    ("cnn", "D", 20, {"fresh": True, "lost": r"^4\.bias$", **FOLDED}), ("cnn", "D", 20, FOLDED), ("cnn", "R", 20, {}), ("cnn", "R", 20, {"fresh": True}),
    ("cnn", "T", 20, FOLDED), ("cnn", "Tt", 20, {}), ("cnn", "Tt", 13, {}), ("cnn", "R", 20, {"dynamic": True}), ("cnn", "R", 18, {}),
    ("cnn_grouped", "D", 20, {}), ("cnn_grouped", "R", 20, {}), ("cnn_grouped", "T", 20, {"fresh": True}), ("cnn_grouped", "Tt", 20, {}),
    ("cnn_grouped", "T", 13, {}), ("cnn_grouped", "R", 20, {"dynamic": True}),
    ("nanogpt", "D", 20, {"fresh": True}), ("nanogpt", "D", 20, {}), ("nanogpt", "R", 20, {}), ("nanogpt", "T", 20, {"fresh": True}),
    ("nanogpt", "T", 20, {}), ("nanogpt", "Tt", 20, {}), ("nanogpt", "R", 20, {"dynamic": True}), ("nanogpt", "T", 17, {"dynamic": True}),
    ("nanogpt", "R", 18, {}), ("nanogpt", "R", 23, {}), ("nanogpt", "D", 23, {"fresh": True}), ("nanogpt", "Tt", 17, {}),
    ("nanogpt_untied", "D", 20, {"fresh": True}), ("nanogpt_untied", "R", 20, {}), ("nanogpt_untied", "T", 17, {}), ("nanogpt_untied", "Tt", 20, {}),
    ("nanogpt_eager", "D", 20, {"fresh": True}), ("nanogpt_eager", "R", 20, {}), ("nanogpt_eager", "T", 13, {}), ("nanogpt_eager", "Tt", 20, {}),
    ("gpt2_eager", "D", 20, {"fresh": True}), ("gpt2_eager", "D", 20, {}), ("gpt2_eager", "R", 20, {"fresh": True}),
    ("gpt2_eager", "R", 20, {"dynamic": True}), ("gpt2_eager", "R", 18, {}),
    ("gpt2_sdpa", "D", 20, {"fresh": True, **CUT}), ("gpt2_sdpa", "D", 20, CUT), ("gpt2_sdpa", "R", 20, {}), ("gpt2_sdpa", "R", 23, {}),
    ("gpt2_sdpa", "D", 23, CUT), ("gpt2_sdpa", "R", 20, {"dynamic": True, "fresh": True}),
    ("gpt2_eager_mask", "T", 20, {"fresh": True}), ("gpt2_eager_mask", "Tt", 13, {}),
    ("gpt2_sdpa_mask", "T", 20, {}), ("gpt2_sdpa_mask", "Tt", 17, {"fresh": True}), ("gpt2_sdpa_mask", "R", 20, {}), ("gpt2_sdpa_mask", "D", 20, {}),
    ("class_token", "D", 20, COPIES), ("class_token", "R", 20, {}), ("class_token", "Tt", 17, {}),
    ("relative_bias", "D", 20, COPIES), ("relative_bias", "T", 20, COPIES), ("relative_bias", "R", 20, {}),
    ("llama_sdpa", "D", 20, {"fresh": True}), ("llama_sdpa", "R", 20, {}), ("llama_sdpa", "R", 23, {}), ("llama_eager", "R", 20, {}),
    ("bert_sdpa", "R", 20, {}), ("bert_sdpa", "R", 20, {"dynamic": True}),
    ("bert_sdpa", "T", 17, {}), ("bert_sdpa", "R", 23, {}), ("bert_eager", "R", 20, {}), ("bert_eager", "Tt", 17, {}), ("bert_mask", "R", 20, {}),
    ("packed_projection", "D", 20, {}), ("packed_projection", "R", 20, {}), ("packed_projection", "Tt", 17, {}),
    ("gpt2_left_padding", "T", 20, {}), ("gpt2_left_padding", "R", 20, {}),
    ("mlp_two_norms", "R", 20, {}), ("mlp_two_norms", "T", 17, {}),
    ("mlp_mixer", "R", 20, {"ort": True, "file_names": ORT_NAMES}), ("cnn_lrn", "R", 20, {}), ("cnn_lrn", "T", 17, {}), ("cnn_lrn", "Tt", 13, {}),
    ("shaped_constants", "D", 20, {}), ("shaped_constants", "R", 23, {}), ("shaped_constants", "D", 23, {}),
]


def seed_of(model):
    return 1000 + list(MODELS).index(model)


def build(model, fresh):
    """The same weights in every variant. Fresh ones are as PyTorch initialises them: norms one, many biases zero, which
    exporters merge and drop; else every vector is moved a little, running statistics too, so that no two are equal."""
    torch.manual_seed(seed_of(model))
    module = MODELS[model][0]()
    if not fresh:
        with torch.no_grad():
            for p in module.parameters():
                if p.dim() < 2:
                    p.add_(0.1 * torch.randn_like(p))
            for name, b in module.named_buffers():
                if name.endswith("running_mean"):
                    b.add_(0.2 * torch.randn_like(b))
                elif name.endswith("running_var"):
                    b.mul_(0.5 + torch.rand_like(b))
    return module.eval()


def make_data(model):
    """Ten micro-batches; a step uses one, in order. Tokens follow a noisy rule, so that there is something to learn."""
    _, batch, kind = MODELS[model]
    rng, n = np.random.default_rng(seed_of(model)), STEPS * batch
    if isinstance(kind, tuple):
        x = rng.standard_normal((n, *kind)).astype(np.float32)
        classes = 7 if len(kind) == 3 or model in ("relative_bias", "packed_projection", "shaped_constants") else 11
        return {"x": x, "labels": rng.integers(0, classes, n)}
    tokens = np.zeros((n, nets.SEQ + 1), np.int64)
    tokens[:, 0] = rng.integers(0, nets.VOCAB, n)
    for t in range(nets.SEQ):
        noise = np.where(rng.random(n) < 0.3, rng.integers(0, nets.VOCAB, n), 0)
        tokens[:, t + 1] = (5 * tokens[:, t] + 7 + noise) % nets.VOCAB
    data = {"input_ids": tokens[:, :-1], "labels": tokens[:, 1:].copy()}
    if kind == "masked tokens":
        length = rng.integers(nets.SEQ // 2, nets.SEQ + 1, n)
        data["attention_mask"] = (np.arange(nets.SEQ) < length[:, None]).astype(np.int64)
        data["labels"][data["attention_mask"] == 0] = -100
    elif kind == "padded tokens":  # on the left, and counted: the softmax of rows without a key that may be seen matters
        start = rng.integers(0, nets.SEQ // 2, n)
        data["attention_mask"] = (np.arange(nets.SEQ) >= start[:, None]).astype(np.int64)
    return data


def fold_batchnorm(module):
    """What exporters that fold a batch norm leave to train: the layer before it with the norm multiplied in."""
    layers = list(module)
    for i, layer in enumerate(layers):
        fuse = {nn.BatchNorm1d: nn.utils.fusion.fuse_linear_bn_eval, nn.BatchNorm2d: nn.utils.fusion.fuse_conv_bn_eval}.get(type(layer))
        if fuse:
            layers[i - 1], layers[i] = fuse(layers[i - 1], layer), nn.Identity()
    return nn.Sequential(*layers).requires_grad_(True)  # a bias that the folding made starts without


def as_tensors(data, dtype):
    return {k: torch.from_numpy(v).to(dtype) if v.dtype == np.float32 else torch.from_numpy(v) for k, v in data.items()}


def loss_of(module, inputs, labels, reduction="mean"):
    logits = module(**inputs) if "input_ids" in inputs else module(inputs["x"])
    return F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction=reduction)


def evaluate(module, data):
    """Mean over the counted positions of all the data, in eval mode."""
    module.eval()
    with torch.no_grad():
        inputs = {k: v for k, v in data.items() if k != "labels"}
        return loss_of(module, inputs, data["labels"], "sum").item() / (data["labels"] != -100).sum().item()


def train(module, data, batch, lost, dtype):
    module, data = copy.deepcopy(module).to(dtype), as_tensors(data, dtype)
    trained = []
    for name, p in module.named_parameters():
        if lost and re.search(lost, name):
            p.requires_grad_(False)
        else:
            trained.append(p)
    o = OPTIMIZER
    optimizer = torch.optim.AdamW(trained, lr=o["lr"], betas=tuple(o["betas"]), eps=o["eps"], weight_decay=o["weight_decay"])
    losses, norms, before = [], [], evaluate(module, data)
    module.train()
    for step in range(STEPS):
        part = {k: v[step * batch:(step + 1) * batch] for k, v in data.items()}
        optimizer.zero_grad()
        loss = loss_of(module, {k: v for k, v in part.items() if k != "labels"}, part["labels"])
        loss.backward()
        norms.append(torch.sqrt(sum((p.grad.double() ** 2).sum() for p in trained)).item())
        losses.append(loss.item())
        optimizer.step()
    return losses, norms, before, evaluate(module, data)


@functools.lru_cache(None)
def reference(model, fresh, lost, folded):
    module, data = build(model, fresh), make_data(model)
    if folded:
        module = fold_batchnorm(module)
    result = {}
    for key, dtype in (("f64", torch.float64), ("f32", torch.float32)):
        losses, norms, before, after = train(module, data, MODELS[model][1], lost, dtype)
        result |= {"loss_" + key: losses, "grad_norm_" + key: norms, "eval_before_" + key: before, "eval_after_" + key: after}
    return result


def parameters(module):
    """Each parameter once, with all the names that share it."""
    found = {}
    for name, p in module.named_parameters(remove_duplicate=False):
        found.setdefault(id(p), {"name": name, "aliases": [], "shape": list(p.shape)})
        if found[id(p)]["name"] != name:
            found[id(p)]["aliases"].append(name)
    return list(found.values())


def without_bulk(path):
    """Drops what makes half of a file and tells an importer nothing: the exporting program's stack (with its paths), and
    the class names around each node, which pkg.torch.onnx.name_scopes has in short."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props
                if p.key not in ("namespace", "pkg.torch.onnx.stack_trace", "pkg.torch.onnx.class_hierarchy")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    onnx.save(model, path)
    return model


def export(path, model, exporter, opset, options):
    module = build(model, options.get("fresh", False))
    batch, sample = MODELS[model][1], make_data(model)
    names = [k for k in sample if k != "labels"]
    args = tuple(torch.from_numpy(sample[k][:batch]) for k in names)
    axes = {0: "batch", 1: "seq"} if "input_ids" in names else {0: "batch"}
    arguments = dict(opset_version=opset)
    if not options.get("unnamed"):
        arguments |= dict(input_names=names, output_names=["logits"])
    if exporter in "DR":
        arguments |= dict(dynamo=True, optimize=exporter == "D", external_data=options.get("external", False), verbose=False)
        if options.get("dynamic"):
            arguments["dynamic_shapes"] = tuple(axes for _ in names)
    else:
        arguments["dynamo"] = False
        if options.get("dynamic"):
            arguments["dynamic_axes"] = {name: axes for name in names}
        if exporter == "Tt":
            module.train()
            arguments |= dict(training=torch.onnx.TrainingMode.TRAINING, do_constant_folding=False)
    torch.onnx.export(copy.deepcopy(module), args, path, **arguments)
    if options.get("ort"):
        session = onnxruntime.SessionOptions()
        session.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session.optimized_model_filepath = path
        onnxruntime.InferenceSession(open(path, "rb").read(), session, providers=["CPUExecutionProvider"])
    return without_bulk(path), module, args


def check(path, proto, module, args):
    """Runs the file: ONNX Runtime, or the reference evaluator for training-mode batch norms, which the former has not."""
    onnx.checker.check_model(path, full_check=True)
    feed = {i.name: a.numpy() for i, a in zip(proto.graph.input, args)}
    with torch.no_grad():
        want = copy.deepcopy(module)(*args).numpy()
    try:
        got = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, feed)[0]
        by = "onnxruntime"
    except Exception as e:
        got, by = onnx.reference.ReferenceEvaluator(proto).run(None, feed)[0], "onnx.reference"
        print("   onnxruntime:", str(e).splitlines()[0][:160])
    return by, float(np.abs(got - want).max() / np.abs(want).max())


def write(path, head, models):
    """One line a model, so that a change to one is one line of a diff."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in models.items()]
    with open(path, "w") as f:
        f.write("{\n" + "".join(f" {json.dumps(k)}: {json.dumps(v)},\n" for k, v in head.items()))
        f.write(' "models": {\n' + ",\n".join(lines) + "\n }\n}\n")


def main(only):
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    onnxruntime.set_default_logger_severity(4)
    torch.set_num_threads(1)
    references, inventory, failed = {"optimizer": OPTIMIZER, "steps": STEPS, "loss": "cross-entropy", "shuffle": False, "models": {}}, {}, []
    for model in MODELS:
        if only and not model.startswith(tuple(only)):
            continue
        data = make_data(model)
        np.savez(f"{model}.data.npz", **data)
    for model, exporter, opset, options in CASES:
        flags = [flag for flag in ("fresh", "dynamic", "unnamed", "external", "ort") if options.get(flag)]
        path = "-".join([model, f"{exporter}{opset}", *flags]) + ".onnx"
        if only and not path.startswith(tuple(only)):
            continue
        try:
            proto, module, args = export(path, model, exporter, opset, options)
            by, error = check(path, proto, module, args)
        except Exception as e:
            failed.append(f"{path}: {str(e).splitlines()[0]}")
            print("FAILED", failed[-1])
            continue
        batch, data_file = MODELS[model][1], f"{model}.data.npz"
        names = [i.name for i in proto.graph.input]
        if options.get("unnamed"):
            data_file = f"{model}.unnamed.data.npz"
            data = make_data(model)
            np.savez(data_file, **{names[0]: data["x"], "labels": data["labels"]})
        fresh, lost, folded = options.get("fresh", False), options.get("lost"), options.get("folded", False)
        written = next(o.version for o in proto.opset_import if o.domain == "")
        dims = [f"batch={batch}"] + ([f"seq={nets.SEQ}"] if "input_ids" in names else []) if options.get("dynamic") else []
        entry = {"model": model, "exporter": exporter, "opset": written, "fresh": fresh, "data": data_file, "inputs": names, "labels": "labels",
                 "micro_batch": batch, "dims": dims, "expect": options.get("expect", "trains")}
        if "why" in options:
            entry["why"] = options["why"]
        kept = parameters(fold_batchnorm(module) if folded else module)
        if lost:
            entry["lost"] = [p["name"] for p in kept if re.search(lost, p["name"])]
        if folded:
            entry["folded"] = True
        if entry["expect"] == "trains":
            entry |= reference(model, fresh, lost, folded)
        references["models"][path] = entry
        inventory[path] = [p for p in kept if p["name"] not in entry.get("lost", ())]
        for p in inventory[path]:
            p["aliases"] += options.get("file_names", {}).get(p["name"], [])
            if p["name"] in options.get("file_shapes", ()):
                p["file_shape"] = options["file_shapes"][p["name"]]
        print(f"{path:40} {os.path.getsize(path):7} bytes, {len(proto.graph.node):4} nodes, opset {written}, {by} off by {error:.1e}", flush=True)
        if error > AGREE:
            failed.append(f"{path}: {by} is off by {error}")
    if only:  # the others stay as they are
        references["models"] = json.load(open("references.json"))["models"] | references["models"]
        inventory = json.load(open("parameters.json"))["models"] | inventory
    write("references.json", {k: v for k, v in references.items() if k != "models"}, references["models"])
    write("parameters.json", {}, inventory)
    print(f"{len(references['models'])} models, {len(failed)} failed", *failed, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
