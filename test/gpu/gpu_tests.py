"""What CUDA programs compute, on a GPU, beside the CPU target: tools/test --gpu.

    gpu_tests.py --build-dir BUILD [--smoke] [--record]       make everything, then run it on this machine's GPU
    gpu_tests.py --build-dir BUILD --pack FOLDER [--smoke]    make everything in FOLDER, on a machine without a GPU
    FOLDER/gpu_tests.py --packed FOLDER [--smoke]             run it there: FOLDER is all that is needed, with Python 3

Groups:
* kernels: what the unit tests of code generation ran on the CPU, replayed (KernelReplay states the bound), a row a test.
* libraries: runtime-cuda-tests, the device and the plans of cuBLASLt and cuDNN beside plain loops.
* models: small exports of every family in fp32. Gradients of one step, parameter by parameter, are within 1e-4 of the CPU
  program's: |g - g_cpu| <= 1e-4 max(|g_cpu|, 1e-3 |all gradients|), since the gradient of a parameter that does not matter (a
  bias before a norm) is rounding alone. Loss and norm of five steps agree within 1e-4 times 1.5 a step. One of them is made
  with each further optimizer, too, with groups and a schedule.
* starts: --init=random. The weights that the GPU draws are the CPU program's, bit for bit, where they are merged, transposed or padded
  in memory, too; from them, rounded on the GPU, the first step's loss and norm are those that the same weights from a file give.
* halves: the GPT example in bf16 and fp16; loss and norm of the first step within eight roundings of the type.
  Two runs of one program give the same weights, byte for byte. A gradient that overflows ends the run and names the op.
* curves: 200 steps of it, with warm-up and a cosine; the loss, smoothed over 20 steps, stays within a unit roundoff of the type of fp32's,
  as a mean over three orders of the data. What loses small gradients does not: fp16 at a fixed scale of 2^-6. The rule is the CPU's, and
  test/e2e/run_precision.py gives the reason for it.
* resume: runs that are continued, on the GPU and from one target to the other; resume_tests.py says what.
* ranks: ZeRO on several GPUs; rank_tests.py says what.

--groups takes names of groups, with commas, and leaves the others out.
--smoke is one small case a class, for compute-sanitizer: compute-sanitizer --target-processes all --tool racecheck
tools/test --gpu --smoke. --record writes docs/gpu-tests.md. Without a GPU everything is skipped, with the reason.
"""

import argparse
import ctypes
import datetime
import hashlib
import json
import math
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import rank_tests
import resume_tests

GROUPS = ("kernels", "libraries", "models", "starts", "halves", "curves", "resume", "ranks")
MODELS = [
    "mlp-R20", "mlp_batchnorm-D20", "mlp_mixer-D20", "act_smooth-D20", "act_piecewise-R20", "act_normalising-D20", "cnn-D20",
    "cnn_grouped-D20", "nanogpt-D20", "nanogpt_eager-R20", "gpt2_sdpa-D20", "gpt2_eager_mask-T20-fresh", "class_token-R20",
    "relative_bias-R20", "llama_sdpa-R20", "bert_eager-R20", "packed_projection-R20", "gpt2_left_padding-R20", "mlp_two_norms-R20",
]  # fmt: skip
# Programs of one small model for each further optimizer, with parameter groups and a schedule.
OPTIMIZERS = {
    "sgd": ["--optimizer=sgd", "--momentum=0.9", "--nesterov"], "lion": ["--optimizer=lion", "--no-decay=norm,bias"],
    "adagrad": ["--optimizer=adagrad", "--schedule=cosine,warmup=2"], "lamb": ["--optimizer=lamb", "--group=weight:lr=0.01,weight-decay=0.1"],
}  # fmt: skip
# Uniform and normal starts; merged, transposed and padded storage; with and without half copies.
STARTS = {
    "cnn_grouped-D20": [], "packed_projection-R20": [], "llama_sdpa-R20": ["--bf16"], "bert_eager-R20": ["--fp16"], "gpt2_sdpa-D20": ["--bf16"],
}  # fmt: skip
SMOKE_MODELS = ["mlp-R20", "cnn-D20", "nanogpt-D20"]
BOUND, GROWTH, STEPS = 1e-4, 1.5, 5
ROUNDOFF = {"bf16": 2.0**-8, "fp16": 2.0**-11}
CURVE_STEPS, CURVE_SEEDS, WINDOW = 200, range(3), 20


