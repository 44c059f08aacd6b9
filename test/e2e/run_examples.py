"""The examples do what their pages say, and what design and contract promise of any program holds for them.

linear: losses, gradient norms and weights are PyTorch's (expected.json). digits: both networks pass 97% on digits they have not
seen. shakespeare: the loss falls from ln(vocabulary), two runs give the same bits, and the planned peak is what compile printed.
Each of the ten dumps of a program, resumed with --from, gives the identical executable.
"""

import json
import math
import re
import struct
import subprocess
import sys

from suite import Suite, bound


class Examples:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "docs" / "examples"
        self.folder = suite.folder("examples")

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout

    def compile(self, model, name, *flags):
        return self.run(self.suite.dsc, "compile", self.source / model, "-o", self.folder / name, "--force", *flags)

    def log(self, name):
        lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == "step"]

    def weights(self, name):
        data = (self.folder / name).read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + size])
        return {
            key: struct.unpack(f"<{(entry['data_offsets'][1] - entry['data_offsets'][0]) // 4}f",
                               data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]])
            for key, entry in header.items() if key != "__metadata__"
        }

    def linear(self):
        expected = json.loads((self.source / "linear/expected.json").read_text(encoding="utf-8"))
        self.compile("linear/model.onnx", "linear", "--loss=mean", "--optimizer=adam", "--lr=1e-3", "--accumulate=2")
        (self.folder / "linear.jsonl").unlink(missing_ok=True)
        self.run(self.folder / "linear", "train", "--data", self.source / "linear/data.npz", "--steps", expected["steps"],
                 "--no-shuffle", "--log", "linear.jsonl")
        steps, right = self.log("linear.jsonl"), expected["float64"]
        for step, loss, norm in zip(steps, right["losses"], right["grad_norms"], strict=True):
            # A mean of 8 outputs, each a sum of 11 terms of magnitude about 1.
            assert abs(step["loss"] - loss) <= bound("f32", 11, 1.0, 2), f"loss {step['loss']} instead of {loss}"
            assert abs(step["grad_norm"] - norm) <= bound("f32", 11, 2.0, 2), f"norm {step['grad_norm']} instead of {norm}"
        trained = self.weights("linear.trained.safetensors")
        flat = [value for row in right["weights"]["weight"] for value in row] + list(right["weights"]["bias"])
        for value, wanted in zip(trained["weight"] + trained["bias"], flat, strict=True):
            # Adam divides by the root of the second moment: a step is at most lr, its rounding a few ulps of lr and of the weight.
            assert abs(value - wanted) <= bound("f32", 1, 1.0, len(steps)), f"weight {value} instead of {wanted}"

    def digits(self, name, epochs):
        self.compile(f"digits/{name}.onnx", name, "--dim", "batch=32")
        self.run(self.folder / name, "train", "--data", self.source / "digits/train.npz", "--epochs", epochs)
        out = self.run(self.folder / name, "eval", "--data", self.source / "digits/test.npz", "--weights",
                       f"{name}.trained.safetensors", "--json")
        accuracy = json.loads(out)["accuracy"]
        assert accuracy > 0.97, f"accuracy {accuracy} on unseen digits"

    def shakespeare(self):
        printed = self.compile("shakespeare/model.onnx", "gpt", "--lr=3e-3")
        steps = 60 if not self.suite.full else 600
        train = [self.folder / "gpt", "train", "--data", self.source / "shakespeare/train.bin", "--steps", steps, "--log"]
        for run in ("first", "second"):
            (self.folder / f"{run}.jsonl").unlink(missing_ok=True)
            self.run(*train, f"{run}.jsonl")
            (self.folder / "gpt.trained.safetensors").rename(self.folder / f"{run}.safetensors")
        losses = [[step["loss"] for step in self.log(f"{run}.jsonl")] for run in ("first", "second")]
        vocabulary = len(json.loads((self.source / "shakespeare/vocab.json").read_text(encoding="utf-8"))["characters"])
        assert abs(losses[0][0] - math.log(vocabulary)) < 0.1, f"first loss {losses[0][0]}, ln(vocabulary) is {math.log(vocabulary)}"
        assert losses[0][-1] < (2.9 if not self.suite.full else 2.1), f"loss {losses[0][-1]} after {steps} steps"
        same = (self.folder / "first.safetensors").read_bytes() == (self.folder / "second.safetensors").read_bytes()
        assert losses[0] == losses[1] and same, "two runs differ"
        peak = int(re.search(r"peak (\d+) bytes", printed)[1])
        planned = int(re.search(r"peak (\d+)", self.run(self.folder / "gpt", "bench", "--steps", 2))[1])
        assert peak == planned, f"compile printed a peak of {peak} bytes, bench has {planned}"

    def resume(self, model, name, *flags):
        dumps = self.folder / f"{name}.dumps"
        self.compile(model, name, *flags, f"--dump-phases={dumps}")
        wanted = (self.folder / name).read_bytes()
        files = sorted(dumps.glob("*.mlir"))
        assert len(files) == 10, f"{len(files)} dumps instead of 10"
        for file in files:
            self.run(self.suite.dsc, "compile", f"--from={file}", "-o", self.folder / "again", "--force")
            assert (self.folder / "again").read_bytes() == wanted, f"resumed from {file.name}, the executable differs"


def main():
    suite = Suite(__doc__)
    examples = Examples(suite)
    suite.run("linear", examples.linear)
    suite.run("digits-mlp", lambda: examples.digits("mlp", 20))
    suite.run("digits-cnn", lambda: examples.digits("cnn", 10))
    suite.run("shakespeare", examples.shakespeare)
    suite.run("resume-linear", lambda: examples.resume("linear/model.onnx", "resumed-linear", "--loss=mean", "--accumulate=2"))
    suite.run("resume-shakespeare", lambda: examples.resume("shakespeare/model.onnx", "resumed-gpt"))
    suite.run("resume-digits", lambda: examples.resume("digits/cnn.onnx", "resumed-cnn", "--dim", "batch=32"))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
