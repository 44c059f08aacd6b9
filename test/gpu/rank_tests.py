"""Several GPUs: the group `ranks` of gpu_tests.py.

The GPT example at ZeRO stages 0 to 3, with buckets so small that there are many, on 2 and on 4 GPUs as far as the machine has them.
* Stages: with stage 0's choices of algorithms, loss and gradient norm of each step and the trained weights are those of stage 0,
  bit for bit: NCCL adds the same buckets.
* One GPU with as many times the micro-batches: loss and norm agree within the bounds of gpu_tests.py (fp32 in all steps, halves in
  the first one).
* Random starts: the weights that N GPUs draw at any stage are those of one.
* Bytes: what bench counts on the wire is the plan's payload, to the byte; memory is the plan's and no more than its alignment.
* A killed rank ends the other with exit code 3, and is named with the step.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

STAGES = range(4)
PRECISIONS = ("fp32", "bf16", "fp16")
STEPS = 5
SIZES = {"fp32": 4, "bf16": 2, "fp16": 2}


def make(pack):
    """The programs NAME.ranks and their data, in the pack's folder."""
    example = pack.root / "docs" / "examples" / "shakespeare"
    folder = pack.folder / "ranks"
    folder.mkdir(exist_ok=True)
    shutil.copy(example / "train.bin", folder / "train.bin")
    for precision in PRECISIONS if not pack.smoke else ("fp32",):
        for stage in STAGES:
            pack.execute(pack.build / "bin" / "dsc", "compile", example / "model.onnx", "--target=cuda", "--force", f"--zero={stage}", f"--{precision}",
                         "--clip=1", "--lr=3e-3", "--accumulate=any", "--bucket-bytes=65536", "--max-ranks=8",
                         "-o", folder / f"{precision}-{stage}")  # fmt: skip


    for stage in STAGES if not pack.smoke else ():
        pack.execute(pack.build / "bin" / "dsc", "compile", example / "model.onnx", "--target=cuda", "--force", f"--zero={stage}", "--bf16",
                     "--init=random", "--max-ranks=8", "-o", folder / f"random-{stage}")  # fmt: skip


