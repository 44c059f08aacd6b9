"""--keep-values gives values and gradients by their ONNX names, --init=random needs no data, reports hold what was compiled.

mlp: values and gradients beside NumPy's. gpt: every value of the shakespeare example is kept, so that no
pattern is raised, and the gradients of the parameters stay as they are but for rounding; values come in the order of the graph, so `dsc compare` names the first that differs. random: a graph
whose external data is missing trains, from the same numbers on any number of threads.
"""

import json
import shutil
import struct
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from suite import Suite, bound


def read_safetensors(path):
    """Name -> array, in the order of the bytes."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "BOOL": "?"}
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


class Values:
    def __init__(self, suite):
        self.suite = suite
        self.folder = suite.folder("values")
        self.random = np.random.default_rng(5)

    def run(self, *command, code=0):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)
        assert done.returncode == code, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout + done.stderr

    def save(self, name, nodes, inputs, output, weights, **options):
        graph = helper.make_graph(nodes, name, inputs, [output], [numpy_helper.from_array(value, key) for key, value in weights.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.save(model, self.folder / f"{name}.onnx", **options)

    def mlp(self):
        shapes = {"w": (3, 5), "b": (5,), "v": (5, 2)}
        weights = {name: self.random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["product"], name="first"),
            helper.make_node("Add", ["product", "b"], ["sum"], name="bias"),
            helper.make_node("Tanh", ["sum"], ["h"], name="tanh"),
            helper.make_node("MatMul", ["h", "v"], ["y"], name="second"),
        ]
        self.save("mlp", nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 3])],
                  helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 2]), weights)
        x, t = (self.random.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (4, 2)))
        np.savez(self.folder / "mlp.npz", x=x, labels=t)
        self.run(self.suite.dsc, "compile", "mlp.onnx", "-o", "mlp", "--loss=mse", "--keep-values", ".*", "--force")
        self.run("./mlp", "values", "--data", "mlp.npz", "-o", "mlp.values.safetensors", "--force")
        found = read_safetensors(self.folder / "mlp.values.safetensors")
        w, b, v = (weights[name].astype(np.float64) for name in ("w", "b", "v"))
        right = {"x": x.astype(np.float64)}
        right["product"] = right["x"] @ w
        right["sum"] = right["product"] + b
        right["h"] = np.tanh(right["sum"])
        right["y"] = right["h"] @ v
        right["y.grad"] = 2 * (right["y"] - t) / t.size
        right["h.grad"] = right["y.grad"] @ v.T
        right["sum.grad"] = right["h.grad"] * (1 - right["h"] ** 2)
        right["product.grad"] = right["sum.grad"]
        right["x.grad"] = right["product.grad"] @ w.T
        assert list(found) == list(right), f"names {list(found)}"
        for name, value in right.items():
            # Sums of at most 5 terms of magnitude below 8, at most 6 after each other.
            error = np.max(np.abs(found[name] - value))
            assert error <= bound("f32", 5, 8.0, 6), f"{name} is off by {error}"

    def gpt(self):
        model = self.suite.root / "docs/examples/shakespeare/model.onnx"
        data = self.suite.root / "docs/examples/shakespeare/val.bin"
        self.run(self.suite.dsc, "compile", model, "-o", "plain", "--force")
        self.run(self.suite.dsc, "compile", model, "-o", "kept", "--keep-values", ".", "--force")
        for name in ("plain", "kept"):
            self.run(f"./{name}", "gradients", "--data", data, "-o", f"{name}.gradients.safetensors", "--force")
        # Gradients of at most 0.1, sums of 4 x 64 positions, some ten roundings in each of four layers.
        allowed = bound("f32", 4 * 64, 0.1, 10)
        self.run(self.suite.dsc, "compare", "plain.gradients.safetensors", "kept.gradients.safetensors", f"--atol={allowed}")
        self.run("./kept", "values", "--data", data, "-o", "one.safetensors", "--force")
        values = read_safetensors(self.folder / "one.safetensors")
        made = [output for node in onnx.load(model).graph.node for output in node.output]
        forward = [name for name in values if name in made]
        assert len(forward) > 100 and forward == [name for name in made if name in values], "values are not in the order of the graph"
        assert sum(name.endswith(".grad") for name in values) > 100
        # Another start: what differs first is the first value that depends on a parameter.
        self.run("./kept", "values", "--data", data, "-o", "two.safetensors", "--force", "--weights", self.other_weights("kept"))
        printed = self.run(self.suite.dsc, "compare", "one.safetensors", "two.safetensors", code=5)
        other = read_safetensors(self.folder / "two.safetensors")
        first = next(name for name in values if values[name].tobytes() != other[name].tobytes())
        assert f"first difference: {first}:" in printed, printed

    def other_weights(self, name):
        """The weights of a program with one number changed."""
        path = self.folder / f"{name}.weights.safetensors"
        data = bytearray(path.read_bytes())
        (last,) = struct.unpack("<f", data[-4:])
        data[-4:] = struct.pack("<f", last + 1)
        changed = self.folder / f"{name}.other.safetensors"
        changed.write_bytes(data)
        return changed

    def random_start(self):
        shapes = {"w": (64, 512), "b": (512,), "v": (512, 4)}
        weights = {name: np.zeros(shape, np.float32) + np.arange(shape[-1], dtype=np.float32) for name, shape in shapes.items()}
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["product"], name="first"),
            helper.make_node("Add", ["product", "b"], ["sum"], name="bias"),
            helper.make_node("Relu", ["sum"], ["h"], name="relu"),
            helper.make_node("MatMul", ["h", "v"], ["y"], name="second"),
        ]
        self.save("random", nodes, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 64])],
                  helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 4]), weights,
                  save_as_external_data=True, location="random.data", size_threshold=0)
        (self.folder / "random.data").unlink()
        printed = self.run(self.suite.dsc, "compile", "random.onnx", "-o", "random", "--loss=mse", "--force", code=1)
        assert "random.data" in printed and "[model-weights]" in printed, printed
        (self.folder / "random.weights.safetensors").unlink(missing_ok=True)
        printed = self.run(self.suite.dsc, "compile", "random.onnx", "-o", "random", "--loss=mse", "--init=random", "--force")
        assert not (self.folder / "random.weights.safetensors").exists() and "is not there: 3 tensors" in printed, printed
        x = self.random.standard_normal((16, 64)).astype(np.float32)
        np.savez(self.folder / "random.npz", x=x, labels=x[:, :4].copy())
        starts = []
        for number, flags in enumerate((["--threads=1"], ["--threads=2"], ["--threads=1", "--seed=9"])):
            shutil.rmtree(self.folder / f"start{number}", ignore_errors=True)
            self.run("./random", "train", "--data", "random.npz", "--steps", 0, "--save", f"start{number}", *flags)
            starts.append((self.folder / f"start{number}/latest/weights.safetensors").read_bytes())
        assert starts[0] == starts[1] and starts[0] != starts[2]
        found = read_safetensors(self.folder / "start0/latest/weights.safetensors")
        for name, inputs in {"w": 64, "b": 64, "v": 512}.items():
            # Uniform within 1/sqrt(inputs): variance a third of its square, within 5 standard errors.
            limit, count = inputs**-0.5, found[name].size
            assert np.max(np.abs(found[name])) <= limit
            spread = np.mean(found[name].astype(np.float64) ** 2) / (limit**2 / 3)
            assert abs(spread - 1) < 5 * np.sqrt(0.8 / count), f"{name}: variance is {spread} times the one asked for"
        self.run("./random", "train", "--data", "random.npz", "--steps", 3)


if __name__ == "__main__":
    suite = Suite(__doc__)
    values = Values(suite)
    suite.run("mlp", values.mlp)
    suite.run("gpt", values.gpt)
    suite.run("random", values.random_start)
    sys.exit(suite.finish())
