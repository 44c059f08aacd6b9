"""tools/bench gpu and gpu-programs: dsc's executables beside PyTorch (and llm.c) on one GPU, in one session.

Programs are compiled on any machine (gpu-programs) and timed where the GPU is (gpu). A case is MODEL:BATCHxLENGTH. Peers run in
processes of their own, bf16 autocast, fused AdamW, gradients clipped at 1.0: PyTorch's modes are named as in --peers.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import models

CASES = "gpt2-124m:32x1024,gpt2-124m-v50257:32x1024,gpt2-124m:4x1024,gpt2-350m:32x1024,gpt2-1558m:16x1024"
PEERS = "compile,compile+cudnn,max-autotune"
LLMC_DEPTH = {"gpt2-124m": "d12", "gpt2-350m": "d24", "gpt2-1558m": "d48"}


def parse_case(text):
    match = re.fullmatch(r"([\w.-]+):(\d+)x(\d+)", text)
    if not match or match[1] not in models.SHAPES:
        sys.exit(f"tools/bench: '{text}' is no case; expected MODEL:BATCHxLENGTH with MODEL one of {', '.join(models.SHAPES)}")
    return match[1], int(match[2]), int(match[3])


def program_name(model, batch, length, precision):
    return f"{model}-{batch}x{length}-{precision}"


# ---------------------------------------------------------------------------------------------------------------------
# Programs
# ---------------------------------------------------------------------------------------------------------------------


def make_model(torch, model, batch, length, path):
    """The export, with its weights in a file beside it."""
    module = models.make_gpt(torch, models.SHAPES[model])
    models.export(torch, module, torch.zeros(batch, length, dtype=torch.int64), path, external_data=True)


def make_programs(torch, arguments, build):
    folder = Path(arguments.programs or build / "bench-gpu")
    folder.mkdir(parents=True, exist_ok=True)
    for case in arguments.models.split(","):
        model, batch, length = parse_case(case)
        name = program_name(model, batch, length, arguments.precision)
        graph = folder / f"{model}-{batch}x{length}.onnx"
        if not graph.exists():
            make_model(torch, model, batch, length, graph)
        command = [build / "bin/dsc", "compile", graph, "-o", folder / name, "--target=cuda", f"--{arguments.precision}",
                   "--clip=1.0", "--force", *arguments.compile_flags.split()]
        begin = time.perf_counter()
        subprocess.run(command, check=True)
        print(f"{name}: compiled in {time.perf_counter() - begin:.1f} s", flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# Timing
# ---------------------------------------------------------------------------------------------------------------------


def time_dsc(program, steps):
    """The figures that `bench --json` prints, of a fresh process."""
    run = subprocess.run([program, "bench", "--steps", str(steps), "--json"], capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"exit code {run.returncode}"}
    return json.loads(run.stdout.strip().splitlines()[-1])


def time_torch(model, mode, batch, length, steps):
    """The same figures of PyTorch, from a process of its own."""
    command = [sys.executable, sys.argv[0], "torch-step", model, mode, str(batch), str(length), str(steps)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        return {"error": run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"exit code {run.returncode}"}
    return json.loads(run.stdout.strip().splitlines()[-1])


def torch_step(model, mode, batch, length, steps):
    """Times one step of PyTorch in this process and prints one line of JSON."""
    import torch

    functional = torch.nn.functional
    mode, _, attention = mode.partition("+")
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = True
    shape = models.SHAPES[model]
    module = models.make_gpt(torch, shape).cuda()
    x, y = (torch.randint(0, shape.vocabulary, (batch, length), device="cuda") for _ in range(2))

    def forward():
        return functional.cross_entropy(module(x).flatten(0, 1), y.flatten())

    if mode != "eager":
        forward = torch.compile(forward, mode={"compile": None}.get(mode, mode))
    if attention == "cudnn":
        torch.backends.cuda.enable_flash_sdp(False)
        torch.backends.cuda.enable_mem_efficient_sdp(False)
        torch.backends.cuda.enable_cudnn_sdp(True)
    optimizer = torch.optim.AdamW(module.parameters(), 3e-4, fused=True)

    def step():
        with torch.autocast("cuda", torch.bfloat16):
            loss = forward()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    begin = time.perf_counter()
    step()
    torch.cuda.synchronize()
    first = time.perf_counter() - begin
    for _ in range(4):
        step()
    torch.cuda.synchronize()
    taken = []
    for _ in range(steps):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        stop.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(stop))
    taken.sort()
    print(json.dumps({"ms": taken[len(taken) // 2], "min_ms": taken[0], "peak_bytes": torch.cuda.max_memory_allocated(),
                      "first_step_seconds": first}))


def time_llmc(binary, model, batch):
    """llm.c's own report: the median of its steps' times. Its data files are made beside the binary by its user."""
    command = [binary, "-e", LLMC_DEPTH[model], "-b", str(batch), "-t", "1024", "-d", str(batch * 1024), "-r", "0", "-z", "0",
               "-v", "1000", "-s", "100000", "-m", "1", "-x", "25"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    taken = sorted(float(ms) for ms in re.findall(r"\| *([\d.]+) ms \|", run.stdout)[5:])
    return {"ms": taken[len(taken) // 2]} if taken else {"error": "no step times in llm.c's output"}


def product_rate(torch):
    """FLOP/s of a large bf16 matrix product on random data: what MFU divides by."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    for repeats in (3, 20):
        start.record()
        for _ in range(repeats):
            a @ b
        stop.record()
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (start.elapsed_time(stop) * 1e-3)


def run(torch, arguments, build):
    folder = Path(arguments.programs or build / "bench-gpu")
    rate = product_rate(torch)
    torch.cuda.empty_cache()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; 8192^3 bf16 product: {rate / 1e12:.0f} TFLOP/s")
    print(f"{'case':30} {'who':22} {'ms':>9} {'tokens/s':>9} {'MFU':>6} {'peak GiB':>9} {'first s':>8} {'x best peer':>11}")
    rows = []
    for case in arguments.models.split(","):
        model, batch, length = parse_case(case)
        results = {"dsc": time_dsc(folder / program_name(model, batch, length, arguments.precision), arguments.steps)}
        for peer in filter(None, arguments.peers.split(",")):
            results[peer] = time_torch(model, peer, batch, length, arguments.steps)
        if arguments.llmc and model in LLMC_DEPTH:
            results["llm.c"] = time_llmc(arguments.llmc, model, batch)
        again = time_dsc(folder / program_name(model, batch, length, arguments.precision), arguments.steps)
        if "ms" in again and again["ms"] < results["dsc"].get("ms", float("inf")):
            results["dsc"] = again
        best = min((result["ms"] for who, result in results.items() if who != "dsc" and "ms" in result), default=None)
        for who, result in results.items():
            if "error" in result:
                print(f"{case:30} {who:22} {result['error']}", flush=True)
                continue
            tokens = batch * length / result["ms"] * 1e3
            flops = models.SHAPES[model].flops_per_token() * tokens
            peak = f"{result['peak_bytes'] / 2**30:9.2f}" if "peak_bytes" in result else f"{'-':>9}"
            first = f"{result['first_step_seconds']:8.1f}" if "first_step_seconds" in result else f"{'-':>8}"
            ratio = f"{best / result['ms']:11.3f}" if best else f"{'-':>11}"
            print(f"{case:30} {who:22} {result['ms']:9.2f} {tokens:9.0f} {flops / rate:6.1%} {peak} {first} {ratio}", flush=True)
        rows.append({"case": case, "product_flops_per_s": rate, "results": results})
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
