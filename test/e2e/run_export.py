"""`dsc export` writes trained weights back: ONNX Runtime computes from the file what `eval --outputs` says.

A case a model file of test/e2e/models and of docs/examples: train five steps, export, run a batch in ONNX Runtime. The
outputs agree within the bound of fp32 (below), those of the untrained file do not; nodes, names and notes of the user's
graph are all there. `made` holds what exporters seldom write together: vectors that training splits, Identity of a weight,
a transposed tie, live Dropout, batch norms in training form. `safetensors`: names, ties, shards, types, what is refused.
With --full every model.
"""

import json
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors import safe_open
from suite import Suite, bound

STEPS = 5
# Every exporter, and everything the importer takes apart: merged and dropped vectors, ties, batch norms, external data.
QUICK = {
    "mlp-D20-fresh", "mlp-R20-external", "mlp-R20-dynamic", "mlp-T13-unnamed", "mlp_batchnorm-Tt13-fresh",
    "mlp_batchnorm-R20", "cnn-D20-fresh", "cnn-R20", "cnn-Tt20", "cnn-Tt13", "cnn-R20-dynamic", "nanogpt-D20-fresh",
    "nanogpt-R20", "nanogpt-T20-fresh", "nanogpt-Tt20", "gpt2_sdpa-D20-fresh", "gpt2_sdpa-R20", "gpt2_eager-R20-dynamic",
    "gpt2_eager_mask-T20-fresh", "gpt2_sdpa_mask-Tt17-fresh",
}  # fmt: skip
PRODUCTS = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Attention", "Einsum", "LayerNormalization", "BatchNormalization"}


def read_safetensors(path):
    """Name -> array, in the order of the bytes."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    types = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "I64": "<i8", "I32": "<i4", "BOOL": "?"}
    tensors = {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[8 + size + begin : 8 + size + end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def allowed(model, outputs):
    """The bound of two fp32 evaluations: as many steps as there are products and norms, sums as long as the largest
    dimension of a weight, terms as large as the outputs (or 1, where norms keep values)."""
    steps = 4 + sum(node.op_type in PRODUCTS for node in model.graph.node)
    length = max([max(tensor.dims, default=1) for tensor in model.graph.initializer], default=1)
    return bound("f32", length, max(1.0, float(np.max(np.abs(outputs)))), steps)


def run_onnx(path, feeds):
    """Outputs by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(float)": np.float32, "tensor(bool)": np.bool_}
    given = {
        value.name: feeds[value.name].astype(types.get(value.type, feeds[value.name].dtype))
        for value in session.get_inputs() if value.name in feeds
    }  # fmt: skip
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, given), strict=True))


def notes(entries):
    return {entry.key: entry.value for entry in entries if entry.key != "dsc.export"}


def check_graph(before, after):
    """Everything of the user's graph is in the exported one."""
    assert notes(after.metadata_props) == notes(before.metadata_props), "the model's notes differ"
    assert list(after.opset_import) == list(before.opset_import) and after.producer_name == before.producer_name
    kept = {(node.op_type, node.name, node.output[0]): node for node in after.graph.node}
    for node in before.graph.node:
        other = kept.get((node.op_type, node.name, node.output[0]))
        assert other is not None, f"node {node.name} is gone"
        assert notes(other.metadata_props) == notes(node.metadata_props), f"notes of node {node.name} differ"
    names = {tensor.name for tensor in after.graph.initializer}
    training = {node.input[2] for node in before.graph.node if node.op_type == "Dropout" and len(node.input) > 2}
    gone = {tensor.name for tensor in before.graph.initializer} - names - training
    assert not gone, f"initializers {gone} are gone"
    for what in ("input", "output"):
        assert list(getattr(after.graph, what)) == list(getattr(before.graph, what)), f"the graph's {what}s differ"


