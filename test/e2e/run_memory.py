"""The memory planner's quality: the arena is at most 1.1 times the largest sum of bytes that are alive at once.

A case a model: every example and every export of test/e2e/models, as it is and, where its graph agrees, with a batch 64 times as
large, so that arenas are worth packing. Sizes count rounded to the alignment; arenas up to 1 MiB only count for the table. The
last line before the count says how many arenas were measured and which ratio was the largest.

With --full, what the process of a program of more than 1 GiB really takes is within 5% of the plan: alone, and on two ranks at every stage.
"""

import json
import re
import subprocess
import sys

from onnx import TensorProto, helper

from suite import Suite

LARGEST_RATIO = 1.1
LARGE = 1 << 20
MOST_OFF_THE_PLAN = 0.05


class Memory:
    def __init__(self, suite):
        self.suite = suite
        self.models = suite.root / "test" / "e2e" / "models"
        self.folder = suite.folder("memory")
        self.measured = []

    def execute(self, *command):
        return subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)

    def plan(self, model, flags):
        """Arena and its lower bound, in bytes; nothing where the graph does not agree with the flags."""
        file = self.folder / "planned.mlir"
        done = self.execute(self.suite.dsc, "compile", model, "--emit=memory", "-o", file, *flags)
        if done.returncode == 1:
            return None
        assert done.returncode == 0, done.stderr[-1500:]
        text = file.read_text(encoding="utf-8")
        return tuple(int(re.search(rf"\b{key} = (\d+) : i64", text)[1]) for key in ("arena", "arena_lower_bound"))

    def larger(self, model, flags):
        """`flags` with every input's first dimension 64 times as large: by --dim where it has a name, else by --input."""
        dims = dict(flag.split("=") for flag in flags if flag.partition("=")[0] in ("batch", "seq"))
        bound = [part for name, size in dims.items() for part in ("--dim", f"{name}={size}")]
        inputs = json.loads(self.execute(self.suite.dsc, "inspect", "--json", model, *bound).stdout)["inputs"]
        larger = list(flags)
        for name in {each["dims"][0] for each in inputs} & set(dims):
            larger[larger.index(f"{name}={dims[name]}")] = f"{name}={64 * int(dims[name])}"
        return larger + [
            f"--input={each['name']}={'x'.join([str(64 * int(each['dims'][0])), *each['dims'][1:]])}"
            for each in inputs if each["dims"][0].isdigit()
        ]  # fmt: skip

    def case(self, name, model, flags):
        for scale, scaled in ((1, flags), (64, self.larger(model, flags))):
            plan = self.plan(model, scaled)
            if plan is None:
                assert scale == 64, "does not compile"
                continue
            arena, bound = plan
            self.measured.append((arena / bound, arena, f"{name} x{scale}"))
            assert arena <= LARGE or arena <= LARGEST_RATIO * bound, \
                f"batch x{scale}: the arena takes {arena} bytes, {arena / bound:.3f} times the {bound} that are alive at once"


    def large_model(self, layers=8, width=4096):
        """A multi-layer perceptron of 134 million parameters, which the file says the shapes of: the program makes them at random."""
        weights, nodes, value = [], [], "x"
        for layer in range(layers):
            weight = TensorProto(name=f"layer.{layer}.weight", dims=[width, width], data_type=TensorProto.FLOAT)
            weight.data_location = TensorProto.EXTERNAL
            weight.external_data.add(key="location", value="left-behind.data")
            weight.external_data.add(key="offset", value=str(4 * layer * width * width))
            weight.external_data.add(key="length", value=str(4 * width * width))
            weights.append(weight)
            nodes.append(helper.make_node("MatMul", [value, weight.name], [f"product.{layer}"], f"product.{layer}"))
            value = "y" if layer + 1 == layers else f"layer.{layer}"
            nodes.append(helper.make_node("Relu" if value != "y" else "Identity", [f"product.{layer}"], [value], f"unit.{layer}"))
        declare = helper.make_tensor_value_info
        graph = helper.make_graph(nodes, "large", [declare("x", TensorProto.FLOAT, [64, width])],
                                  [declare("y", TensorProto.FLOAT, [64, width])], weights)  # fmt: skip
        path = self.folder / "large.onnx"
        path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString())
        return path

    def measured_bytes(self, ranks, flags):
        program = self.folder / "large"
        done = self.execute(self.suite.dsc, "compile", self.large_model(), "-o", program, "--force", "--init=random", "--loss=mse", *flags)
        assert done.returncode == 0, done.stderr[-1500:]
        done = self.execute(program, "bench", "--steps", 2, "--ranks", ranks, "--json")
        assert done.returncode == 0, done.stderr[-1500:]
        told = json.loads(done.stdout)
        planned, peak = told["planned_bytes"], told["peak_bytes"]
        print(f"{ranks} ranks, {' '.join(flags)}: planned {planned}, the process had {peak} ({peak / planned - 1:+.2%})", flush=True)
        assert planned >= 1 << 30, f"only {planned} bytes are planned"
        assert abs(peak / planned - 1) <= MOST_OFF_THE_PLAN, f"planned {planned} bytes, the process had {peak}"


def main():
    suite = Suite(__doc__)
    memory = Memory(suite)
    examples = suite.root / "docs" / "examples"
    suite.run("linear", lambda: memory.case("linear", examples / "linear/model.onnx", ["--loss=mean"]))
    suite.run("digits-mlp", lambda: memory.case("digits-mlp", examples / "digits/mlp.onnx", ["--dim", "batch=32"]))
    suite.run("digits-cnn", lambda: memory.case("digits-cnn", examples / "digits/cnn.onnx", ["--dim", "batch=32"]))
    suite.run("shakespeare", lambda: memory.case("shakespeare", examples / "shakespeare/model.onnx", []))
    references = json.loads((memory.models / "references.json").read_text(encoding="utf-8"))
    for file, entry in references["models"].items():
        if entry["expect"] == "error":
            continue
        flags = ["--loss=cross-entropy", f"--labels={entry['labels']}"]
        flags += [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        suite.run(file, lambda file=file, flags=flags: memory.case(file, memory.models / file, flags))
    for ranks, flags in ((1, ["--fp32"]), (2, ["--zero=0"]), (2, ["--zero=1"]), (2, ["--zero=2", "--bf16"]), (2, ["--zero=3"])):
        if suite.full:
            name = f"measured-{ranks}-{'-'.join(flag.strip('-').replace('=', '') for flag in flags)}"
            suite.run(name, lambda ranks=ranks, flags=flags: memory.measured_bytes(ranks, flags))
    large = sorted(each for each in memory.measured if each[1] > LARGE)
    if large:
        ratio, arena, name = large[-1]
        print(f"{len(large)} arenas over 1 MiB; largest ratio {ratio:.3f} ({name}, {arena} bytes)")
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
