"""Files that are broken or hostile: each must end with exit code 1 and an error that names the thing, quickly.

The cases are made here with the onnx package's message classes, most of which no exporter would write.
"""

import os
import resource
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from suite import Suite

SECONDS = 60
MEMORY = 4 << 30


def value(name, dims, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def model(nodes, inputs=None, outputs=None, initializers=(), opset=20, functions=(), domains=()):
    graph = helper.make_graph(
        nodes, "g", inputs if inputs is not None else [value("x", [4, 8])],
        outputs if outputs is not None else [value("y", None)], list(initializers))
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(name, 1) for name in domains]
    return helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions))


def node(op, inputs=("x",), outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def weight(name="w", dims=(8, 8)):
    return numpy_helper.from_array(np.arange(np.prod(dims), dtype=np.float32).reshape(dims), name)


def external(entries, dims=(8, 8)):
    """A model whose weight lies in another file, as `entries` say."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, text in entries:
        tensor.external_data.add(key=key, value=text)
    return model([node("MatMul", ("x", "w"))], initializers=[tensor])


def doubling(depth):
    """Functions that each call the one below twice: 2^depth nodes."""
    functions = []
    for level in range(depth):
        op = f"f{level - 1}" if level else "Relu"
        domain = "local" if level else ""
        body = [helper.make_node(op, ["a"], ["b"], domain=domain), helper.make_node(op, ["b"], ["c"], domain=domain)]
        functions.append(helper.make_function("local", f"f{level}", ["a"], ["c"], body,
                                              [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]))
    top = helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain="local")
    return model([top], functions=functions, domains=["local"])


def calling_itself():
    body = [helper.make_node("f", ["a"], ["b"], domain="local")]
    function = helper.make_function("local", "f", ["a"], ["b"], body,
                                    [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)])
    return model([helper.make_node("f", ["x"], ["y"], domain="local")], functions=[function], domains=["local"])


def nested_ifs(depth):
    inner = helper.make_graph([node("Relu", ("x",), ("r",))], "leaf", [], [value("r", None)])
    for _ in range(depth):
        step = helper.make_node("If", ["c"], ["r"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([step], "level", [], [value("r", None)])
        inner.node[0].ClearField("attribute")
        inner.node[0].attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH, g=step.attribute[0].g)
    return model([helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)],
                 inputs=[value("x", [4]), value("c", [], TensorProto.BOOL)])


def big_dims(dims):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"1234")
    return model([node("Add", ("x", "w"))], initializers=[tensor])


def constant(name, values):
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def cases():
    """(name, model or bytes, words of the error)"""
    good = model([node("MatMul", ("x", "w"))], initializers=[weight()]).SerializeToString()
    yield "empty", b"", "is empty"
    yield "not onnx", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, "not an ONNX model"
    yield "text", b"hello, world\n", "not an ONNX model"
    for share in (2, 3, 10):
        yield f"cut to 1/{share}", good[: len(good) // share], ""
    yield "cycle", model([node("Add", ("x", "b"), ("a",)), node("Relu", ("a",), ("b",)), node("Relu", ("b",))]), "cycle"
    yield "reads itself", model([node("Add", ("x", "y"))]), "cycle"
    yield "dangling input", model([node("Add", ("x", "nowhere"))]), '"nowhere"'
    yield "two producers", model([node("Relu"), node("Abs")]), "another producer"
    yield "input twice", model([node("Relu")], inputs=[value("x", [4]), value("x", [4])]), "declared twice"
    yield "initializer twice", model([node("MatMul", ("x", "w"))], initializers=[weight(), weight()]), "twice"
    yield "no producer of output", model([node("Relu", ("x",), ("z",))]), "computed by no node"
    yield "unknown operator", model([node("Mystery")]), "Mystery"
    yield "newer opset", model([node("Relu")], opset=999), "opset 999"
    yield "negative dim", big_dims([-4, 8]), "-4"
    yield "overflowing dims", big_dims([1 << 40, 1 << 40]), "overflow"
    yield "huge dim", big_dims([1 << 60]), "2^40"
    yield "rank 100", big_dims([1] * 100), "rank 100"
    yield "too few bytes", big_dims([1 << 20]), "4 bytes"
    # The converter's own shape inference ended the process here.
    steps = [constant(name, [value]) for name, value in (("starts", 0), ("ends", -9), ("axes", 0), ("steps", -1))]
    cut = [node("Slice", ("x", "starts", "ends", "axes", "steps"))]
    yield "slice of an open dim", model(cut, inputs=[value("x", [-1, 8])], initializers=steps, opset=13), "unbound"
    yield "huge input", model([node("Relu")], inputs=[value("x", [1 << 39, 1 << 39])]), "too large"
    huge = model([node("ConstantOfShape", ("s",))], initializers=[constant("s", [1 << 40, 1 << 40])])
    yield "huge ConstantOfShape", huge, "too large"
    yield "huge Range", model([node("Range", ("a", "b", "c"))], initializers=[
        constant("a", 0), constant("b", 1 << 60), constant("c", 1)]), "range"
    yield "huge Tile", model([node("Tile", ("x", "r"))], initializers=[constant("r", [1 << 40, 1 << 40])]), "repeats"
    yield "huge Pad", model([node("Pad", ("x", "p"))], initializers=[constant("p", [0, 1 << 50, 0, 0])]), "pads"
    yield "huge Trilu", model([node("Trilu")], inputs=[value("x", [1, 1 << 33])]), "a dimension of 8589934592"
    yield "huge EyeLike", model([node("EyeLike")], inputs=[value("x", [1 << 33, 1])]), "a dimension of 8589934592"
    wide = [value("x", [1 << 33])]
    yield "huge Hardmax", model([node("Hardmax")], inputs=wide), "a dimension of 8589934592"
    yield "huge TopK", model([node("TopK", ("x", "k"), ("y", "i"))], inputs=wide, initializers=[
        constant("k", [1])]), "a dimension of 8589934592"
    yield "huge OneHot", model([node("OneHot", ("x", "depth", "values"))], inputs=[value("x", [2])], initializers=[
        constant("depth", 1 << 31), numpy_helper.from_array(np.array([0.0, 1.0]), "values")
    ]), "a dimension of 2147483648"
    yield "huge Resize", model([node("Resize", ("x", "", "", "sizes"))], initializers=[
        constant("sizes", [4, 1 << 27])]), "dimension 1 of 8 elements would become 1.342177e+08"
    yield "huge Resize of a huge axis", model([node("Resize", ("x", "", "", "sizes"), mode="linear")], inputs=[
        value("x", [1, 1 << 33])], initializers=[constant("sizes", [1, 1 << 20])]), "very long axes"
    yield "int4 output", model([], outputs=[value("w", [], TensorProto.INT4)], initializers=[
        TensorProto(name="w", data_type=TensorProto.INT4, raw_data=b"1")]), 'output "w" is not a tensor that dsc computes, but of type'
    yield "huge Resize by aspect ratio", model([node("Resize", ("x", "", "", "sizes"), keep_aspect_ratio_policy="not_smaller")], inputs=[
        value("x", [(1 << 31) - 1, 2])], initializers=[constant("sizes", [7, 8])]), "dimension 0 of 2147483647 elements would become"
    planes = [value("x", [1, 1 << 33, 5, 5])]
    yield "indices of huge MaxPool", model([node("MaxPool", ("x",), ("y", "i"), kernel_shape=[5, 5])],
                                           inputs=planes), "a dimension of 8589934592"
    yield "huge LRN", model([node("LRN", size=1 << 30)], inputs=planes), "a window of more than"
    yield "diagonal of a huge matrix", model([node("Einsum", equation="ii->i")], inputs=[
        value("x", [1 << 33, 1 << 33])]), "a dimension of 8589934592"
    yield "huge Split", model([node("Split", num_outputs=1 << 30)]), "num_outputs is 1073741824, but the node has 1 outputs"
    yield "huge axis", model([node("LayerNormalization", ("x", "w"), axis=2**63 - 2)], initializers=[weight()]), "axis"
    yield "einsum character", model([node("Einsum", equation="ij$->ij")]), "equation"
    yield "einsum term", model([node("Einsum", equation="ijk->ij")]), "rank"
    yield "zero step", model([node("Slice", ("x", "a", "b", "a", "a"))],
                             initializers=[constant("a", [0]), constant("b", [4])]), "step"
    yield "gather past the end", model([node("Gather", ("x", "i"))], initializers=[constant("i", [9])]), "index 9"
    yield "reshape of other size", model([node("Reshape", ("x", "s"))], initializers=[constant("s", [5, 7])]), "32"
    yield "shape at run time", model([node("Reshape", ("x", "s"))], inputs=[
        value("x", [4, 8]), value("s", [2], TensorProto.INT64)]), "run-time"
    yield "inner dims", model([node("MatMul", ("x", "w"))], initializers=[weight(dims=(3, 8))]), "MatMul"
    yield "conv window", model([node("Conv", ("x", "w"), kernel_shape=[9])], inputs=[value("x", [1, 1, 4])],
                               initializers=[weight(dims=(1, 1, 9))]), "Conv"
    yield "conv stride 0", model([node("Conv", ("x", "w"), strides=[0])], inputs=[value("x", [1, 1, 4])],
                                 initializers=[weight(dims=(1, 1, 3))]), "stride"
    yield "functions that double", doubling(26), "expand"
    yield "function that calls itself", calling_itself(), "calls itself"
    yield "subgraphs 30 deep", nested_ifs(30), ""
    yield "names of any bytes", model([node("Mystery", name='"\\\x01\n' * 50)]), "Mystery"
    yield "a million nodes", model([node("Relu", ("x" if i == 0 else f"v{i - 1}",), (f"v{i}" if i < 999999 else "y",))
                                    for i in range(1000000)]), "nodes"
    where = ("location", "w.bin")
    yield "external: no file", external([("location", "none.bin")]), "none.bin"
    yield "external: outside", external([("location", "../w.bin")]), "folder"
    yield "external: outside, hidden", external([("location", "a/../../w.bin")]), "folder"
    yield "external: absolute", external([("location", "/etc/hostname")]), "relative"
    yield "external: link", external([("location", "link.bin")]), "link"
    yield "external: behind a link", external([("location", "folder/w.bin")]), "link"
    yield "external: hard link", external([("location", "hard.bin")]), "hard link"
    yield "external: folder", external([("location", "real")]), "regular file"
    yield "external: fifo", external([("location", "fifo")]), "regular file"
    yield "external: no location", external([("offset", "0")]), "no file"
    yield "external: unknown key", external([where, ("basepath", "/")]), "unknown key"
    yield "external: key twice", external([where, where]), "twice"
    yield "external: negative offset", external([where, ("offset", "-4")]), "offset"
    yield "external: past the end", external([where, ("offset", "8")]), "256"
    yield "external: wrapping offset", external([where, ("offset", str(2**64 - 100))]), "the file has"
    yield "external: wrong length", external([where, ("length", "255")]), "255"
    yield "external: huge length", external([where, ("length", str(2**60))]), str(2**60)
    yield "external: length of words", external([where, ("length", "many")]), "length"


def prepare(folder):
    (folder / "w.bin").write_bytes(np.zeros(64, np.float32).tobytes())
    (folder / "real").mkdir(exist_ok=True)
    (folder / "real" / "w.bin").write_bytes(np.zeros(64, np.float32).tobytes())
    (folder / "target.bin").write_bytes(np.zeros(64, np.float32).tobytes())
    for link, target in (("link.bin", "w.bin"), ("folder", "real")):
        if not (folder / link).is_symlink():
            (folder / link).symlink_to(target)
    if not (folder / "hard.bin").exists():
        os.link(folder / "target.bin", folder / "hard.bin")
    if not (folder / "fifo").exists():
        os.mkfifo(folder / "fifo")


def main():
    suite = Suite(__doc__)
    folder = suite.folder("hostile_models")
    prepare(folder)

    def limit():
        if "asan" not in suite.build.name:  # The sanitizer reserves terabytes of addresses.
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def compile(path):
        command = [suite.dsc, "compile", path, "--loss=sum", "--emit=import"]
        return subprocess.run(command, capture_output=True, timeout=SECONDS, preexec_fn=limit, check=False)

    for name, content, words in cases():
        path = folder / (name.replace(" ", "-").replace("/", "-") + ".onnx")

        def case(content=content, words=words, path=path):
            path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
            run = compile(path)
            text = run.stderr.decode(errors="replace")
            assert run.returncode == 1, f"exit code {run.returncode}, expected 1\n{text[-2000:]}"
            assert "error" in text and words in text, f"the error does not say '{words}':\n{text[-2000:]}"

        suite.run(name, case)

    def whole():
        path = folder / "whole.onnx"
        path.write_bytes(external([("location", "w.bin"), ("offset", "0"), ("length", "256")]).SerializeToString())
        run = compile(path)
        assert run.returncode == 0, run.stderr.decode(errors="replace")

    suite.run("a good file with external data passes", whole)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
