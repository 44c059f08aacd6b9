"""Recomputation changes memory and time, never a bit; and it keeps the bounds it is given.

A case a model: it is compiled with --recompute=none, cheap, full, and with bounds on the arena, and trained for some steps; the
weights files must be equal byte for byte. One model file of each kind by default, all with --full; a model with Dropout and one
with batch norm and accumulation among them. `bounds` sweeps bounds between the least reachable arena and that of `cheap`: each
is kept or refused with the least reachable size. `layers` holds the figures of a 12-layer GPT-2 under `full`.
"""

import json
import re
import subprocess
import sys

from suite import Suite

DROPOUT_GPT = """
<ir_version: 8, opset_import: ["" : 17]>
dropout_blocks (float[16,32,64] x) => (float[16,32,64] y)
<{weights}>
{{
  half = Constant <value = float {{0.5}}> ()
  third = Constant <value = float {{0.25}}> ()
  live = Constant <value = bool {{1}}> ()
{body}
}}
"""


def dropout_model():
    """Four residual blocks of a norm, two products and two Dropouts, in ONNX's text form."""
    weights, body, x = [], [], "x"
    for i in range(4):
        for name, shape in (("g", (64,)), ("b", (64,)), ("u", (64, 256)), ("c", (256,)), ("d", (256, 64))):
            count = 1
            for size in shape:
                count *= size
            values = ", ".join(f"{((i * 7919 + k * 104729 + len(shape) * 31) % 2003 - 1001) / 9000:.6f}" for k in range(count))
            weights.append(f"float[{','.join(map(str, shape))}] {name}{i} = {{{values}}}")
        body += [
            f"  n{i} = LayerNormalization <axis = -1> ({x}, g{i}, b{i})",
            f"  p{i} = MatMul (n{i}, u{i})",
            f"  q{i} = Add (p{i}, c{i})",
            f"  e{i} = Erf (q{i})",
            f"  a{i} = Mul (q{i}, e{i})",
            f"  r{i}, m{i} = Dropout (a{i}, half, live)",
            f"  o{i} = MatMul (r{i}, d{i})",
            f"  s{i}, k{i} = Dropout (o{i}, third, live)",
            f"  x{i} = Add ({x}, s{i})",
        ]
        x = f"x{i}"
    body.append(f"  y = Identity ({x})")
    return DROPOUT_GPT.format(weights=",\n ".join(weights), body="\n".join(body))


