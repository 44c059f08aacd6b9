"""tools/bench gpu-curves: loss curves of dsc's programs beside PyTorch's, from the same weights, on the same batches.

Text is shakespeare.txt, a token a byte. `PROGRAM train --steps 0 --save` writes the weights that everyone starts from. PyTorch
trains them in fp32 (TF32 off), under bf16 autocast, which keeps the residual stream in fp32, and as a bf16 module with fp32 master
weights, which is what dsc's bf16 and DeepSpeed's are. What is told is the mean distance of two curves over the steps. The bar: a
curve of dsc is no further from PyTorch's than one of PyTorch's bf16 curves is from its fp32 curve.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from benchmarks import gpu, models

STEPS, LEARNING_RATE = 50, 3e-4


def batches(root, batch, length):
    """Inputs and labels [STEPS * batch, length] from the text, window after window."""
    import numpy as np

    text = np.frombuffer((root / "docs/examples/shakespeare/shakespeare.txt").read_bytes(), dtype=np.uint8).astype(np.int64)
    count = STEPS * batch
    starts = np.arange(count) * (len(text) - length - 1) // count
    x = np.stack([text[start : start + length] for start in starts])
    y = np.stack([text[start + 1 : start + length + 1] for start in starts])
    order = np.random.default_rng(0).permutation(count)
    return x[order], y[order]


def read_weights(path):
    """Name -> f32 array of a safetensors file."""
    import numpy as np

    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            arrays[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], dtype=np.float32).reshape(entry["shape"])
    return arrays


def load(torch, module, arrays):
    """Gives a module the weights of a program, which may hold matrices transposed (Gemm's layout), all or none."""
    parameters = dict(module.named_parameters())  # a tied one once
    wide = next(name for name in parameters if name.endswith("qkv.weight"))
    transposed = arrays[wide].shape != tuple(parameters[wide].shape)
    for name, parameter in parameters.items():
        array = arrays[name] if name in arrays else arrays["head.weight"]
        isLinear = name.startswith("blocks.") and parameter.dim() == 2
        value = torch.from_numpy(array.copy())
        parameter.data.copy_(value.t() if isLinear and transposed else value)


def torch_curve(torch, shape, arrays, x, y, batch, precision):
    """Losses of STEPS steps; precision is fp32, autocast (bf16) or bf16 (weights, with fp32 masters)."""
    functional = torch.nn.functional
    torch.backends.cuda.matmul.allow_tf32 = False
    module = models.make_gpt(torch, shape)
    load(torch, module, arrays)
    module.cuda()
    masters = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(masters, LEARNING_RATE, fused=True)
    if precision == "bf16":
        module.bfloat16()
    losses = []
    for step in range(STEPS):
        rows = slice(step * batch, (step + 1) * batch)
        ids, labels = torch.from_numpy(x[rows]).cuda(), torch.from_numpy(y[rows]).cuda()
        with torch.autocast("cuda", torch.bfloat16, enabled=precision == "autocast"):
            logits = module(ids)
        loss = functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten())
        loss.backward()
        for master, parameter in zip(masters, module.parameters(), strict=True):
            master.grad, parameter.grad = parameter.grad.float(), None
        torch.nn.utils.clip_grad_norm_(masters, 1.0)
        optimizer.step()
        with torch.no_grad():
            for master, parameter in zip(masters, module.parameters(), strict=True):
                parameter.copy_(master)
        losses.append(loss.item())
    del module, optimizer, masters
    torch.cuda.empty_cache()
    return losses


def program_curve(program, folder, weights, data):
    log = folder / "log.jsonl"
    log.unlink(missing_ok=True)
    saved = folder / "saved"
    shutil.rmtree(saved, ignore_errors=True)
    command = [program, "train", "--data", data, "--weights", weights, "--steps", str(STEPS), "--no-shuffle", "--lr",
               str(LEARNING_RATE), "--log", log, "--save", saved]  # fmt: skip
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


def distance(a, b):
    return sum(abs(x - y) for x, y in zip(a, b, strict=True)) / len(a)


def run(torch, arguments, build):
    import numpy as np

    programs = Path(arguments.programs or build / "bench-gpu").resolve()
    failed = False
    for case in arguments.models.split(","):
        model, batch, length = gpu.parse_case(case)
        shape = models.SHAPES[model]
        x, y = batches(Path(__file__).resolve().parents[2], batch, length)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = {precision: programs / gpu.program_name(model, batch, length, precision) for precision in ("bf16", "fp16")}
            info = json.loads(subprocess.run([paths["bf16"], "info", "--json"], check=True, capture_output=True, text=True).stdout)
            names = [tensor["name"] for tensor in info["inputs"]]
            data = folder / "data.npz"
            np.savez(data, **{names[0]: x, names[1] if len(names) > 1 else "labels": y})
            subprocess.run([paths["bf16"], "train", "--data", data, "--steps", "0", "--save", folder / "start"], check=True, capture_output=True)
            weights = folder / "start" / "latest" / "weights.safetensors"
            arrays = read_weights(weights)
            curves = {f"torch {how}": torch_curve(torch, shape, arrays, x, y, batch, how) for how in ("fp32", "autocast", "bf16")}
            for precision, program in paths.items():
                curves[f"dsc {precision}"] = program_curve(program, folder, weights, data)
        exact = curves["torch fp32"]
        print(f"{case}, {STEPS} steps: PyTorch's fp32 loss goes from {exact[0]:.4f} to {exact[-1]:.4f}")
        for how in ("autocast", "bf16"):
            print(f"torch {how}: {distance(curves[f'torch {how}'], exact):.2e} from its fp32")
        for who, peer in (("dsc bf16", "bf16"), ("dsc fp16", "autocast")):
            own = distance(curves[f"torch {peer}"], exact)
            told = {other: distance(curves[who], curves[f"torch {other}"]) for other in ("fp32", "autocast", "bf16")}
            holds = min(told["fp32"], told[peer]) <= own
            failed |= not holds
            print(f"{who}: " + ", ".join(f"{value:.2e} from torch {other}" for other, value in told.items()) +
                  f"; the bar is {own:.2e} from fp32 or {peer}: {'holds' if holds else 'DOES NOT HOLD'}")
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(curves, indent=1) + "\n", encoding="utf-8")
    return 1 if failed else 0