def execute(*command, cwd=None, timeout=900, environment=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})  # fmt: skip
    if done.returncode != 0:
        raise AssertionError(f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


def tensors(path):
    """The f32 tensors of a safetensors file, as lists."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    told = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            told[name] = struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin : 8 + size + end])
    return told


def norm(values):
    return math.sqrt(math.fsum(value * value for value in values))


def steps_of(log):
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [(event["loss"], event["grad_norm"]) for event in events if event["event"] == "step"]


def gpu():
    """How many GPUs there are of which name and the driver's version, or why there is none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as problem:
        return None, f"no CUDA driver: {problem}"
    version, device, name, count = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(128), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None, "the CUDA driver finds no GPU"
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceGetName(name, 128, device)
    driver.cuDeviceGetCount(ctypes.byref(count))
    return f"{f'{count.value} ' if count.value > 1 else ''}{name.value.decode()}, driver for CUDA {version.value // 1000}.{version.value % 1000 // 10}", ""


class Pack:
    """Makes the programs and what the CPU says, in `folder`."""

    execute = staticmethod(execute)

    def __init__(self, build, folder, smoke, groups):
        self.groups = groups
        self.root = Path(__file__).resolve().parent.parent.parent
        self.build, self.folder, self.smoke = build, folder, smoke
        self.models = self.root / "test" / "e2e" / "models"
        self.references = json.loads((self.models / "references.json").read_text())

    def make(self):
        for name in ("kernels", "programs", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for file in (__file__, rank_tests.__file__, resume_tests.__file__):
            shutil.copy(file, self.folder)
        for program in ("KernelReplay", "runtime-cuda-tests"):
            if (self.build / "bin" / program).exists():
                shutil.copy(self.build / "bin" / program, self.folder / "bin")
        for old in ("cases", "data"):
            (self.folder / "kernels" / old).unlink(missing_ok=True)
        if "kernels" in self.groups:
            execute(self.build / "bin" / "codegen_test", timeout=3600, environment={"DSC_RECORD_KERNELS": str(self.folder / "kernels")})
        for name in (SMOKE_MODELS if self.smoke else MODELS) if "models" in self.groups else []:
            self.make_model(name)
        for kind, flags in OPTIMIZERS.items() if "models" in self.groups and not self.smoke else []:
            self.make_model("mlp-R20", f"mlp-R20-{kind}", flags)
        for precision in ("fp32", *ROUNDOFF) if {"halves", "curves"} & set(self.groups) else []:
            self.make_example(precision)
        for name, flags in STARTS.items() if "starts" in self.groups and not self.smoke else []:
            self.make_start(name, flags)
        if "resume" in self.groups:
            resume_tests.make(self)
        if "ranks" in self.groups:
            rank_tests.make(self)
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=self.root, capture_output=True, text=True)
        (self.folder / "about.json").write_text(json.dumps({"commit": commit.stdout.strip()}))

    def make_model(self, name, program=None, further=()):
        entry = self.references["models"][name + ".onnx"]
        program = program or name
        shutil.copy(self.models / entry["data"], self.folder / "programs" / f"{program}.npz")
        dims = [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        flags = [f"--loss={self.references['loss']}", f"--labels={entry['labels']}", "--clip=1", *dims, *further]
        self.make_pair(program, self.models / (name + ".onnx"), flags)

    def make_start(self, name, further):
        """starts/NAME.cuda, its data and the weights that the CPU's program starts from."""
        folder = self.folder / "starts"
        folder.mkdir(exist_ok=True)
        entry = self.references["models"][name + ".onnx"]
        shutil.copy(self.models / entry["data"], folder / f"{name}.npz")
        dims = [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        for target in ("cuda", "cpu"):
            execute(self.build / "bin" / "dsc", "compile", self.models / (name + ".onnx"), f"--target={target}", "--force", "--init=random",
                    f"--loss={self.references['loss']}", f"--labels={entry['labels']}", *dims, *further, "-o", folder / f"{name}.{target}")  # fmt: skip
        execute(folder / f"{name}.cpu", "export", "-o", folder / f"{name}.expected.safetensors", "--seed=11", "--force")
        (folder / f"{name}.cpu").unlink()

    def make_example(self, precision):
        example = self.root / "docs" / "examples" / "shakespeare"
        shutil.copy(example / "train.bin", self.folder / "programs" / f"gpt-{precision}.bin")
        self.make_pair(f"gpt-{precision}", example / "model.onnx", ["--clip=1", "--lr=3e-3", f"--{precision}"])

    def make_pair(self, name, model, flags):
        """NAME.cuda, and what NAME's program for the CPU computes."""
        programs = self.folder / "programs"
        data = next(path for path in (programs / f"{name}.npz", programs / f"{name}.bin") if path.exists())
        for target in ("cuda", "cpu"):
            execute(self.build / "bin" / "dsc", "compile", model, f"--target={target}", "--force", *flags, "-o", programs / f"{name}.{target}")
        program = programs / f"{name}.cpu"
        run_program(program, data, programs / f"{name}.expected")
        for path in (program, programs / f"{name}.cpu.weights.safetensors"):
            path.unlink()


def run_program(program, data, results):
    """Gradients of one step and the numbers of some: RESULTS.safetensors and RESULTS.jsonl, trained weights beside them."""
    log = results.with_name(results.name + ".jsonl")
    log.unlink(missing_ok=True)
    execute(program, "gradients", "--data", data, "-o", f"{results}.safetensors", "--force")
    saved = results.with_name(results.name + ".saved")
    shutil.rmtree(saved, ignore_errors=True)
    execute(program, "train", "--data", data, "--steps", STEPS, "--no-shuffle", "--log", log, "--save", saved)
    digest = hashlib.sha256((saved / "latest" / "weights.safetensors").read_bytes()).hexdigest()
    shutil.rmtree(saved)
    return steps_of(log), digest


class Run:
    """Runs what a Pack holds and counts, a row a group and test."""

    def __init__(self, folder, smoke, groups):
        self.folder, self.smoke, self.groups, self.rows = folder, smoke, groups, []
        self.programs = folder / "programs"
        self.scratch = folder / "results"
        self.scratch.mkdir(exist_ok=True)

    def row(self, group, name, passed, failed, note=""):
        self.rows.append((group, name, passed, failed, note))
        print(f"{'FAIL' if failed else 'ok  '} {group:10} {name:48} {note}", flush=True)

    def case(self, group, name, check):
        try:
            self.row(group, name, 1, 0, check())
        except Exception as problem:  # One case that dies must not hide the others.
            self.row(group, name, 0, 1, str(problem))

    def run(self):
        if "kernels" in self.groups:
            self.kernels()
        if "libraries" in self.groups and not self.smoke:
            self.libraries()
        names = sorted(path.stem for path in self.programs.glob("*.cuda"))
        models = [name for name in names if not name.startswith("gpt-")]
        for name in [name for name in models if not self.smoke or name in SMOKE_MODELS] if "models" in self.groups else []:
            self.case("models", name, lambda name=name: self.model(name))
        for name in STARTS if "starts" in self.groups and not self.smoke else []:
            self.case("starts", name, lambda name=name: self.start(name))
        if "starts" in self.groups and not self.smoke:
            self.case("starts", "out of range", self.start_out_of_range)
        if "halves" in self.groups and not self.smoke:
            for precision in ROUNDOFF:
                self.case("halves", f"gpt-{precision}", lambda precision=precision: self.half(precision))
            self.case("halves", "overflow", self.overflow)
        if "curves" in self.groups and not self.smoke:
            fp32 = [self.curve("fp32", seed) for seed in CURVE_SEEDS]
            for precision in ROUNDOFF:
                self.case("curves", f"gpt-{precision}", lambda precision=precision: self.beside(precision, fp32))
            self.case("curves", "gpt-fp16 that loses gradients", lambda: self.underflow(fp32))
        if "resume" in self.groups and not self.smoke:
            resume_tests.Resume(self, execute).run()
        if "ranks" in self.groups:
            rank_tests.Ranks(self).run()

    def kernels(self):
        smoke = ["--smoke"] if self.smoke else []
        done = subprocess.run([str(self.folder / "bin" / "KernelReplay"), str(self.folder / "kernels"), *smoke], capture_output=True, text=True)
        wrong = re.findall(r"^FAIL (.*)$", done.stdout, re.MULTILINE)
        found = re.findall(r"^(\S+) +(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
        if not found:
            self.row("kernels", "KernelReplay", 0, 1, done.stderr.strip() or f"exit code {done.returncode}")
        for name, passed, failed in found:
            self.row("kernels", name, int(passed), int(failed), "; ".join(text for text in wrong if text.startswith(name)))

    def libraries(self):
        """Not those of start-up, which need no GPU, but their stand-ins for drivers where they were built."""
        program, report = self.folder / "bin" / "runtime-cuda-tests", self.scratch / "libraries.json"
        if not program.exists():
            return self.row("libraries", "runtime-cuda-tests", 0, 1, "was not built: no CUDA headers")
        report.unlink(missing_ok=True)
        done = subprocess.run([str(program), "--gtest_filter=Cuda*:-CudaStart*", f"--gtest_output=json:{report}"], capture_output=True, text=True)
        if not report.exists():
            return self.row("libraries", "runtime-cuda-tests", 0, 1, (done.stderr or done.stdout)[-500:])
        for suite in json.loads(report.read_text())["testsuites"]:
            for test in suite["testsuite"]:
                skipped = test["result"] == "SKIPPED"
                failures = "; ".join(failure["failure"].splitlines()[0] for failure in test.get("failures", []))
                self.row("libraries", f"{suite['name']}.{test['name']}", int(not failures and not skipped), int(bool(failures)),
                         failures or ("skipped" if skipped else ""))  # fmt: skip

    def results(self, name):
        data = next(path for path in (self.programs / f"{name}.npz", self.programs / f"{name}.bin") if path.exists())
        steps, digest = run_program(self.programs / f"{name}.cuda", data, self.scratch / name)
        return steps, digest, data

    def model(self, name):
        steps, _, _ = self.results(name)
        found, expected = tensors(self.scratch / f"{name}.safetensors"), tensors(self.programs / f"{name}.expected.safetensors")
        assert sorted(found) == sorted(expected), f"gradients of {sorted(found)} instead of {sorted(expected)}"
        whole = math.hypot(*(norm(values) for values in expected.values()))
        worst, where = 0.0, ""
        for key, right in expected.items():
            distance = norm([a - b for a, b in zip(found[key], right)]) / max(norm(right), 1e-3 * whole)
            assert math.isfinite(distance), f"gradient of {key} is not finite"
            if distance > worst:
                worst, where = distance, key
        assert worst <= BOUND, f"gradient of {where} is off by {worst:.1e}, allowed is {BOUND:.0e}"
        for step, (got, right) in enumerate(zip(steps, steps_of(self.programs / f"{name}.expected.jsonl"), strict=True), 1):
            for what, a, b in zip(("loss", "gradient norm"), got, right):
                allowed = BOUND * GROWTH ** (step - 1)
                assert abs(a - b) <= allowed * abs(b), f"{what} of step {step} is {a}, the CPU's is {b}, allowed is {allowed:.1e}"
        return f"gradients within {worst:.1e}"

    def start(self, name):
        program, drawn = self.folder / "starts" / f"{name}.cuda", self.scratch / f"{name}.start.safetensors"
        expected = self.folder / "starts" / f"{name}.expected.safetensors"
        execute(program, "export", "-o", drawn, "--seed=11", "--force")
        found, right = tensors(drawn), tensors(expected)
        assert sorted(found) == sorted(right), f"weights {sorted(found)} instead of {sorted(right)}"
        wrong = [key for key in right if struct.pack(f"{len(right[key])}f", *right[key]) != struct.pack(f"{len(found[key])}f", *found[key])]
        assert not wrong, f"other bits of {', '.join(wrong)}"
        steps = []
        for flags in ([], ["--weights", expected]):
            log, saved = self.scratch / "start.jsonl", self.scratch / "start"
            log.unlink(missing_ok=True)
            shutil.rmtree(saved, ignore_errors=True)
            execute(program, "train", "--data", self.folder / "starts" / f"{name}.npz", "--steps", 1, "--no-shuffle", "--seed=11", "--log", log,
                    "--save", saved, *flags)  # fmt: skip
            steps.append(steps_of(log))
        assert steps[0] == steps[1], f"loss and norm are {steps[0]}, from a file {steps[1]}"
        return f"{sum(len(values) for values in right.values())} equal numbers, first loss {steps[0][0][0]:.5f}"

    def start_out_of_range(self):
        """A weight that fp16 does not hold is named, with its element."""
        name = next(name for name, flags in STARTS.items() if "--fp16" in flags)
        data = bytearray((self.folder / "starts" / f"{name}.expected.safetensors").read_bytes())
        size = int.from_bytes(data[:8], "little")
        key, entry = next((key, entry) for key, entry in json.loads(data[8 : 8 + size]).items() if key != "__metadata__")
        struct.pack_into("<f", data, 8 + size + entry["data_offsets"][0] + 4 * 3, 1e6)
        wrong = self.scratch / "range.safetensors"
        wrong.write_bytes(data)
        done = subprocess.run([str(self.folder / "starts" / f"{name}.cuda"), "export", "-o", str(self.scratch / "range.out"), "--weights", str(wrong)],
                              capture_output=True, text=True)  # fmt: skip
        assert done.returncode == 1 and f'"{key}": element 3: ' in done.stderr, f"exit code {done.returncode}: {done.stderr}"
        return f"{key}, element 3"

    def half(self, precision):
        steps, digest, data = self.results(f"gpt-{precision}")
        right = steps_of(self.programs / f"gpt-{precision}.expected.jsonl")[0]
        allowed = 8 * ROUNDOFF[precision]
        for what, a, b in zip(("loss", "gradient norm"), steps[0], right):
            assert abs(a - b) <= allowed * abs(b), f"{what} is {a}, the CPU's is {b}, allowed is {allowed:.1e}"
        again, other = run_program(self.programs / f"gpt-{precision}.cuda", data, self.scratch / f"gpt-{precision}-again")
        assert again == steps, f"a second run has losses and norms {again}, the first one {steps}"
        assert other == digest, "a second run ends with other weights"
        return f"loss within {abs(steps[0][0] - right[0]) / right[0]:.1e}, twice the same bits"


    def overflow(self):
        """At the smallest scale the run ends, and says which op it comes from."""
        done = subprocess.run([str(self.programs / "gpt-fp16.cuda"), "train", "--data", str(self.programs / "gpt-fp16.bin"), "--steps", "9",
                               "--save", str(self.scratch / "overflow"), "--initial-scale-power", "62", "--min-loss-scale", str(2.0**60),
                               "--hysteresis", "1"], capture_output=True, text=True)  # fmt: skip
        shutil.rmtree(self.scratch / "overflow", ignore_errors=True)
        assert done.returncode == 1, f"exit code {done.returncode}: {done.stderr}"
        told = re.search(r"overflows at the smallest loss scale, .*; (the first op that gives (NaN|infinity) is .*ONNX nodes: [^)]*\))", done.stderr)
        assert told, done.stderr
        return told[1]

    def curve(self, precision, seed, *flags):
        """The smoothed losses of a run."""
        log, saved = self.scratch / "curve.jsonl", self.scratch / "curve"
        log.unlink(missing_ok=True)
        shutil.rmtree(saved, ignore_errors=True)
        execute(self.programs / f"gpt-{precision}.cuda", "train", "--data", self.programs / f"gpt-{precision}.bin", "--steps", CURVE_STEPS,
                "--schedule=cosine,warmup=20", "--seed", seed, "--log", log, "--save", saved, *flags)  # fmt: skip
        shutil.rmtree(saved)
        steps = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "step"]
        skipped = sum(event["skipped"] for event in steps)
        assert skipped == 0, f"{skipped} steps of {precision} were skipped: the losses behind them are of other batches than fp32's"
        losses = [event["loss"] for event in steps]
        return [sum(losses[i : i + WINDOW]) / WINDOW for i in range(len(losses) - WINDOW + 1)]

    @staticmethod
    def distance(curves, right):
        """The largest mean distance of several curves from those of the same seeds, relative to them."""
        relative = [[(a - b) / b for a, b in zip(*pair, strict=True)] for pair in zip(curves, right, strict=True)]
        return max(abs(sum(each) / len(each)) for each in zip(*relative, strict=True))

    def beside(self, precision, fp32):
        for curve in fp32:
            assert curve[-1] < 0.8 * curve[0], f"fp32 goes from {curve[0]} to {curve[-1]} only"
        worst = self.distance([self.curve(precision, seed) for seed in CURVE_SEEDS], fp32)
        assert worst <= ROUNDOFF[precision], f"the loss is off by {worst:.1e}, allowed is {ROUNDOFF[precision]:.1e}"
        return f"within {worst:.1e} of fp32, allowed is {ROUNDOFF[precision]:.1e}; fp32 ends at {fp32[0][-1]:.3f}"

    def underflow(self, fp32):
        off = self.distance([self.curve("fp16", 0, "--loss-scale", 2.0**-6)], fp32[:1])
        assert off > 4 * ROUNDOFF["fp16"], f"only {off:.1e} away from fp32: the comparison is blind"
        return f"{off:.1e} away, as it should be"


def table(rows, name, commit, path):
    groups = {}
    for group, _, passed, failed, _ in rows:
        count = groups.setdefault(group, [0, 0])
        count[0] += passed
        count[1] += failed
    lines = [
        "# Tests on a GPU", "",
        "`tools/test --gpu --record` writes this page: every generated kernel class, library plan and model family beside the CPU target.", "",
        f"Commit {commit}, {datetime.date.today().isoformat()}, {name}.", "",
        "| group | passed | failed |", "|---|---|---|",
        *(f"| {group} | {passed} | {failed} |" for group, (passed, failed) in groups.items()), "",
        "| group | test | passed | failed | |", "|---|---|---|---|---|",
        *(f"| {group} | {test} | {passed} | {failed} | {note.replace('|', '/').splitlines()[0] if note else ''} |"
          for group, test, passed, failed, note in rows),
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build-dir", type=Path, help="the build that is tested")
    parser.add_argument("--pack", type=Path, metavar="FOLDER", help="make what a machine with a GPU needs, and stop")
    parser.add_argument("--packed", type=Path, metavar="FOLDER", help="run what --pack made")
    parser.add_argument("--groups", default=",".join(GROUPS), help="of tests, with commas (default: all)")
    parser.add_argument("--smoke", action="store_true", help="one small case a class")
    parser.add_argument("--record", action="store_true", help="write docs/gpu-tests.md, or with --packed FOLDER/gpu-tests.md")
    arguments = parser.parse_args()
    if not arguments.packed and not arguments.build_dir:
        parser.error("--build-dir says what to test")
    groups = arguments.groups.split(",")
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"--groups {', '.join(unknown)}: the groups are {', '.join(GROUPS)}")
    name, reason = gpu()
    if not name and not arguments.pack:
        print(f"SKIP everything: {reason}\n0 passed, 0 failed, 1 skipped")
        return 0
    folder = (arguments.packed or arguments.pack or arguments.build_dir / "test" / "gpu-tests").resolve()
    if not arguments.packed:
        Pack(arguments.build_dir.resolve(), folder, arguments.smoke, groups).make()
        if arguments.pack:
            print(f"packed in {folder}; run it with: {folder}/gpu_tests.py --packed {folder}")
            return 0
    run = Run(folder, arguments.smoke, groups)
    run.run()
    passed, failed = sum(row[2] for row in run.rows), sum(row[3] for row in run.rows)
    if arguments.record:
        commit = json.loads((folder / "about.json").read_text())["commit"]
        table(run.rows, name, commit, (folder if arguments.packed else Path(__file__).resolve().parents[2] / "docs") / "gpu-tests.md")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
