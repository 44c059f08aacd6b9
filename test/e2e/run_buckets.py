"""Buckets of the flat parameter order change no bit: neither having them nor their size.

Each case trains one model in four ways: with buckets of the default size, of one chunk, of four, and with
--disable=parallel, where every parameter has its own optimizer op. Losses, gradient norms, trained weights and the file of
`gradients` must be the same, byte for byte. Clipping is on, so that the norm enters the weights.
"""

import json
import re
import shutil
import subprocess
import sys

from suite import Suite

# A model file of test/e2e/models, its dims, and further flags.
CASES = {
    "mlp": ("mlp-R20.onnx", []),
    "mlp-accumulate": ("mlp-R20.onnx", ["--accumulate=any"]),
    "mlp-sgd": ("mlp-R20.onnx", ["--optimizer=sgd", "--momentum=0.9", "--accumulate=2", "--loss-mean=global"]),
    "batchnorm": ("mlp_batchnorm-D20.onnx", ["--optimizer=adam"]),
    "nanogpt": ("nanogpt-D20.onnx", []),
    "cnn": ("cnn-R20.onnx", ["--accumulate=any"]),
}
STEPS = 4


class Buckets:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "test" / "e2e" / "models"
        self.folder = suite.folder("buckets")
        self.models = json.loads((self.source / "references.json").read_text())

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout

    def results(self, program, entry, accumulate):
        """The log's numbers, the trained weights and one step's gradients."""
        data, log = self.source / entry["data"], program.with_suffix(".jsonl")
        log.unlink(missing_ok=True)
        count = ["--accumulate", accumulate] if accumulate > 1 else []
        self.run(program, "train", "--data", data, "--steps", STEPS, "--no-shuffle", "--log", log, *count)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        steps = [(event["loss"], event["grad_norm"]) for event in events if event["event"] == "step"]
        gradients = program.with_suffix(".gradients.safetensors")
        self.run(program, "gradients", "--data", data, "-o", gradients, "--force", *count)
        weights = program.with_name(program.name + ".trained.safetensors")
        return steps, self.tensors(weights), self.tensors(gradients)

    def tensors(self, path):
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        return {name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]])
                for name, entry in header.items() if name != "__metadata__"}  # fmt: skip

    def compare(self, name, file, flags):
        entry = self.models["models"][file]
        accumulate = 2 if any(flag.startswith("--accumulate") for flag in flags) else 1
        dims = [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        common = [self.suite.dsc, "compile", self.source / file, "--force", f"--loss={self.models['loss']}",
                  f"--labels={entry['labels']}", "--clip=0.25", *dims, *flags]  # fmt: skip
        plain, flat, dumps = self.folder / f"{name}-plain", self.folder / f"{name}-flat", self.folder / f"{name}.dumps"
        self.run(*common, "-o", plain, "--disable=parallel")
        self.run(*common, "-o", flat, f"--dump-phases={dumps}")
        expected = self.results(plain, entry, accumulate)
        told = {"the default size": self.results(flat, entry, accumulate)}
        text = (dumps / "05-recompute.mlir").read_text()
        for chunks in (1, 4):
            edited, program = dumps / f"edited-{chunks}.mlir", self.folder / f"{name}-{chunks}"
            changed = re.sub(r"bucket_bytes = 0 : i64", f"bucket_bytes = {4096 * chunks} : i64", text)
            assert changed != text, "the dump has no option bucket_bytes"
            edited.write_text(changed)
            self.run(self.suite.dsc, "compile", f"--from={edited}", "-o", program, "--force")
            # A dump carries no weights: they are those of the program that it is a dump of.
            weights = flat.with_name(flat.name + ".weights.safetensors")
            shutil.copyfile(weights, program.with_name(program.name + ".weights.safetensors"))
            told[f"{chunks} chunks"] = self.results(program, entry, accumulate)
        for size, (steps, weights, gradients) in told.items():
            assert steps == expected[0], f"buckets of {size}: losses and norms {steps} instead of {expected[0]}"
            for what, got, right in (("weights", weights, expected[1]), ("gradients", gradients, expected[2])):
                assert sorted(got) == sorted(right), f"buckets of {size}: {what} of other names: {sorted(got)}"
                wrong = [key for key in right if got[key] != right[key]]
                assert not wrong, f"buckets of {size}: other {what} of {', '.join(wrong)}"
        assert "dsc.pack" in (dumps / "06-parallel.mlir").read_text(), "no gradient is packed"


def main():
    suite = Suite(__doc__)
    buckets = Buckets(suite)
    for name, (file, flags) in CASES.items():
        suite.run(name, lambda name=name, file=file, flags=flags: buckets.compare(name, file, flags))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