class Recompute:
    def __init__(self, suite):
        self.suite = suite
        self.models = suite.root / "test" / "e2e" / "models"
        self.examples = suite.root / "docs" / "examples"
        self.folder = suite.folder("recompute")

    def execute(self, *command):
        return subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)

    def run(self, *command):
        done = self.execute(*command)
        assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout

    def compile(self, model, name, setting, *flags):
        return self.run(self.suite.dsc, "compile", model, "-o", self.folder / name, "--force", f"--recompute={setting}", *flags)

    @staticmethod
    def arena(printed):
        return float(re.search(r"arena ([\d.]+) MiB", printed)[1])

    def planned(self, name):
        """Bytes of the arena, as the executable has them."""
        return int(re.search(r"arena (\d+)", self.run(self.folder / name, "bench", "--steps", 1))[1])

    def same_bits(self, model, name, data, train=(), flags=(), settings=("cheap", "full")):
        """Trains under each setting and compares weights; returns the arenas by setting."""
        weights, arenas = {}, {}
        for setting in ("none", *settings):
            self.compile(model, name, setting, *flags)
            self.run(self.folder / name, "train", "--data", data, "--steps", 4, "--no-shuffle", *train)
            weights[setting] = (self.folder / f"{name}.trained.safetensors").read_bytes()
            arenas[setting] = self.planned(name)
        for setting in settings:
            assert weights[setting] == weights["none"], f"--recompute={setting} trains other weights than none"
        return arenas

    def model(self, file, entry):
        flags = ["--loss=cross-entropy", f"--labels={entry['labels']}"]
        flags += [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        self.same_bits(self.models / file, file.removesuffix(".onnx"), self.models / entry["data"], ("--threads", 1), flags)

    def shakespeare(self):
        model, data = self.examples / "shakespeare/model.onnx", self.examples / "shakespeare/train.bin"
        arenas = self.same_bits(model, "shakespeare", data, settings=("cheap", "full", "24MiB"))
        assert arenas["cheap"] < arenas["none"], f"cheap takes {arenas['cheap']} bytes, none {arenas['none']}"
        assert arenas["full"] < arenas["cheap"], f"full takes {arenas['full']} bytes, cheap {arenas['cheap']}"
        assert arenas["24MiB"] <= 24 << 20

    def batch_norm(self):
        model, data = self.examples / "digits/cnn.onnx", self.examples / "digits/train.npz"
        self.same_bits(model, "digits-cnn", data, ("--accumulate", 2), ("--dim", "batch=32", "--accumulate=2"))

    def dropout(self):
        import numpy
        import onnx
        import onnx.parser

        model = onnx.parser.parse_model(dropout_model())
        onnx.save(model, self.folder / "dropout.onnx")
        random = numpy.random.default_rng(0)
        numpy.savez(self.folder / "dropout.npz", x=random.standard_normal((64, 32, 64), dtype=numpy.float32),
                    labels=random.standard_normal((64, 32, 64), dtype=numpy.float32))
        arenas = self.same_bits(self.folder / "dropout.onnx", "dropout", self.folder / "dropout.npz", flags=("--loss=mse",))
        assert arenas["full"] < arenas["none"], f"{arenas}"

    def bounds(self):
        model = self.examples / "shakespeare/model.onnx"
        refused = self.execute(self.suite.dsc, "compile", model, "-o", self.folder / "bounded", "--force", "--recompute=1MiB")
        assert refused.returncode == 1, f"exit code {refused.returncode}:\n{refused.stderr}"
        told = re.search(r"the arena needs at least (\d+) bytes", refused.stderr)
        assert told, refused.stderr
        least = int(told[1])
        self.compile(model, "bounded", "cheap")
        cheap, previous = self.planned("bounded"), 0
        for part in (0.0, 0.25, 0.5, 0.75, 1.0):
            bound = int(least + part * (cheap - least))
            self.compile(model, "bounded", bound)
            arena = self.planned("bounded")
            assert arena <= bound, f"--recompute={bound} gives an arena of {arena}"
            assert arena >= previous, f"a larger bound ({bound}) gives a smaller arena: {arena} after {previous}"
            previous = arena
        assert previous == cheap, f"where cheap fits ({cheap}), the bound gives {previous}"
        printed = self.compile(model, "bounded", "auto", "--memory=1GiB")
        assert "recompute: auto" in printed, printed
        assert self.planned("bounded") == cheap
        refused = self.execute(self.suite.dsc, "compile", model, "-o", self.folder / "bounded", "--force", "--recompute=auto",
                               "--memory=2MiB")
        assert refused.returncode == 1 and "--memory allows 2097152 bytes" in refused.stderr, refused.stderr


def main():
    suite = Suite(__doc__)
    recompute = Recompute(suite)
    models = json.loads((recompute.models / "references.json").read_text(encoding="utf-8"))["models"]
    seen = set()
    for file, entry in models.items():
        kind = file.split("-")[0]
        if entry["expect"] == "error" or (kind in seen and not suite.full):
            continue
        seen.add(kind)
        suite.run(file, lambda file=file, entry=entry: recompute.model(file, entry))
    suite.run("shakespeare", recompute.shakespeare)
    suite.run("batch-norm", recompute.batch_norm)
    suite.run("dropout", recompute.dropout)
    suite.run("bounds", recompute.bounds)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
