"""Runs that are continued on a GPU: the group `resume` of gpu_tests.py.

The GPT example in fp32, bf16 and fp16, with a cosine schedule; in fp16 the loss scale starts so high that steps are skipped before and behind each
checkpoint, and grows after three good ones.
* The same GPU: what a run that goes on from step 5 or 10 does is what the uninterrupted run did, bit for bit: losses, norms, rates and scales of each
  step, and the weights and the optimizer's state of step 15 and of the end. Choices of algorithms come from the checkpoint alone.
* Across targets: a checkpoint of the CPU program continues on the GPU, and the other way. The other target writes what it loaded byte for byte; its next
  steps have the schedule and the scale of the run that went on, and its losses and norms are within the bounds of gpu_tests.py (fp32: 1e-4,
  halves: eight roundings of the type), times 1.5 a step. In fp16 the bound counts up to the first step that one of the two skips alone.
"""

import json
import shutil

PRECISIONS = ("fp32", "bf16", "fp16")
STEPS, EVERY = 16, 5
BOUND = {"fp32": 1e-4, "bf16": 8 * 2.0**-8, "fp16": 8 * 2.0**-11}
GROWTH = 1.5
FILES = ("weights.safetensors", "optimizer.safetensors")
KEYS = ("step", "epoch", "samples", "loss", "lr", "grad_norm", "loss_scale", "skipped")


def make(pack):
    """The programs PRECISION.cuda and PRECISION.cpu and their data, in the pack's folder."""
    example = pack.root / "docs" / "examples" / "shakespeare"
    folder = pack.folder / "resume"
    folder.mkdir(exist_ok=True)
    shutil.copy(example / "train.bin", folder / "train.bin")
    for precision in PRECISIONS if not pack.smoke else ():
        for target in ("--target=cuda", "--target=cpu --cpu=x86-64-v3"):
            name = f"{precision}.{target[9:].split()[0]}"
            pack.execute(pack.build / "bin" / "dsc", "compile", example / "model.onnx", *target.split(), "--force", f"--{precision}", "--clip=1",
                         "--lr=3e-3", "-o", folder / name)  # fmt: skip


class Resume:
    def __init__(self, run, execute):
        self.run_of_all, self.execute, self.folder = run, execute, run.folder / "resume"
        self.scratch = run.scratch / "resume"
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir()

    def run(self):
        for precision in PRECISIONS:
            self.run_of_all.case("resume", precision, lambda precision=precision: self.same(precision))
            for source, target in (("cpu", "cuda"), ("cuda", "cpu")):
                self.run_of_all.case("resume", f"{precision}, {source} to {target}",
                                     lambda precision=precision, source=source, target=target: self.across(precision, source, target))  # fmt: skip

    # ---- Runs

    def train(self, program, name, *flags, steps=STEPS):
        """Numbers of each step of a run that saves in the folder `name`. No timed choice of before is found but a checkpoint's."""
        (self.folder / f"{program}.choices.json").unlink(missing_ok=True)
        log = self.scratch / f"{name}.jsonl"
        self.execute(self.folder / program, "train", "--data", self.folder / "train.bin", "--steps", steps, "--save", self.scratch / name, "--log", log,
                     *flags, environment={"XDG_CACHE_HOME": str(self.scratch / "none"), "HOME": "/nonexistent"})  # fmt: skip
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return [{key: event.get(key) for key in KEYS} for event in events if event["event"] == "step"]

    def whole(self, precision, target):
        """The uninterrupted run of a program, once, and its name."""
        name = f"{precision}-{target}"
        if not (self.scratch / f"{name}.json").exists():
            scaler = ["--initial-scale-power", 24, "--loss-scale-window", 3, "--hysteresis", 1] if precision == "fp16" else []
            steps = self.train(f"{precision}.{target}", name, "--save-every", EVERY, "--schedule=cosine,warmup=0.25,total=16", *scaler)
            assert [step["step"] for step in steps] == list(range(1, STEPS + 1)), steps
            (self.scratch / f"{name}.json").write_text(json.dumps(steps))
        return name, json.loads((self.scratch / f"{name}.json").read_text())

    def step(self, name, step):
        return self.scratch / name / f"step-{step:08}"

    def same_files(self, what, folder, right, step):
        for file in FILES:
            ours, theirs = ((self.step(each, step) / file).read_bytes() for each in (folder, right))
            assert ours == theirs, f"{what}: {file} of step {step} differs"

    # ---- Cases

    def same(self, precision):
        name, expected = self.whole(precision, "cuda")
        skipped = [step["step"] for step in expected if step["skipped"]]
        if precision == "fp16":
            assert min(skipped) <= EVERY and max(skipped) > EVERY, f"the loss scale overflows in steps {skipped} only"
        for step in (EVERY, 2 * EVERY):
            again = f"{name}-from{step}"
            (self.scratch / again).mkdir()
            shutil.copytree(self.step(name, step), self.step(again, step))
            got = self.train(f"{precision}.cuda", again, "--resume", "auto", "--save-every", EVERY)
            assert got == expected[step:], f"from step {step}: {got} instead of {expected[step:]}"
            for later in (3 * EVERY, STEPS):
                self.same_files(f"from step {step}", again, name, later)
        return f"equal bits from steps 5 and 10, loss {expected[0]['loss']:.5f} to {expected[-1]['loss']:.5f}" + (
            f", steps {', '.join(map(str, skipped))} skipped" if skipped else "")  # fmt: skip

    def across(self, precision, source, target):
        name, expected = self.whole(precision, source)
        path = self.step(name, EVERY)
        self.train(f"{precision}.{target}", f"{name}-read", "--resume", path, steps=0)
        self.same_files("what was loaded", f"{name}-read", name, EVERY)
        got = self.train(f"{precision}.{target}", f"{name}-on", "--resume", path)
        first, worst, compared = 0.0, 0.0, 0
        for number, (ours, right) in enumerate(zip(got, expected[EVERY:], strict=True)):
            for key in ("step", "epoch", "samples"):
                assert ours[key] == right[key], f"{key} is {ours[key]} instead of {right[key]}"
            if ours["skipped"] != right["skipped"]:
                break  # from here on the two have made another number of updates
            for key in ("lr", "loss_scale"):
                assert ours[key] == right[key], f"{key} of step {ours['step']} is {ours[key]}, {source}'s is {right[key]}"
            for key in ("loss",) if ours["skipped"] else ("loss", "grad_norm"):
                allowed = BOUND[precision] * GROWTH**number * abs(right[key])
                off = abs(ours[key] - right[key])
                assert off <= allowed, f"{key} of step {ours['step']} is {ours[key]}, {source}'s is {right[key]}, allowed is {allowed:.1e}"
                worst = max(worst, off / abs(right[key]))
            first = worst if number == 0 else first
            compared += 1
        assert compared >= 3, f"the two skip other steps from step {EVERY + compared + 1} on"
        return f"the next loss and norm within {first:.1e}, those of {compared} steps within {worst:.1e}"
