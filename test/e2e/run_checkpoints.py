"""Checkpoints: a run that is continued is the run that was not interrupted, whatever interrupted it.

The model has a convolution (whose weights lie otherwise than in files), a batch norm, Dropout, a cosine schedule, and in fp16 a loss scale that
overflows. Checkpoints are compared with those of an uninterrupted run byte for byte: across ranks and ZeRO stages, after signals, and after
kill -9 of the job, of a rank, and in the middle of a save, at moments that a seeded generator chooses. Damaged folders, full disks and
changed runs end in errors that name the thing.
"""

import json
import math
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from suite import Skip, Suite

# The last step of a run begins in another epoch than the first: a step takes 8 of 50 samples.
SAMPLES, STEPS = 50, 16
KILLS, KILLS_FULL = 20, 200
FILES = ("weights.safetensors", "optimizer.safetensors")
SCALER = ["--fp16", "--accumulate=any", "--clip=0.5", "--initial-scale-power=24", "--loss-scale-window=3"]


class Checkpoints:
    def __init__(self, suite):
        self.suite = suite
        self.folder = suite.folder("checkpoints")
        for old in self.folder.iterdir():
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        self.random = np.random.default_rng(11)
        self.programs = {}
        self.write_model()
        for name, shift in (("data", 0.0), ("other", 1.0), ("held-out", 0.0)):
            images = self.random.standard_normal((SAMPLES, 3, 8, 8)).astype(np.float32) + np.float32(shift)
            np.savez(self.folder / f"{name}.npz", images=images, labels=self.random.integers(0, 10, SAMPLES))

    def write_model(self):
        def weight(*shape):
            return (self.random.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float32)

        weights = {"conv.weight": weight(16, 3, 3, 3), "norm.weight": np.ones(16, np.float32), "norm.bias": weight(16),
                   "norm.running_mean": np.zeros(16, np.float32), "norm.running_var": np.ones(16, np.float32),
                   "hidden.weight": weight(32, 1024), "hidden.bias": weight(32), "out.weight": weight(10, 32), "out.bias": weight(10),
                   "ratio": np.float32(0.25), "live": np.bool_(True)}  # fmt: skip
        nodes = [
            helper.make_node("Conv", ["images", "conv.weight"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", ["c", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"], ["n"]),
            helper.make_node("Relu", ["n"], ["r"]),
            helper.make_node("Flatten", ["r"], ["f"]),
            helper.make_node("Gemm", ["f", "hidden.weight", "hidden.bias"], ["h"], transB=1),
            helper.make_node("Dropout", ["h", "ratio", "live"], ["d"]),
            helper.make_node("Gemm", ["d", "out.weight", "out.bias"], ["logits"], transB=1),
        ]
        graph = helper.make_graph(nodes, "net", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [2, 3, 8, 8])],
                                  [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [2, 10])],
                                  [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()])  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.save(model, self.folder / "net.onnx")

    def program(self, *flags):
        """The program of these flags, compiled once."""
        if flags not in self.programs:
            name = f"net{len(self.programs)}"
            done = subprocess.run([self.suite.dsc, "compile", "net.onnx", "-o", name, "--loss=cross-entropy", *flags], cwd=self.folder,
                                  capture_output=True, text=True, timeout=300)  # fmt: skip
            assert done.returncode == 0, done.stderr
            self.programs[flags] = self.folder / name
        return self.programs[flags]

    def command(self, program, *flags, steps=STEPS, data="data"):
        length = [] if steps is None else ["--steps", steps]
        return [str(part) for part in (program, "train", "--data", f"{data}.npz", *length, "--threads", 1, "--log-every", 1000, *flags)]

    def train(self, program, *flags, code=0, slow=None, limit=None, **options):
        """Standard output and error of a run that ends with exit code `code`."""
        environment = dict(os.environ, **({"DSC_SAVE_BYTES_PER_SECOND": str(slow)} if slow else {}))
        command = self.command(program, *flags, **options)
        set_limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))) if limit else None
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, preexec_fn=set_limit)
        assert done.returncode == code, f"exit code {done.returncode} instead of {code} of `{' '.join(command)}`:\n{done.stdout[-800:]}{done.stderr[-2500:]}"
        return done.stdout + done.stderr

    def start(self, program, *flags, slow=None, **options):
        environment = dict(os.environ, **({"DSC_SAVE_BYTES_PER_SECOND": str(slow)} if slow else {}))
        return subprocess.Popen(self.command(program, *flags, **options), cwd=self.folder, env=environment, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip

    # ---- What is compared

    @staticmethod
    def name(step):
        return f"step-{step:08}"

    def steps_in(self, folder):
        return sorted(int(entry.name[5:]) for entry in (self.folder / folder).glob("step-*"))

    def manifest(self, folder, step):
        return json.loads((self.folder / folder / self.name(step) / "checkpoint.json").read_text())

    def same(self, what, folder, step, right, files=FILES):
        """The files of a step in two folders, byte for byte."""
        for file in files:
            paths = [self.folder / each / self.name(step) / file for each in (folder, right)]
            assert paths[0].read_bytes() == paths[1].read_bytes(), f"{what}: {file} of step {step} differs"
        ours, theirs = (self.manifest(each, step) for each in (folder, right))
        for key in ("step", "samples", "skipped_in_row", "samples_per_step"):
            assert ours[key] == theirs[key], f"{what}: {key} of step {step} is {ours[key]} instead of {theirs[key]}"

    def events(self, log, kind):
        return [event for event in map(json.loads, (self.folder / log).read_text().splitlines()) if event["event"] == kind]

    def numbers(self, log):
        keys = ("step", "epoch", "samples", "loss", "lr", "grad_norm", "loss_scale", "skipped")
        return [tuple(event.get(key) for key in keys) for event in self.events(log, "step")]

    def copy(self, source, step, target):
        (self.folder / target).mkdir()
        shutil.copytree(self.folder / source / self.name(step), self.folder / target / self.name(step))

    # ---- Cases

    def resume(self, name, ranks, flags, more=()):
        """Every step, loss scale and weight behind a checkpoint is that of the run that went on; at any step of an epoch."""
        program = self.program(*flags)
        run = ["--ranks", ranks, "--schedule=cosine,warmup=0.25", "--lr=0.01", *more]
        whole = self.train(program, *run, "--save", f"{name}.whole", "--save-every", 5, "--log", f"{name}.whole.jsonl")
        assert "saved" in whole, whole
        expected = self.numbers(f"{name}.whole.jsonl")
        if "--fp16" in flags:
            assert any(step[-1] for step in expected) and any(not step[-1] for step in expected), "the loss scale never moved"
        assert self.steps_in(f"{name}.whole") == [5, 10, 15, STEPS]
        for step in (5, 10):
            again = f"{name}.from{step}"
            self.copy(f"{name}.whole", step, again)
            # The flags of run-time values are the checkpoint's.
            told = self.train(program, "--ranks", ranks, "--resume", "auto", "--save", again, "--save-every", 5, "--log", f"{again}.jsonl")
            assert f"continues {again}/{self.name(step)} behind step {step}" in told, told
            got = self.numbers(f"{again}.jsonl")
            assert got == expected[step:], f"{again}:\n{got}\ninstead of\n{expected[step:]}"
            for later in (15, STEPS):
                self.same(again, again, later, f"{name}.whole")
            (resumed,) = self.events(f"{again}.jsonl", "resume")
            assert resumed["step"] == step and resumed["changed"] == [], resumed

    def layouts(self):
        """What 4 ranks at stage 3 write is read and written again by 2 at stage 1 and by one at stage 0, and trains on within rounding."""
        flags = ["--accumulate=any"]
        four, two, one = (self.program(*flags, f"--zero={stage}") for stage in (3, 1, 0))
        self.train(four, "--ranks", 4, "--save", "four", "--save-every", 8, "--log", "four.jsonl", "--accumulate", 1)
        expected = self.numbers("four.jsonl")
        for name, program, ranks in (("two", two, 2), ("one", one, 1), ("four-again", four, 4)):
            self.train(program, "--ranks", ranks, "--resume", f"four/{self.name(8)}", "--save", f"{name}.same", steps=0, data="data")
            self.same(name, f"{name}.same", 8, "four", FILES) if ranks == 4 else self.same_files(name, f"{name}.same", 8, "four")
            told = self.train(program, "--ranks", ranks, "--resume", f"four/{self.name(8)}", "--save", f"{name}.on", "--accumulate", 4 // ranks,
                              "--log", f"{name}.jsonl")  # fmt: skip
            assert ranks == 4 or f"the ranks were 4 and are {ranks} now" in told, told
            for got, right in zip(self.numbers(f"{name}.jsonl"), expected[8:], strict=True):
                assert got[:3] == right[:3], f"{name}: {got} instead of {right}"
                for position in (3, 5):  # docs/testing.md: 2e-4 for loss and gradient norm
                    assert abs(got[position] - right[position]) <= 2e-4 * abs(right[position]), f"{name}: {got} instead of {right}"
            if ranks == 4:
                assert self.numbers(f"{name}.jsonl") == expected[8:], "the same ranks give other bits"

    def same_files(self, what, folder, step, right):
        for file in FILES:
            paths = [self.folder / each / self.name(step) / file for each in (folder, right)]
            assert paths[0].read_bytes() == paths[1].read_bytes(), f"{what}: {file} of step {step} differs"
        ours, theirs = (self.manifest(each, step) for each in (folder, right))
        tensors = [[entry for entry in each["tensors"] if entry["file"] in FILES] for each in (ours, theirs)]
        assert tensors[0] == tensors[1], f"{what}: the manifests list other tensors"

    def stages(self):
        """Files do not depend on the stage, nor on what buckets, recomputation and merged or permuted storage make of a program."""
        for number, flags in enumerate((["--zero=0"], ["--zero=1"], ["--zero=2"], ["--zero=3"], ["--zero=3", "--bucket-bytes=4096"],
                                        ["--recompute=full"])):  # fmt: skip
            self.train(self.program("--bf16", *flags), "--ranks", 2, "--save", f"stage{number}", steps=3)
            self.same(" ".join(flags), f"stage{number}", 3, "stage0")
        manifest = self.manifest("stage3", 3)
        by_name = {entry["name"]: entry for entry in manifest["tensors"] if entry["file"] != "rank-buffers.safetensors"}
        assert by_name["conv.weight"]["shape"] == [16, 3, 3, 3] and by_name["conv.weight"]["dtype"] == "f32", by_name["conv.weight"]
        assert by_name["conv.weight.exp_avg_sq"]["of"] == "conv.weight" and by_name["norm.running_var"]["role"] == "buffer"
        assert "state.step" in by_name and not [name for name in by_name if "accumulator" in name or "gradient" in name]

    def signals(self):
        """SIGTERM saves and ends with 4, SIGUSR1 saves and goes on; what follows is the uninterrupted run."""
        program = self.program("--zero=2")
        run = ["--ranks", 2, "--schedule=linear,total=400"]
        job = self.start(program, *run, "--save", "signal", "--log", "signal.jsonl", steps=400)
        self.wait_for_step("signal.jsonl", job)
        os.kill(job.pid, signal.SIGUSR1)
        self.wait_until(lambda: self.steps_in("signal"), job)
        os.kill(job.pid, signal.SIGTERM)
        _, errors = job.communicate(timeout=60)
        assert job.returncode == 4 and "--resume auto continues it" in errors, f"exit code {job.returncode}: {errors}"
        steps = self.steps_in("signal")
        assert 2 <= len(steps) + (len(steps) == 1) and steps[-1] < 400, f"checkpoints {steps}"
        saves = self.events("signal.jsonl", "save")
        assert [event["reason"] for event in saves] == ["request", "signal"][: len(saves)], saves
        assert self.events("signal.jsonl", "end")[0]["reason"] == "signal"
        for step in steps:
            self.train(program, *run, "--save", f"quiet{step}", steps=step)
            self.same("signal", "signal", step, f"quiet{step}")
        self.train(program, *run, "--resume", "auto", "--save", "signal", steps=400)
        self.train(program, *run, "--save", "quiet", steps=400)
        self.same("resumed", "signal", 400, "quiet")

        # A second signal ends at once, also while the first one's save is under way.
        job = self.start(program, *run, "--save", "twice", "--log", "twice.jsonl", steps=10**6, slow=20000)
        self.wait_for_step("twice.jsonl", job)
        os.kill(job.pid, signal.SIGTERM)
        self.wait_until(lambda: list((self.folder / "twice").glob(".step-*.partial")), job)
        began = time.monotonic()
        os.kill(job.pid, signal.SIGTERM)
        job.communicate(timeout=60)
        assert job.returncode == -signal.SIGTERM and time.monotonic() - began < 3, f"{job.returncode} after {time.monotonic() - began:.1f} s"
        assert self.steps_in("twice") == [], "half a checkpoint is seen"

    def wait_until(self, ready, job, seconds=60):
        end = time.monotonic() + seconds
        while not ready():
            assert job.poll() is None, f"the run ended with {job.returncode}: {job.stderr.read()}"
            assert time.monotonic() < end, "nothing happened"
            time.sleep(0.01)

    def wait_for_step(self, log, job):
        path = self.folder / log
        self.wait_until(lambda: path.exists() and '"step"' in path.read_text(), job)

    def kills(self, count):
        """kill -9 of the job, of a rank, and of either while a save is under way."""
        chance = random.Random(20)
        steps, every = 60, 4
        program = self.program("--zero=3", "--fp16")
        for ranks in (1, 2, 3):
            self.train(program, "--ranks", ranks, "--save", f"kill{ranks}.right", "--save-every", every, steps=steps)
        seen, folder, ranks = {"job": 0, "rank": 0, "save": 0, "resumed": 0, "finished": 0}, None, 1
        for number in range(count):
            if folder is None or self.steps_in(folder)[-1:] == [steps]:
                seen["finished"] += folder is not None
                folder, ranks = f"kill{number}", chance.choice((1, 2, 3))
                (self.folder / folder).mkdir()
            seen["resumed"] += bool(self.steps_in(folder))
            one_rank = ranks > 1 and chance.random() < 0.5
            # Slow enough that half of the time goes into saves.
            slow = chance.choice((None, 2_000_000 / ranks))
            job = self.start(program, "--ranks", ranks, "--save", folder, "--save-every", every, "--keep", 3, "--resume", "auto",
                             "--timeout", 5, steps=steps, slow=slow)  # fmt: skip
            if number % 5:  # however slow the machine is, most runs come to some checkpoints
                self.wait_for_more(folder, job, chance.choice((0, 1, 2, 3)))
            if chance.random() < 0.5:
                self.wait_in_save(folder, job)
                time.sleep(chance.uniform(0, 0.05))
            else:
                time.sleep(chance.uniform(0, 0.4))
            seen["save"] += bool(list((self.folder / folder).glob(".step-*")))
            self.kill(job, one_rank and chance)
            seen["rank" if one_rank else "job"] += 1
            steps_there = self.steps_in(folder)
            for step in steps_there:
                self.same(f"kill {number}", folder, step, f"kill{ranks}.right")
            assert len(steps_there) <= 5, f"kill {number}: {steps_there} are more than --keep and what is being replaced"
        print(f"kills: {seen}")
        assert count < KILLS or (seen["rank"] and seen["job"] and seen["save"] >= count // 5 and seen["resumed"]), f"too little happened: {seen}"
        # The last one goes on to the same end.
        self.train(program, "--ranks", ranks, "--save", folder, "--save-every", every, "--keep", 3, "--resume", "auto", steps=steps)
        self.same("the end", folder, steps, f"kill{ranks}.right")
        assert not list((self.folder / folder).glob(".*")), "something is left over"

    def wait_for_more(self, folder, job, count):
        wanted, end = (self.steps_in(folder)[-1:] or [0])[0] + 4 * count, time.monotonic() + 15
        while job.poll() is None and time.monotonic() < end and (self.steps_in(folder)[-1:] or [0])[0] < wanted:
            time.sleep(0.005)

    def wait_in_save(self, folder, job):
        end = time.monotonic() + 3
        while job.poll() is None and time.monotonic() < end and not list((self.folder / folder).glob(".step-*.partial")):
            time.sleep(0.001)

    @staticmethod
    def kill(job, chance):
        """Ends the job and all its ranks, or with `chance` one rank, which the others must notice."""
        ranks = [int(rank) for path in Path(f"/proc/{job.pid}/task").glob("*/children") for rank in path.read_text().split()]
        if chance and ranks:
            os.kill(chance.choice(ranks), signal.SIGKILL)
        elif job.poll() is None:
            for process in [job.pid, *ranks]:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        _, errors = job.communicate(timeout=60)
        assert job.returncode in (0, 3, -signal.SIGKILL), f"exit code {job.returncode}: {errors}"

    def damage(self):
        """Damaged, cut and foreign files are refused by name and reason, and are not taken for weights."""
        program = self.program("--zero=1")
        self.train(program, "--save", "sound", steps=2)
        self.train(program, "--save", "foreign", "--seed", 9, steps=2)

        def flip(path, offset):
            data = bytearray(path.read_bytes())
            data[offset] ^= 1
            path.write_bytes(data)

        cases = {
            "a flipped bit of a weight": (lambda c: flip(c / "weights.safetensors", -5), "weights.safetensors: tensor .* is not the one that was written"),
            "a flipped bit of state": (lambda c: flip(c / "optimizer.safetensors", -900), "optimizer.safetensors: tensor .* checksum differs"),
            "a flipped bit of the header": (lambda c: flip(c / "weights.safetensors", 40), "weights.safetensors"),
            "cut weights": (lambda c: os.truncate(c / "weights.safetensors", 3000), "weights.safetensors: has 3000 bytes .* was cut"),
            "cut state": (lambda c: os.truncate(c / "optimizer.safetensors", os.path.getsize(c / "optimizer.safetensors") - 1), "optimizer.safetensors"),
            "a missing file": (lambda c: (c / "optimizer.safetensors").unlink(), "optimizer.safetensors: No such file.* not complete"),
            "a changed manifest": (lambda c: (c / "checkpoint.json").write_text((c / "checkpoint.json").read_text().replace('"samples": 4', '"samples": 6', 1)),
                                   "checkpoint.json: is damaged"),
            "half a manifest": (lambda c: os.truncate(c / "checkpoint.json", 500), "checkpoint.json: is damaged"),
            "another JSON": (lambda c: (c / "checkpoint.json").write_text('{"a": 1}'), "checkpoint.json: was not written by dsc"),
            "another run's weights": (lambda c: shutil.copy(self.folder / "foreign" / self.name(2) / "weights.safetensors", c), "checksum differs"),
        }  # fmt: skip
        for number, (what, (change, expected)) in enumerate(cases.items()):
            folder = f"damaged{number}"
            self.copy("sound", 2, folder)
            change(self.folder / folder / self.name(2))
            self.says(what, expected, self.train(program, "--resume", "auto", "--save", folder, steps=4, code=1))
        done = subprocess.run([program, "eval", "--data", "data.npz", "--weights", "damaged0"], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 1 and "is not the one that was written" in done.stderr, done.stderr
        os.makedirs(self.folder / "empty" / self.name(3))
        self.says("an empty folder", "checkpoint.json: cannot open: No such file", self.train(program, "--resume", "empty", code=1))
        self.says("no folder", "No such file", self.train(program, "--resume", "nowhere", code=1))
        self.says("a file", "is a file and no checkpoint", self.train(program, "--resume", "data.npz", code=1))

    @staticmethod
    def says(what, expected, told):
        assert re.search(expected, told), f"{what}: {expected!r} is not in: {told}"

    def full_disk(self):
        """A disk that fills up ends the run with the last checkpoint as it was; one that is too small is found before the first step."""
        program = self.program("--zero=1")
        for ranks in (1, 2):
            folder = f"full{ranks}"
            self.train(program, "--ranks", ranks, "--save", folder, steps=2)
            right = (self.folder / folder / self.name(2) / "weights.safetensors").read_bytes()
            told = self.train(program, "--ranks", ranks, "--save", folder, "--resume", "auto", "--save-every", 2, code=2, limit=len(right) - 1)
            self.says("a limit of the file's size", r"step-00000004.partial/weights.safetensors: cannot write: File too large", told)
            assert self.steps_in(folder) == [2] and not list((self.folder / folder).glob(".*")), list((self.folder / folder).iterdir())
            assert (self.folder / folder / "latest" / "weights.safetensors").read_bytes() == right
            self.train(program, "--ranks", ranks, "--save", folder, "--resume", "auto", steps=4)
        small = self.folder / "small"
        small.mkdir()
        if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True).returncode:
            raise Skip("no small file system can be mounted here (the limit of a file's size was tested)")
        try:
            told = self.train(program, "--save", "small/run", "--save-every", 1, code=2)
            self.says("too many checkpoints", r"has .* free, and 17 checkpoints of .* each will be written there; keep fewer with --keep=N", told)
            # Something else fills the disk between two saves.
            job = self.start(program, "--save", "small/run", "--save-every", 500, "--keep", 1, steps=10**6)
            self.wait_until(lambda: self.steps_in("small/run"), job)
            with open(small / "filler", "wb", buffering=0) as filler:
                try:
                    while filler.write(bytes(4096)):
                        pass
                except OSError:
                    pass
            _, errors = job.communicate(timeout=60)
            assert job.returncode == 2, f"exit code {job.returncode}: {errors}"
            self.says("a full disk", r"\.step-\d+\.partial/.*: cannot write: No space left on device", errors)
            (last,) = self.steps_in("small/run")
            (small / "filler").unlink()
            self.train(program, "--save", "small/run", "--keep", 1, "--resume", "auto", steps=last + 1)
        finally:
            subprocess.run(["umount", small], check=True)

    def changes(self):
        """What a run that goes on may change is told, what makes it another run is refused until it is allowed."""
        program = self.program("--zero=1")
        run = ["--resume", f"base/{self.name(2)}"]
        self.train(program, "--save", "base", "--lr=0.002", steps=2)
        refused = {
            "data": (program, ["--data-is-other"], "the data was 50 samples, hash .* and is 50 samples, hash"),
            "seed": (program, ["--seed=5"], "--seed was 0 and is 5 now"),
            "order": (program, ["--no-shuffle"], "the order of samples was shuffled and is as in the data now"),
            "optimizer": (self.program("--optimizer=sgd", "--momentum=0.9"), [], "compile-time option optimizer was adamw and is sgd now"),
            "precision": (self.program("--fp16"), [], "compile-time option precision was fp32 and is fp16 now"),
            "loss": (self.program("--label-smoothing=0.1"), [], "compile-time option label_smoothing was 0 and is 0.1 now"),
            "trained": (self.program("--freeze=^hidden"), [], r"the set of trained parameters was 7.*only then \(2\): hidden.bias, hidden.weight"),
        }
        for name, (other, flags, expected) in refused.items():
            data = "other" if flags == ["--data-is-other"] else "data"
            flags = [] if data == "other" else flags
            told = self.train(other, *run, *flags, code=1, steps=4, data=data)
            self.says(name, "(?s)" + expected, told)
            self.says(name, f"give --allow-change={name}", told)
            told = self.train(other, *run, *flags, "--allow-change", name, "--save", f"allowed-{name}", steps=4, data=data)
            self.says(name, "(?s)note: .*" + expected, told)
            assert self.steps_in(f"allowed-{name}") == [4]
        self.says("a model", r"(?s)is of another model than this program:.*only in the program \(1\): conv.bias f32 \[16\]",
                  self.train(self.other_model(), *run, code=1))  # fmt: skip
        told = self.train(program, *run, "--lr=0.1", "--save", "free", "--log", "free.jsonl", steps=4)
        self.says("a learning rate", "note: --lr was 0.002 and is 0.1 now", told)
        assert self.numbers("free.jsonl")[0][4] == 0.1 and self.events("free.jsonl", "resume")[0]["changed"] == ["--lr was 0.002 and is 0.1 now"]
        assert self.manifest("free", 4)["flags"]["--lr"] == "0.1"

        refusals = [
            (["--resume", "auto"], "continues from --save DIR, which is not given"),
            (["--resume", "base", "--weights", "base"], "give one of --weights and --resume"),
            (["--resume", "base", "--allow-change=sed"], 'is nothing that it knows.*"seed"|is nothing that it knows.*seed'),
            (["--allow-change=seed"], "needs --resume"),
            (["--save", "base"], "holds the checkpoints of another run, the last one of step 2"),
            (["--resume", "base", "--save", "free"], "holds the checkpoints of another run than base"),
            (["--save-every", 2], "needs --save DIR"),
            (["--save", "x", "--save-every", 0], 'is neither a positive number of steps nor "epoch"'),
            (["--save", "x", "--keep", 0], "--keep 0: is not an integer of at least 1"),
            (["--save", "x", "--best", "loss"], "--best: needs evaluations: --eval-data"),
            (["--patience", 2], "--patience: needs evaluations"),
            (["--save", "x", "--best", "size", "--eval-data", "data.npz"], "is neither loss nor accuracy"),
        ]
        for flags, expected in refusals:
            self.says(" ".join(map(str, flags)), expected, self.train(program, *flags, code=1))
        told = self.train(program, "--resume", "base", steps=1, code=1)
        self.says("too few steps", "base/step-00000002 is of step 2 already", told)
        # Later checkpoints are not overwritten, and two runs do not write to one folder.
        self.train(program, "--save", "base", "--resume", "auto", steps=3)
        self.says("an earlier one", "step-00000003, which is behind the step 2", self.train(program, "--save", "base", *run, code=1))
        job = self.start(program, "--save", "locked", "--log", "locked.jsonl", steps=10**7)
        self.wait_for_step("locked.jsonl", job)
        told = self.train(program, "--save", "locked", "--resume", "auto", code=1)
        self.says("two runs", "another run that is under way saves there", told)
        job.send_signal(signal.SIGTERM)
        job.communicate(timeout=60)

    def other_model(self):
        """The same with a bias more."""
        model = onnx.load(self.folder / "net.onnx")
        model.graph.node[0].input.append("conv.bias")
        model.graph.initializer.append(numpy_helper.from_array(np.ones(16, np.float32) * np.arange(16, dtype=np.float32), "conv.bias"))
        onnx.save(model, self.folder / "biased.onnx")
        subprocess.run([self.suite.dsc, "compile", "biased.onnx", "-o", "biased", "--loss=cross-entropy"], cwd=self.folder, check=True, capture_output=True)
        return self.folder / "biased"

    def best(self):
        """The checkpoint of the best evaluation stays, the run ends when none is better, and both survive a restart."""
        program = self.program("--zero=1")
        run = ["--ranks", 2, "--lr=0.02", "--eval-data", "held-out.npz", "--eval-every", 4, "--save-every", 8, "--keep", 1, "--best", "loss", "--patience", 3]
        told = self.train(program, *run, "--save", "best", "--log", "best.jsonl", steps=400)
        losses = {event["step"]: event["loss"] for event in self.events("best.jsonl", "eval")}
        best = min(losses, key=losses.get)
        (end,) = self.events("best.jsonl", "end")
        assert end["reason"] == "patience" and end["step"] == best + 12, (end, losses)
        assert f"no better than that of step {best}" in told, told
        assert (self.folder / "best" / "best").resolve().name == self.name(best), os.readlink(self.folder / "best" / "best")
        assert self.steps_in("best") == sorted({best, end["step"]}), self.steps_in("best")
        # Evaluating it again gives its loss.
        done = subprocess.run([program, "eval", "--data", "held-out.npz", "--weights", "best/best", "--json", "--threads=1"], cwd=self.folder,
                              capture_output=True, text=True)  # fmt: skip
        assert json.loads(done.stdout)["loss"] == losses[best], done.stdout
        # Neither evaluating nor saving changed what was trained.
        self.train(program, "--ranks", 2, "--lr=0.02", "--save", "plain", steps=end["step"])
        self.same("evaluations", "best", end["step"], "plain")
        # Requeued behind any evaluation, the same run comes to the same end.
        self.train(program, *run, "--save", "stopped", "--log", "stopped.jsonl", "--resume", "auto", steps=400)
        again = self.train(program, *run, "--save", "stopped", "--resume", "auto", steps=400)
        assert "no better than" in again, again
        self.copy("best", best, "middle")
        self.train(program, *run, "--save", "middle", "--log", "middle.jsonl", "--resume", "auto", steps=400)
        assert (self.folder / "middle" / "best").resolve().name == self.name(best)
        self.same("middle", "middle", end["step"], "best")
        assert self.events("middle.jsonl", "end")[0]["reason"] == "patience"
        # By accuracy, larger is better.
        self.train(program, "--eval-data", "data.npz", "--eval-every", "epoch", "--save", "accuracy", "--save-every", "epoch", "--best", "accuracy",
                   "--lr=0.01", "--log", "accuracy.jsonl", "--epochs", 4, steps=None)  # fmt: skip
        scores = {event["step"]: event["accuracy"] for event in self.events("accuracy.jsonl", "eval")}
        assert (self.folder / "accuracy" / "best").resolve().name == self.name(max(scores, key=scores.get)), scores
        assert sorted(scores) == [25, 50, 75, 100] == self.steps_in("accuracy"), (scores, self.steps_in("accuracy"))

    def slow_save(self):
        """A save that takes longer than --timeout is no hang."""
        program = self.program("--zero=1")
        self.train(program, "--ranks", 2, "--timeout", 2, "--save", "slow", steps=2, slow=100_000)
        assert self.steps_in("slow") == [2]
        (event,) = [self.manifest("slow", 2)]
        assert event["reason"] == "end"


def main():
    suite = Suite(__doc__)
    checkpoints = Checkpoints(suite)
    suite.run("resume-fp16", lambda: checkpoints.resume("fp16", 1, SCALER, ["--accumulate=4"]))
    suite.run("resume-ranks", lambda: checkpoints.resume("ranks", 2, [*SCALER, "--zero=2"], ["--accumulate=2"]))
    suite.run("resume-stage3", lambda: checkpoints.resume("stage3", 4, ["--zero=3", "--optimizer=sgd", "--momentum=0.9"]))
    suite.run("layouts", checkpoints.layouts)
    suite.run("stages", checkpoints.stages)
    suite.run("signals", checkpoints.signals)
    suite.run("damage", checkpoints.damage)
    suite.run("full-disk", checkpoints.full_disk)
    suite.run("changes", checkpoints.changes)
    suite.run("best", checkpoints.best)
    suite.run("slow-save", checkpoints.slow_save)
    suite.run("kills", lambda: checkpoints.kills(KILLS_FULL if suite.full else KILLS))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
