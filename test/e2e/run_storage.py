"""Parameters that are stored in other ways than the user knows them are his to the outside: merged, padded, transposed.

Each model is compiled twice: as it is, and from its raise dump with the classes of its logits padded to a multiple of 8
(dsc-opt --dsc-pad-products=alignment=8; the CPU target itself pads nothing). Both programs must write the same tensors, by name
and shape, as gradients and as trained weights; gradients, losses and gradient norms of three steps agree within rounding; each evaluates
the other's trained weights to the same loss; and the outputs have the model's classes. The models have biases, tied embeddings,
three projections that were merged and convolutions whose weights lie channels-last.
"""

import json
import shutil
import struct
import subprocess
import sys
import zipfile

from suite import Suite

MODELS = ("mlp-R20.onnx", "cnn-R20.onnx", "nanogpt-R20.onnx", "nanogpt_untied-D20-fresh.onnx", "bert_sdpa-R20.onnx", "llama_sdpa-R20.onnx")
# Losses and norms of f32 programs that add in another order; gradients element by element, beside the largest of their tensor.
LOSS_BOUND, GRADIENT_BOUND = 1e-5, 1e-4


def execute(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{(done.stderr or done.stdout)[-1500:]}"
    return done.stdout


def tensors(path):
    """Shapes and f32 elements by name of a safetensors file."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        values = struct.unpack(f"<{(end - begin) // 4}f", data[begin:end]) if entry["dtype"] == "F32" else ()
        found[name] = (entry["shape"], values)
    return found


class Storage:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "test" / "e2e" / "models"
        self.references = json.loads((self.source / "references.json").read_text())["models"]
        self.folder = suite.folder("storage")

    def programs(self, file):
        """The plain program and the padded one."""
        name, entry = file.removesuffix(".onnx"), self.references[file]
        dumps, plain, padded = self.folder / f"{name}.dumps", self.folder / name, self.folder / f"{name}.padded"
        execute(self.suite.dsc, "compile", self.source / file, "-o", plain, "--force", "--loss=cross-entropy", f"--labels={entry['labels']}",
                f"--dump-phases={dumps}")  # fmt: skip
        edited = dumps / "02-raise-padded.mlir"
        execute(self.suite.build / "bin" / "dsc-opt", dumps / "02-raise.mlir", "--dsc-pad-products=alignment=8", "--mlir-print-debuginfo",
                "-o", edited)  # fmt: skip
        assert ".padded" in edited.read_text(), "nothing was padded"
        execute(self.suite.dsc, "compile", f"--from={edited}", "-o", padded, "--force")
        shutil.copy(f"{plain}.weights.safetensors", f"{padded}.weights.safetensors")
        return plain, padded

    def steps(self, program, data):
        log = program.with_name(program.name + ".jsonl")
        log.unlink(missing_ok=True)
        execute(program, "train", "--data", data, "--steps", 3, "--no-shuffle", "--threads", 1, "--log", log)
        events = [json.loads(line) for line in log.read_text().splitlines()]
        return [event[what] for event in events if event["event"] == "step" for what in ("loss", "grad_norm")]

    def case(self, file):
        data = self.source / self.references[file]["data"]
        programs = self.programs(file)
        gradients, trained, steps = [], [], []
        for program in programs:
            path = program.with_name(program.name + ".gradients.safetensors")
            execute(program, "gradients", "--data", data, "-o", path, "--force", "--threads", 1)
            gradients.append(tensors(path))
            steps.append(self.steps(program, data))
            trained.append(program.with_name(program.name + ".trained.safetensors"))
        for (plain, padded), what in ((gradients, "gradients"), (map(tensors, trained), "trained weights")):
            shapes = [{name: shape for name, (shape, _) in each.items()} for each in (plain, padded)]
            assert shapes[0] == shapes[1], f"{what} differ: {shapes[0]} and {shapes[1]}"
            for name, (_, values) in plain.items() if what == "gradients" else ():
                scale = max(map(abs, values), default=0)
                off = max((abs(x - y) for x, y in zip(values, padded[name][1], strict=True)), default=0)
                assert off <= GRADIENT_BOUND * scale, f"gradient of {name} is off by {off:.2e}, its largest element is {scale:.2e}"
        for x, y in zip(*steps, strict=True):
            assert abs(x - y) <= LOSS_BOUND * abs(x), f"losses and norms differ: {steps[0]} and {steps[1]}"
        outputs = programs[1].with_name(programs[1].name + ".npz")
        for weights in trained:
            losses = [json.loads(execute(program, "eval", "--data", data, "--weights", weights, "--json", "--threads", 1))["loss"]
                      for program in programs]  # fmt: skip
            assert abs(losses[0] - losses[1]) <= LOSS_BOUND * losses[0], f"{weights.name}: evaluates to {losses}"
        shapes = []
        for program in programs:
            outputs.unlink(missing_ok=True)
            execute(program, "eval", "--data", data, "--outputs", outputs, "--threads", 1)
            with zipfile.ZipFile(outputs) as arrays:
                shapes.append({name: arrays.read(name)[:128].split(b"'shape': ")[1].split(b")")[0] for name in arrays.namelist()})
        assert shapes[0] == shapes[1], f"outputs differ: {shapes[0]} and {shapes[1]}"


def main():
    suite = Suite(__doc__)
    storage = Storage(suite)
    for file in MODELS:
        suite.run(file, lambda file=file: storage.case(file))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
