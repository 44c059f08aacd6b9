"""Small models of every exporter train like the PyTorch modules they came from: test/e2e/models/README.md.

A case a model file: its trained parameters are those of the module, by name and shape; loss and gradient norm of ten AdamW
steps, and the loss in eval mode before and after them, are beside PyTorch's in f64. The first three steps agree within
2e-4 relative (the project's bar). From then on training amplifies rounding, and the bound grows by half a step:
2e-4 * 1.5^(step - 3), 3.4e-3 in the tenth. Files that cannot be trained are refused with exit code 1 and a message.

With --full a second program is made with --disable=raise, whose losses must agree with the first one's within 1e-5
relative in the first three steps, and by the same growth after that.
"""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from suite import Suite

PYTORCH_BOUND, RAISE_BOUND = 2e-4, 1e-5
GROWTH, FIRST_STEPS = 1.5, 3


def allowed(first, step):
    """The relative difference allowed in `step`, counted from 1."""
    return first * GROWTH ** max(0, step - FIRST_STEPS)


def execute(command, cwd):
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def succeed(command, cwd):
    code, out, err = execute(command, cwd)
    assert code == 0, f"exit code {code} of `{' '.join(str(part) for part in command)}`:\n{(err or out)[-1500:]}"
    return out


def relative(value, expected):
    return abs(value - expected) / max(abs(expected), 1e-12) if math.isfinite(value) else math.inf


class Models:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "test" / "e2e" / "models"
        references = json.loads((self.source / "references.json").read_text())
        self.references, self.steps, self.loss = references["models"], references["steps"], references["loss"]
        self.parameters = json.loads((self.source / "parameters.json").read_text())["models"]
        self.folder = suite.folder("training")

    def import_flags(self, entry):
        return [flag for dim in entry["dims"] for flag in ("--dim", dim)]

    def compile(self, file, entry, output, flags=()):
        return [
            self.suite.dsc, "compile", self.source / file, "-o", output, "--force", f"--loss={self.loss}",
            f"--labels={entry['labels']}", *self.import_flags(entry), *flags,
        ]  # fmt: skip

    def check_parameters(self, file, entry):
        told = json.loads(succeed([self.suite.dsc, "inspect", "--json", self.source / file, *self.import_flags(entry)],
                                  self.folder))  # fmt: skip
        trained = {parameter["name"]: parameter for parameter in told["parameters"] if parameter["role"] == "trained"}
        problems = []
        for parameter in self.parameters[file]:
            names = [parameter["name"], *parameter["aliases"]]
            shape = parameter.get("file_shape", parameter["shape"])
            # The TorchScript exporter folds a position table into an initializer of its own and leaves no trace of its name.
            names += [name for name, other in trained.items() if name.startswith("onnx::Add_") and other["shape"] == shape]
            found = next((trained.pop(name) for name in names if name in trained), None)
            if found is None:
                problems.append(f"{parameter['name']} {shape} is not trained")
            elif shape not in (found["shape"], found["shape"][::-1]):  # exporters transpose matrices
                problems.append(f"{parameter['name']} is {found['shape']}, not {shape}")
        problems += [f"{name} {parameter['shape']} is trained" for name, parameter in trained.items()]
        assert not problems, "parameters: " + "; ".join(problems)

    def train(self, file, entry, flags=()):
        """Loss and gradient norm of each step, and the loss in eval mode before and after."""
        name = file.removesuffix(".onnx") + "".join(flags)
        program, log, saved = self.folder / name, self.folder / (name + ".jsonl"), self.folder / (name + ".trained")
        data = self.source / entry["data"]
        succeed(self.compile(file, entry, program, flags), self.folder)
        log.unlink(missing_ok=True)

        def evaluate(*weights):
            out = succeed([program, "eval", "--data", data, "--json", "--threads", 1, *weights], self.folder)
            return json.loads(out)["loss"]

        before = evaluate()
        succeed([program, "train", "--data", data, "--steps", self.steps, "--no-shuffle", "--threads", 1, "--log", log],
                self.folder)  # fmt: skip
        events = [json.loads(line) for line in log.read_text().splitlines()]
        steps = [event for event in events if event["event"] == "step"]
        after = evaluate("--weights", program.with_name(name + ".trained.safetensors"))
        return {
            "loss": [step["loss"] for step in steps],
            "grad_norm": [step["grad_norm"] for step in steps],
            "eval_before": before,
            "eval_after": after,
        }

    def compare(self, told, expected, first, skip=()):
        """Raises where a value is too far off; returns the largest relative difference in the first three steps."""
        problems, largest = [], 0.0
        for what in ("loss", "grad_norm"):
            assert len(told[what]) == len(expected[what]), f"{len(told[what])} steps are in the log"
            for step, (value, right) in enumerate(zip(told[what], expected[what], strict=True), 1):
                off = relative(math.nan if value is None else value, right)
                largest = max(largest, off if step <= FIRST_STEPS else 0)
                if not off <= allowed(first, step):
                    problems.append(f"{what} of step {step}: {value} instead of {right:.9g}, {off:.1e} relative")
        for what, step in (("eval_before", 1), ("eval_after", self.steps)):
            off = relative(told[what], expected[what])
            if what not in skip and not off <= allowed(first, step):
                problems.append(f"{what}: {told[what]} instead of {expected[what]:.9g}, {off:.1e} relative")
        assert not problems, "\n".join(problems[:6])
        return largest

    def case(self, file):
        """One line about the file, or an AssertionError."""
        entry = self.references[file]
        if entry["expect"] == "error":
            code, _, err = execute(self.compile(file, entry, self.folder / file.removesuffix(".onnx")), self.folder)
            assert code == 1, f"exit code {code} instead of 1 ({entry['why']}):\n{err[-1500:]}"
            assert "error: " in err, f"refused without a message:\n{err}"
            return "refused: " + err.split("error: ")[1].splitlines()[0][:90]
        self.check_parameters(file, entry)
        told = self.train(file, entry)
        expected = {key: entry[key + "_f64"] for key in ("loss", "grad_norm", "eval_before", "eval_after")}
        # The TorchScript exporter runs the module to trace it: in training mode that moves the running statistics, so the
        # file's are not those of the module that the reference evaluated. Losses of training do not depend on them.
        moved = "-Tt" in file and any(part in file for part in ("batchnorm", "cnn"))
        skip = ("eval_before", "eval_after") if moved else ()
        line = f"within {self.compare(told, expected, PYTORCH_BOUND, skip):.1e}"
        if self.suite.full:
            plain = self.train(file, entry, ["--disable=raise"])
            line += f", without raise within {self.compare(plain, told, RAISE_BOUND):.1e}"
        return line


def main():
    suite = Suite(__doc__)
    models = Models(suite)
    files = [file for file in models.references if suite.selects(file)]
    with ThreadPoolExecutor(2) as pool:
        results = {file: pool.submit(models.case, file) for file in files}
        for file, result in results.items():
            suite.run(file, lambda file=file, result=result: print(f"{file}: {result.result()}", flush=True))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
