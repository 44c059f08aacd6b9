"""tools/bench cpu: dsc, PyTorch eager and torch.compile in turn, on this machine's processor."""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import models

LEARNING_RATE = 3e-4


def make_case(torch, name):
    """Model, input, labels, batch."""
    if name == "mlp":
        return models.make_mlp(torch), torch.randn(64, 784), torch.randint(0, 10, (64,)), 64
    shape, batch = models.SHAPES[name], 8
    x, y = (torch.randint(0, shape.vocabulary, (batch, shape.length)) for _ in range(2))
    return models.make_gpt(torch, shape), x, y, batch


CASES = {"gpt": 4, "mlp": 400}  # and the steps of one round


def make_step(torch, model, compiled, x, y):
    """One training step: forward, cross-entropy, backward, fused AdamW."""
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, fused=True)

    def step():
        logits = forward(x)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    return step


def compile_with_dsc(torch, name, folder, build):
    model, x, _, _ = make_case(torch, name)
    onnx, program = folder / f"{name}.onnx", folder / name
    models.export(torch, model, x, onnx)
    begin = time.perf_counter()
    subprocess.run([build / "bin/dsc", "compile", onnx, "-o", program, "--force"], check=True, stdout=subprocess.DEVNULL)
    return program, time.perf_counter() - begin


def bench_dsc(program, steps):
    """Median ms a step of a fresh process, and the bytes that it had resident after start, at its peak."""
    text = subprocess.run([program, "bench", "--steps", str(steps)], check=True, capture_output=True, text=True).stdout
    peak = re.search(r"resident, ([\d.]+) (\w+) of them after start", text)
    unit = {"B": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[peak[2]]
    return float(re.search(r"median ([\d.]+)", text)[1]), float(peak[1]) * unit


def measure_memory(name, compiled):
    """In a process of its own: bytes resident at the peak less those before the model was made."""
    command = [sys.executable, sys.argv[0], "memory-of", name, "compile" if compiled else "eager"]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def resident(field):
    """Bytes of VmRSS or VmHWM (the peak). Not getrusage's maximum, which survives exec."""
    with open("/proc/self/status", encoding="ascii") as status:
        return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", status.read())[1])


def memory_of(name, mode):
    import torch

    torch.set_num_threads(os.cpu_count())
    (torch.randn(64, 64) @ torch.randn(64, 64)).sum().item()  # libraries and threads are there before
    before = resident("VmRSS")
    model, x, y, _ = make_case(torch, name)
    step = make_step(torch, model, mode == "compile", x, y)
    for _ in range(3):
        step()
    print(resident("VmHWM") - before)


def run(torch, arguments, build):
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    folder = build / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in (arguments.models or ",".join(CASES)).split(","):
        count = CASES[name]
        program, compile_seconds = compile_with_dsc(torch, name, folder, build)
        steps, first = {}, {}
        for mode in ("eager", "compile"):
            model, x, y, samples = make_case(torch, name)
            steps[mode] = make_step(torch, model, mode == "compile", x, y)
            begin = time.perf_counter()
            steps[mode]()
            first[mode] = time.perf_counter() - begin
            steps[mode]()
        times = {"dsc": [], "eager": [], "compile": []}
        dsc_memory = 0
        for _ in range(arguments.rounds):
            median, dsc_memory = bench_dsc(program, count)
            times["dsc"].append(median)
            for mode, step in steps.items():
                taken = []
                for _ in range(count):
                    begin = time.perf_counter()
                    step()
                    taken.append((time.perf_counter() - begin) * 1e3)
                times[mode].append(statistics.median(taken))
        ms = {mode: statistics.median(values) for mode, values in times.items()}
        memory = {"dsc": dsc_memory, "eager": measure_memory(name, False), "compile": measure_memory(name, True)}
        best = min(ms["eager"], ms["compile"])
        rows.append({"model": name, "samples": samples, "ms": ms, "speed_of_best_peer": best / ms["dsc"],
                     "memory_bytes": memory, "memory_of_smaller_peer": dsc_memory / min(memory["eager"], memory["compile"]),
                     "compile_seconds": compile_seconds, "first_step_seconds": first})
        print(f"{name}: dsc {ms['dsc']:.2f} ms, eager {ms['eager']:.2f}, compiled {ms['compile']:.2f}: "
              f"{rows[-1]['speed_of_best_peer']:.2f} x the faster; memory {memory['dsc'] / 2**20:.0f} MiB, eager "
              f"{memory['eager'] / 2**20:.0f}, compiled {memory['compile'] / 2**20:.0f}: "
              f"{rows[-1]['memory_of_smaller_peer']:.2f} of the smaller; dsc compiles in {compile_seconds:.1f} s, "
              f"torch.compile's first step takes {first['compile']:.1f} s", flush=True)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