class Export:
    def __init__(self, suite):
        self.suite = suite
        self.folder = suite.folder("export")
        self.random = np.random.default_rng(11)
        onnxruntime.set_default_logger_severity(3)

    def run(self, *command, code=0):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)
        text = done.stdout + done.stderr
        assert done.returncode == code, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{text[-1500:]}"
        return text

    def train(self, model, data, name, flags, steps=STEPS):
        """Compiles and trains; the trained weights' path and the micro-batch."""
        self.run(self.suite.dsc, "compile", model, "-o", name, "--force", *flags)
        self.run(f"./{name}", "train", "--data", data, "--steps", steps, "--no-shuffle", "--threads", 1, "--force")
        manifest = json.loads(self.run(self.suite.dsc, "inspect", "--json", name))
        return self.folder / f"{name}.trained.safetensors", manifest["micro_batch"]

    def compare(self, model, data, name, flags, export=(), steps=STEPS):
        """Trains, exports, and compares a batch; returns the exported model."""
        weights, batch = self.train(model, data, name, flags, steps)
        outputs = self.folder / f"{name}.outputs.npz"
        self.run(f"./{name}", "eval", "--data", data, "--weights", weights, "--outputs", outputs, "--threads", 1, "--force")
        written = self.folder / f"{name}.out.onnx"
        self.run(self.suite.dsc, "export", weights, "--model", model, "-o", written, "--force", *export)
        arrays = dict(np.load(data)) if data.suffix == ".npz" else self.tokens(model, data, batch)
        feeds = {key: value[:batch] for key, value in arrays.items()}
        before, after = onnx.load(model), onnx.load(written)
        onnx.checker.check_model(written)
        check_graph(before, after)
        ours, theirs, old = np.load(outputs), run_onnx(written, feeds), None
        moved = 0.0
        for key in theirs:
            expected = ours[key][: len(theirs[key])]
            limit, off = allowed(after, expected), float(np.max(np.abs(expected - theirs[key])))
            assert off <= limit, f"output {key} is off by {off}, allowed are {limit}"
            if not any(node.op_type == "Dropout" and len(node.input) > 2 for node in before.graph.node):
                old = old or run_onnx(model, feeds)
                moved = max(moved, float(np.max(np.abs(expected - old[key]))) / limit)
        assert old is None or moved > 10, f"the untrained file would pass too: its outputs are {moved} bounds away"
        return after

    def tokens(self, model, data, batch):
        graph = onnx.load(model, load_external_data=False).graph
        length = graph.input[0].type.tensor_type.shape.dim[1].dim_value
        words = np.fromfile(data, np.uint16, offset=1024)  # behind llm.c's header
        return {graph.input[0].name: words[: batch * length].astype(np.int64).reshape(batch, length)}

    def model(self, file, entry):
        source = self.suite.root / "test/e2e/models"
        flags = ["--loss=cross-entropy", f"--labels={entry['labels']}", "--lr=0.01"]
        flags += [flag for dim in entry["dims"] for flag in ("--dim", dim)]
        self.compare(source / file, source / entry["data"], file.removesuffix(".onnx"), flags)

    def example(self, file, data, flags):
        folder = self.suite.root / "docs/examples"
        self.compare(folder / file, folder / data, file.replace("/", "_").removesuffix(".onnx"), flags)

    def made(self):
        """Two norms and a bias share vectors, an Identity stands for a second matrix, the head is the first one transposed,
        Dropout is live, a batch norm is in training form."""
        matrix = self.random.standard_normal((6, 6)).astype(np.float32) / 2
        weights = {
            "scale": np.ones(6, np.float32), "shift": np.zeros(6, np.float32), "w": matrix,
            "head": np.ascontiguousarray(matrix.T), "ratio": np.array(0.5, np.float32), "live": np.array(True),
            "mean": np.zeros(6, np.float32), "var": np.ones(6, np.float32),
        }  # fmt: skip
        nodes = [
            helper.make_node("Identity", ["scale"], ["other_scale"]),
            helper.make_node("BatchNormalization", ["x", "other_scale", "shift", "mean", "var"], ["a", "mean_out", "var_out"],
                             name="/one/norm", training_mode=1),
            helper.make_node("Gemm", ["a", "w", "shift"], ["b"], name="/two/linear"),
            helper.make_node("LayerNormalization", ["b", "scale", "shift"], ["c"], name="/three/norm"),
            helper.make_node("Dropout", ["c", "ratio", "live"], ["d"], name="/drop"),
            helper.make_node("Add", ["d", "x"], ["sum"], name="/add"),
            helper.make_node("LayerNormalization", ["sum", "scale", "shift"], ["e"], name="/four/norm"),
            helper.make_node("MatMul", ["e", "head"], ["logits"], name="/five/MatMul"),
        ]  # fmt: skip
        graph = helper.make_graph(
            nodes, "made", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 6])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [4, 6])],
            [numpy_helper.from_array(value, name) for name, value in weights.items()],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        onnx.save(model, self.folder / "made.onnx")
        np.savez(self.folder / "made.npz", x=self.random.standard_normal((8, 6)).astype(np.float32),
                 labels=self.random.integers(0, 6, 8))  # fmt: skip
        flags = ["--loss=cross-entropy", "--lr=0.01"]
        after = self.compare(self.folder / "made.onnx", self.folder / "made.npz", "made", flags, steps=20)
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
        node = {node.name: node for node in after.graph.node}
        scales = [held[node[name].input[1]] for name in ("/three/norm", "/four/norm")]
        assert not np.array_equal(*scales), "the norms' scales are one tensor still"
        assert np.array_equal(held["w"], held["head"].T), "the tie is gone"
        assert list(node["/drop"].input) == ["c", "ratio"] and "live" not in held
        assert len(node["/one/norm"].output) == 1 and not np.array_equal(held["mean"], weights["mean"])
        assert np.array_equal(held["ratio"], weights["ratio"])
        trained = "made.trained.safetensors"
        self.run(self.suite.dsc, "export", trained, "--model=made.onnx", "-o", "kept.onnx", "--force", "--keep-training")
        kept = {node.name: node for node in onnx.load(self.folder / "kept.onnx").graph.node}
        assert kept["/drop"].input[2] == "live" and len(kept["/one/norm"].output) == 3
        # --no-tie is told by the names.
        untied = self.compare(self.folder / "made.onnx", self.folder / "made.npz", "untied", [*flags, "--no-tie"], steps=20)
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in untied.graph.initializer}
        assert not np.array_equal(held["w"], held["head"].T), "trained apart and written as one"

    def external(self):
        """--external-data: one file beside, at pages; the tensors in it are those of the model in one file."""
        model, data = (self.suite.root / "test/e2e/models" / name for name in ("cnn-R20.onnx", "cnn.data.npz"))
        flags = ["--loss=cross-entropy", "--lr=0.01"]
        one = self.compare(model, data, "inside", flags)
        two = self.compare(model, data, "beside", flags, ["--external-data"])
        graph = onnx.load(self.folder / "beside.out.onnx", load_external_data=False).graph
        places = [{entry.key: entry.value for entry in tensor.external_data} for tensor in graph.initializer if tensor.external_data]
        assert places and all(place["location"] == "beside.out.onnx.data" for place in places)
        assert all(int(place["offset"]) % 4096 == 0 for place in places)
        for a, b in zip(one.graph.initializer, two.graph.initializer, strict=True):
            assert np.array_equal(numpy_helper.to_array(a), numpy_helper.to_array(b)), a.name
        # The data file of a model that is not ours stays.
        (self.folder / "foreign.onnx.data").write_text("somebody's")
        (self.folder / "foreign.onnx").unlink(missing_ok=True)
        text = self.run(self.suite.dsc, "export", "beside.trained.safetensors", "--model", model, "-o", "foreign.onnx",
                        "--external-data", code=1)
        assert "foreign.onnx.data exists" in text and (self.folder / "foreign.onnx.data").read_text() == "somebody's"

    def checkpoint(self):
        """A checkpoint, and the folder of a run, whose last one it is; each gives its own weights."""
        folder = self.suite.root / "docs/examples/digits"
        self.run(self.suite.dsc, "compile", folder / "cnn.onnx", "--dim", "batch=32", "-o", "digits_run", "--force")
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        self.run("./digits_run", "train", "--data", folder / "test.npz", "--steps=4", "--save=runs", "--save-every=2", "--threads=1")
        written = {}
        for path in ("runs", "runs/step-00000004", "runs/step-00000002"):
            out = path.replace("/", "_") + ".onnx"
            self.run(self.suite.dsc, "export", path, "--model", folder / "cnn.onnx", "-o", out, "--force")
            self.run("./digits_run", "eval", "--data", folder / "test.npz", "--weights", path, "--outputs=run.npz", "--threads=1", "--force")
            images = {"image": np.load(folder / "test.npz")["image"][:32]}
            (theirs,) = run_onnx(self.folder / out, images).values()
            (ours,) = (value[:32] for value in np.load(self.folder / "run.npz").values())
            limit = allowed(onnx.load(self.folder / out), ours)
            assert np.max(np.abs(ours - theirs)) <= limit, f"{path}: off by {np.max(np.abs(ours - theirs))}, allowed are {limit}"
            written[path] = theirs
        assert np.array_equal(written["runs"], written["runs/step-00000004"])
        assert np.max(np.abs(written["runs"] - written["runs/step-00000002"])) > 10 * limit
        # A damaged one is refused.
        weights = self.folder / "runs/step-00000002/weights.safetensors"
        data = bytearray(weights.read_bytes())
        data[-1] ^= 1
        weights.write_bytes(data)
        text = self.run(self.suite.dsc, "export", "runs/step-00000002", "--model", folder / "cnn.onnx", "-o", "no.onnx", code=1)
        assert "step-00000002" in text and not (self.folder / "no.onnx").exists(), text

    def safetensors(self):
        source = self.suite.root / "test/e2e/models"
        entry = json.loads((source / "references.json").read_text())["models"]["gpt2_sdpa-R20.onnx"]
        weights, _ = self.train(source / "gpt2_sdpa-R20.onnx", source / entry["data"], "tensors", ["--loss=cross-entropy"])
        trained = read_safetensors(weights)
        # The executable writes weights, too: those it is given and those it starts from.
        self.run("./tensors", "export", "--weights", weights, "-o", "given.safetensors", "--force")
        self.run("./tensors", "export", "-o", "start.safetensors", "--force")
        given, start = (read_safetensors(self.folder / f"{name}.safetensors") for name in ("given", "start"))
        initial = read_safetensors(self.folder / "tensors.weights.safetensors")
        assert set(given) == set(trained) == set(start) == set(initial)
        assert all(np.array_equal(given[name], trained[name]) and np.array_equal(start[name], initial[name]) for name in trained)
        assert any(not np.array_equal(given[name], start[name]) for name in trained)
        folder = self.folder / "shards"
        prefix = "m."
        assert all(name.startswith(prefix) for name in trained), list(trained)[:3]
        export = [self.suite.dsc, "export", weights, "--safetensors", folder]
        self.run(*export, "--strip-prefix", prefix)
        with safe_open(folder / "model.safetensors", "numpy") as file:
            assert file.metadata()["format"] == "pt"
            assert set(file.keys()) == {name.removeprefix(prefix) for name in trained}
            for name, value in trained.items():
                assert np.array_equal(file.get_tensor(name.removeprefix(prefix)), value), name
        self.run(*export, "--dtype=bf16", "--shard-size=20KB")
        assert not (folder / "model.safetensors").exists(), "what an earlier export left would be read in place of the shards"
        index = json.loads((folder / "model.safetensors.index.json").read_text())
        assert set(index["weight_map"]) == set(trained)
        files = sorted(set(index["weight_map"].values()))
        assert len(files) > 3 and files == sorted(path.name for path in folder.glob("*.safetensors"))
        assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
        read = {}
        for file in files:
            part = read_safetensors(folder / file)
            assert all(index["weight_map"][name] == file for name in part)
            assert sum(value.nbytes for value in part.values()) <= 20e3 or len(part) == 1
            read |= part
        assert sum(value.nbytes for value in read.values()) == index["metadata"]["total_size"]
        for name, value in trained.items():
            assert np.array_equal(read[name], value.astype(ml_dtypes.bfloat16)), name
        # Shards are weights themselves.
        self.run(self.suite.dsc, "export", folder, "--model", source / "gpt2_sdpa-R20.onnx", "-o", "from_shards.onnx", "--force")
        text = self.run(*export, "--strip-prefix=nothing.", code=1)
        assert "no tensor of" in text and "nothing." in text, text
        (folder / "model-00009-of-00009.safetensors").write_bytes(b"somebody's")
        text = self.run(*export, code=1)
        assert "model-00009-of-00009.safetensors: exists and was not written by dsc" in text, text
        self.run(*export, "--force")
        assert [path.name for path in folder.glob("model*")] == ["model.safetensors"]


def main():
    suite = Suite(__doc__)
    export = Export(suite)
    references = json.loads((suite.root / "test/e2e/models/references.json").read_text())["models"]
    cases = {
        file: lambda file=file, entry=entry: export.model(file, entry)
        for file, entry in references.items()
        if entry["expect"] == "trains" and (suite.full or file.removesuffix(".onnx") in QUICK)
    }
    cases |= {
        "made": export.made,
        "external": export.external,
        "checkpoint": export.checkpoint,
        "safetensors": export.safetensors,
        "digits": lambda: export.example("digits/cnn.onnx", "digits/test.npz", ["--dim", "batch=32"]),
        "shakespeare": lambda: export.example("shakespeare/model.onnx", "shakespeare/val.bin", []),
    }
    with ThreadPoolExecutor(2) as pool:
        results = {name: pool.submit(case) for name, case in cases.items() if suite.selects(name)}
        for name, result in results.items():
            suite.run(name, result.result)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
