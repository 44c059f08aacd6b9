"""Optimizers, parameter groups and schedules beside their formulas, over 100 steps, and steps that are skipped in between.

formulas: optimizers/formulas.py gives what PyTorch's optimizers and param_groups give (optimizers/reference.json).
NAME: y = (x @ weight) scale + bias + table[ids], loss = the mean of y, trained for 100 steps in float32; every parameter is within
1e-6 (relative above 1) of the formulas in float64. Parameters lie in several chunks, one in more than 64 of them (LAMB's norms are added
by levels), one starts at 0. One batch has an infinity: its step is skipped, and neither bias correction nor the schedule counts it.
groups, no-decay: learning rates and decays by name and by kind, at compile and at run time, on one and on two ranks.
lr: what the log says is what `lr` prints. refusals: what groups cannot be.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from suite import Suite

sys.path.insert(0, str(Path(__file__).resolve().parent / "optimizers"))
from formulas import OPTIMIZERS  # noqa: E402

STEPS, BATCH, FEATURES, WIDTH, ROWS = 100, 4, 48, 64, 1088
TOLERANCE = 1e-6
BAD_STEP = 7
# Exact in f32, so that program and formulas have the same numbers.
BETAS, LR, DECAY = (0.875, 0.96875), 2.0**-7, 0.125
BETA_FLAGS = [f"--beta1={BETAS[0]}", f"--beta2={BETAS[1]}"]
CASES = {
    "adamw": ("adamw", BETA_FLAGS, {"betas": BETAS}),
    "adam": ("adam", BETA_FLAGS, {"betas": BETAS}),
    "sgd": ("sgd", [], {}),
    "sgd-momentum": ("sgd", ["--momentum=0.75", "--dampening=0.25"], {"momentum": 0.75, "dampening": 0.25}),
    "sgd-nesterov": ("sgd", ["--momentum=0.75", "--nesterov"], {"momentum": 0.75, "nesterov": True}),
    "lion": ("lion", BETA_FLAGS, {"betas": BETAS}),
    "adagrad": ("adagrad", [], {}),
    "adagrad-decay": ("adagrad", ["--lr-decay=0.125", "--initial-accumulator=0.25"], {"lr_decay": 0.125, "initial": 0.25}),
    "lamb": ("lamb", BETA_FLAGS, {"betas": BETAS}),
    "lamb-limits": ("lamb", [*BETA_FLAGS, "--min-coeff=0.5", "--max-coeff=2"], {"betas": BETAS, "limits": (0.5, 2.0)}),
}  # fmt: skip


def cosine(applied, base):
    """--schedule=cosine,warmup=10,total=80,end=0.125"""
    step = applied + 1
    if step < 10:
        return base * step / 10
    done = min((step - 10) / 70, 1)
    return base * (0.125 + 0.875 * 0.5 * (1 + np.cos(np.pi * done)))


class Optimizers:
    def __init__(self, suite):
        self.suite = suite
        self.folder = suite.folder("optimizers")
        random = np.random.default_rng(11)
        self.start = {
            "weight": 0.125 * random.standard_normal((FEATURES, WIDTH)), "scale": random.uniform(0.25, 0.75, WIDTH),
            "bias": np.zeros(WIDTH), "table": 0.125 * random.standard_normal((ROWS, WIDTH)),
        }  # fmt: skip
        self.start = {name: value.astype(np.float32) for name, value in self.start.items()}
        self.x = random.standard_normal((STEPS * BATCH, FEATURES)).astype(np.float32)
        self.x[BAD_STEP * BATCH, 3] = np.inf
        self.ids = random.integers(0, ROWS, STEPS * BATCH)
        np.savez(self.folder / "data.npz", x=self.x, ids=self.ids)
        self.write_model()

    def write_model(self):
        nodes = [
            helper.make_node("MatMul", ["x", "weight"], ["product"]), helper.make_node("Mul", ["product", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "bias"], ["shifted"]), helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0),
            helper.make_node("Add", ["shifted", "rows"], ["y"]),
        ]  # fmt: skip
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH, FEATURES]),
                  helper.make_tensor_value_info("ids", TensorProto.INT64, [BATCH])]  # fmt: skip
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, WIDTH])]
        weights = [numpy_helper.from_array(value, name) for name, value in self.start.items()]
        graph = helper.make_graph(nodes, "optimizers", inputs, outputs, weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), self.folder / "model.onnx")

    def run(self, *command, code=0):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout + done.stderr

    def compile(self, name, *flags, code=0):
        return self.run(self.suite.dsc, "compile", "model.onnx", "-o", self.folder / name, "--force", "--loss=mean", f"--lr={LR}",
                        f"--weight-decay={DECAY}", *flags, code=code)  # fmt: skip

    def train(self, name, *flags, code=0):
        log = self.folder / f"{name}.jsonl"
        log.unlink(missing_ok=True)
        said = self.run(self.folder / name, "train", "--data", "data.npz", "--steps", STEPS, "--no-shuffle", "--log", log, *flags, code=code)
        if code:
            return said
        steps = [event for event in map(json.loads, log.read_text().splitlines()) if event["event"] == "step"]
        assert [step["step"] for step in steps if step["skipped"]] == [BAD_STEP + 1], "other steps were skipped"
        return steps, self.weights(f"{name}.trained.safetensors")

    def weights(self, name):
        data = (self.folder / name).read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        return {key: np.frombuffer(data, np.float32, np.prod(entry["shape"], dtype=int), 8 + size + entry["data_offsets"][0]).reshape(entry["shape"])
                for key, entry in header.items() if key != "__metadata__"}  # fmt: skip

    def gradients(self, p, step):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        x, ids, share = self.x[rows].astype(np.float64), self.ids[rows], 1 / (BATCH * WIDTH)
        table = np.zeros((ROWS, WIDTH))
        np.add.at(table, ids, share)
        return {"weight": np.outer(x.sum(axis=0), p["scale"]) * share, "scale": (x @ p["weight"]).sum(axis=0) * share,
                "bias": np.full(WIDTH, BATCH * share), "table": table}  # fmt: skip

    def expected(self, kind, numbers, rates={}, decays={}, schedule=lambda applied, base: base):
        """The parameters behind all steps, with other rates and decays for some."""
        p = {name: value.astype(np.float64) for name, value in self.start.items()}
        state = {name: OPTIMIZERS[kind](value.shape, **numbers) for name, value in p.items()}
        applied = 0
        for step in range(STEPS):
            if step == BAD_STEP:
                continue
            gradients = self.gradients(p, step)
            p = {name: state[name].step(p[name], gradients[name], applied + 1, schedule(applied, rates.get(name, LR)), decays.get(name, DECAY))
                 for name in p}  # fmt: skip
            applied += 1
        return p

    def compare(self, trained, expected):
        assert sorted(trained) == sorted(expected), f"trained are {sorted(trained)}"
        for name, right in expected.items():
            error = np.abs(trained[name] - right) / np.maximum(1, np.abs(right))
            assert error.max() <= TOLERANCE, f"{name} is off by {error.max():.3g} at {np.unravel_index(error.argmax(), error.shape)}"
            moved = np.abs(right - self.start[name]).max()
            assert moved > 1e-4, f"{name} moved by {moved:.3g} only: the case says nothing"

    def formulas(self):
        reference = json.loads((Path(__file__).resolve().parent / "optimizers" / "reference.json").read_text())
        for run in reference["runs"]:
            numbers = dict(run["numbers"])
            numbers["initial"] = numbers.pop("initial_accumulator_value", 0)
            groups = [(reference["lr"], reference["weight_decay"]), (reference["other"]["lr"], reference["other"]["weight_decay"])]
            for i, (lr, decay) in enumerate(groups):
                p = np.array(reference["start"][i])
                optimizer = OPTIMIZERS[run["optimizer"]](p.shape, **numbers)
                for t, gradients in enumerate(reference["gradients"]):
                    p = optimizer.step(p, np.array(gradients[i]), t + 1, lr, decay)
                error = np.abs(p - np.array(run["result"][i])).max()
                assert error < 1e-12, f"{run['optimizer']} {numbers}: {error} beside PyTorch"

    def optimizer(self, name):
        kind, flags, numbers = CASES[name]
        self.compile(name, f"--optimizer={kind}", *flags)
        self.compare(self.train(name)[1], self.expected(kind, numbers))

    def scheduled(self):
        self.compile("scheduled", "--optimizer=lamb", *BETA_FLAGS, "--schedule=linear")
        steps, trained = self.train("scheduled", "--schedule=cosine,warmup=10,total=80,end=0.125")
        self.compare(trained, self.expected("lamb", {"betas": BETAS}, schedule=cosine))
        # The log has the rate of each update, and the skipped step is no update.
        updates = [step["lr"] for step in steps if not step["skipped"]]
        for applied, lr in enumerate(updates):
            assert abs(lr - cosine(applied, LR)) <= 1e-15, f"update {applied}: lr {lr}"
        told = json.loads(self.run(self.folder / "scheduled", "lr", "--steps", len(updates), "--json", "--schedule=cosine,warmup=10,total=80,end=0.125"))
        assert told["lr"] == updates, "lr --json and the log differ"

    def groups(self):
        rates, decays = {"weight": 2.0**-6, "table": 2.0**-9}, {"weight": 0.5, "scale": 0.0, "bias": 0.0}
        groups = ["--group=^wei.*:lr=0.015625,weight-decay=0.5", "--group=table|weight:lr=0.001953125"]
        for kind in ("adamw", "lion", "lamb", "sgd"):
            numbers = {} if kind == "sgd" else {"betas": BETAS}
            flags = [] if kind == "sgd" else BETA_FLAGS
            expected = self.expected(kind, numbers, rates, decays, cosine)
            schedule = "--schedule=cosine,warmup=10,total=80,end=0.125"
            self.compile(f"groups-{kind}", f"--optimizer={kind}", *flags, *groups, "--no-decay=norm,bias", schedule)
            self.compare(self.train(f"groups-{kind}")[1], expected)
            self.compile(f"late-{kind}", f"--optimizer={kind}", *flags, "--no-decay=table", "--zero=2")
            late = self.train(f"late-{kind}", *groups, "--no-decay", "^(scale|bias)$", schedule)[1]
            self.compare(late, expected)

    def refusals(self):
        self.compile("plain", "--optimizer=adamw")
        for flags, words in (
            (["--group=wieght:lr=1"], ["--group wieght:lr=1: matches none of the 4 trained parameters", "table"]),
            (["--group=weight:rate=1"], ['"rate" is neither lr nor weight-decay']), (["--group=weight"], ["is not REGEX:lr=..,weight-decay=.."]),
            (["--group=a(:lr=1"], ['"a(" is no regular expression']), (["--group=weight:lr=-1"], ["lr=-1 is not lr=NUMBER of at least 0"]),
            (["--no-decay=embedding"], ["--no-decay embedding: matches none"]),
        ):  # fmt: skip
            for said in (self.train("plain", *flags, code=1), self.compile("refused", *flags, code=1)):
                for word in words:
                    assert word in said, f"{flags}: {said}"
        said = self.compile("refused", "--lr-decay=1", code=1)
        assert "--optimizer=adagrad" in said, said


def main():
    suite = Suite(__doc__)
    optimizers = Optimizers(suite)
    suite.run("formulas", optimizers.formulas)
    for name in CASES:
        suite.run(name, lambda name=name: optimizers.optimizer(name))
    suite.run("scheduled", optimizers.scheduled)
    suite.run("groups", optimizers.groups)
    suite.run("refusals", optimizers.refusals)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