def digest(path):
    """Of a safetensors file's tensors, without the text about the run that it carries."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data[8 + size :]).hexdigest()


def count_gpus():
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True) if shutil.which("nvidia-smi") else None
    return listed.stdout.count("GPU ") if listed else 0


class Ranks:
    def __init__(self, run):
        self.run_of_all, self.folder = run, run.folder / "ranks"
        self.scratch = run.scratch / "ranks"
        self.scratch.mkdir(exist_ok=True)
        self.known = {}

    def run(self):
        gpus = count_gpus()
        precisions = [precision for precision in PRECISIONS if (self.folder / f"{precision}-0").exists()]
        for ranks in (2, 4):
            for precision in precisions:
                name = f"{precision} on {ranks} GPUs"
                if gpus < ranks:
                    self.run_of_all.row("ranks", name, 0, 0, f"skipped: this machine has {gpus} GPUs")
                    continue
                self.run_of_all.case("ranks", f"{name}, stages", lambda ranks=ranks, precision=precision: self.stages(precision, ranks))
                self.run_of_all.case("ranks", f"{name}, one GPU", lambda ranks=ranks, precision=precision: self.beside_one(precision, ranks))
        if gpus >= 2 and (self.folder / "random-0").exists():
            self.run_of_all.case("ranks", "random starts", lambda: self.random_starts(min(gpus, 4)))
        if gpus >= 2:
            for stage in (0, 1, 2, 3):
                self.run_of_all.case("ranks", f"bytes at stage {stage}", lambda stage=stage: self.bytes(stage))
            self.run_of_all.case("ranks", "killed", self.killed)

    def train(self, precision, stage, ranks, accumulate):
        """Loss and norm of each step, and the digest of the weights."""
        key = (precision, stage, ranks, accumulate)
        if key in self.known:
            return self.known[key]
        timed = self.folder / f"{precision}-0.choices.json"
        if stage > 0 and timed.exists():  # each program for itself may time other algorithms as the fastest, which round otherwise
            shutil.copy(timed, self.folder / f"{precision}-{stage}.choices.json")
        saved, log = self.scratch / "saved", self.scratch / "run.jsonl"
        shutil.rmtree(saved, ignore_errors=True)
        log.unlink(missing_ok=True)
        self.execute(self.folder / f"{precision}-{stage}", "train", "--data", self.folder / "train.bin", "--steps", STEPS, "--no-shuffle",
                     "--ranks", ranks, "--accumulate", accumulate, "--log", log, "--save", saved)  # fmt: skip
        events = [json.loads(line) for line in log.read_text().splitlines()]
        steps = [(event["loss"], event["grad_norm"]) for event in events if event["event"] == "step"]
        assert len(steps) == STEPS, f"{len(steps)} steps instead of {STEPS}"
        self.known[key] = steps, digest(saved / "latest" / "weights.safetensors")
        return self.known[key]

    @staticmethod
    def execute(*command):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{(done.stderr or done.stdout)[-1500:]}")
        return done.stdout

    def stages(self, precision, ranks):
        first, weights = self.train(precision, 0, ranks, 1)
        for stage in STAGES[1:]:
            steps, trained = self.train(precision, stage, ranks, 1)
            assert steps == first, f"stage {stage} has losses and norms {steps}, stage 0 {first}"
            assert trained == weights, f"stage {stage} ends with other weights than stage 0"
        return f"equal bits, loss {first[0][0]:.5f} to {first[-1][0]:.5f}"

    def random_starts(self, most):
        known = {}
        for stage in STAGES:
            for ranks in (1, 2, 4):
                if ranks > most:
                    continue
                for steps in (0, 1):
                    saved = self.scratch / "random"
                    shutil.rmtree(saved, ignore_errors=True)
                    self.execute(self.folder / f"random-{stage}", "train", "--data", self.folder / "train.bin", "--steps", steps, "--no-shuffle",
                                 "--ranks", ranks, "--save", saved)  # fmt: skip
                    # Initial weights are one thing; those behind a step, in which rounded copies take part, are those of the ranks.
                    expected = known.setdefault((steps, ranks if steps else 0), digest(saved / "latest" / "weights.safetensors"))
                    found = digest(saved / "latest" / "weights.safetensors")
                    assert found == expected, f"stage {stage} on {ranks} GPUs has other weights at step {steps}"
        return f"equal bits at stages 0 to 3, on 1 to {most} GPUs"

    def beside_one(self, precision, ranks):
        several, one = self.train(precision, 1, ranks, 1)[0], self.train(precision, 0, 1, ranks)[0]
        worst = 0.0
        for step, (found, right) in enumerate(zip(several, one, strict=True), 1):
            allowed = 1e-4 * 1.5 ** (step - 1) if precision == "fp32" else 8 * {"bf16": 2.0**-8, "fp16": 2.0**-11}[precision]
            for what, a, b in zip(("loss", "gradient norm"), found, right, strict=True):
                worst = max(worst, abs(a - b) / abs(b))
                assert abs(a - b) <= allowed * abs(b), f"{what} of step {step} is {a}, on one GPU {b}, allowed is {allowed:.1e}"
            if precision != "fp32":
                break
        return f"within {worst:.1e}"

    def bytes(self, stage):
        precision = "bf16" if (self.folder / f"bf16-{stage}").exists() else "fp32"
        program = self.folder / f"{precision}-{stage}"
        told = json.loads(self.execute(program, "bench", "--steps", 3, "--ranks", 2, "--json"))
        manifest = json.loads(self.execute(program, "info", "--json"))
        planned = sum(each["elements"] * SIZES[precision] for each in manifest["collectives"] if each["entry"] == "last")
        assert told["wire"]["payload_bytes"] == planned, f"{told['wire']['payload_bytes']} bytes on the wire, planned are {planned}"
        beside = told["peak_bytes"] - told["planned_bytes"]
        assert 0 <= beside <= 8192 + (64 << 10), f"{told['peak_bytes']} bytes allocated, planned are {told['planned_bytes']}"
        return f"{planned} bytes a step, {told['peak_bytes']} allocated"

    def killed(self):
        log = self.scratch / "killed.jsonl"
        log.unlink(missing_ok=True)
        process = subprocess.Popen([str(self.folder / "fp32-1"), "train", "--data", str(self.folder / "train.bin"), "--steps", "1000000", "--ranks", "2",
                                    "--log", str(log), "--save", str(self.scratch / "killed"), "--timeout=30"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        try:
            began = time.monotonic()
            while not (log.exists() and '"step"' in log.read_text()):
                assert process.poll() is None and time.monotonic() - began < 120, "does not train"
                time.sleep(0.1)
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            victim = next(int(child) for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes())
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
            seconds = time.monotonic() - began
        finally:
            process.kill()
        assert process.returncode == 3, f"exit code {process.returncode}: {errors}"
        told = re.search(r"rank 1 \([^)]*\) died; rank 0 was in step \d+( and waited for [a-z_]+ \S+)?", errors)
        assert told, errors
        return f"{seconds:.1f} s: {told[0]}"
