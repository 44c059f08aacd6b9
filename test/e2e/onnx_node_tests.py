"""Writes ONNX's backend node tests, as the pinned onnx package makes them, into the build tree.

Which apply: a program trained ahead of time has static shapes, tensors of numbers, and nothing random in a comparison, so
the rules R1 to R9 (EXCLUSIONS) leave 1547 of the 1884. Operands that decide a shape (SHAPE_OPERANDS) are graph inputs in
these tests; they are baked: what such an operand is computed from becomes an initializer with the test's value.

    FOLDER/NAME/model.onnx
    FOLDER/NAME/test_data_set_0/input_K.pb, output_K.pb     K counts the graph inputs that are left
    FOLDER/manifest.json

manifest.json: {"onnx", "total", "applicable", "excluded": {rule: {"reason", "tests": [NAME..]}}, "tests": [T..]}, and each
T = {"name", "model", "data", "ops": ["Op" or "domain.Op"], "opsets": {domain: version}, "expanded",
     "inputs": [V..], "outputs": [V..], "baked": [V..], "rtol", "atol"},   V = {"name", "dtype", "shape"}.
All paths are relative to FOLDER. A test fails by |value - expected| > atol + rtol * |expected|.
"""

import argparse
import hashlib
import json
import shutil
import sys
import warnings
from pathlib import Path

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_node_model_tests

APPLICABLE, TOTAL = 1547, 1884  # of the pinned package; another count means that a rule or the package changed

DTYPES = {
    "FLOAT": "f32", "DOUBLE": "f64", "FLOAT16": "f16", "BFLOAT16": "bf16", "BOOL": "bool",
    "INT8": "i8", "INT16": "i16", "INT32": "i32", "INT64": "i64",
    "UINT8": "u8", "UINT16": "u16", "UINT32": "u32", "UINT64": "u64",
}  # fmt: skip


# ---- Looking at a model --------------------------------------------------------------------------------------------


def graphs_of(graph):
    """The graph and all subgraphs of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs_of(attribute.g)
            for subgraph in attribute.graphs:
                yield from graphs_of(subgraph)


def nodes_of(graph):
    return [node for part in graphs_of(graph) for node in part.node]


def element_types(graph):
    """Names of every element type that the graph mentions."""
    types = set()
    for part in graphs_of(graph):
        types.update(value.type.tensor_type.elem_type for value in [*part.input, *part.output])
        types.update(tensor.data_type for tensor in part.initializer)
        for node in part.node:
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.TENSOR:
                    types.add(attribute.t.data_type)
                elif attribute.name in ("to", "dtype", "output_dtype"):
                    types.add(attribute.i)
    return {onnx.TensorProto.DataType.Name(number) for number in types}


def runs(*ops):
    return lambda case, nodes: any(node.op_type in ops for node in nodes)


def not_tensor(case, nodes):
    values = [*case.model.graph.input, *case.model.graph.output]
    return any(value.type.WhichOneof("value") != "tensor_type" for value in values)


def container_or_string(case, nodes):
    ops = ("SplitToSequence", "ConcatFromSequence", "RegexFullMatch", "TfIdfVectorizer", "ImageDecoder")
    if any(node.op_type.startswith(("Sequence", "Optional", "String")) or node.op_type in ops for node in nodes):
        return True
    return "STRING" in element_types(case.model.graph)


def small_or_complex_type(case, nodes):
    excluded = ("FLOAT8", "FLOAT6", "FLOAT4", "INT4", "UINT4", "INT2", "UINT2", "COMPLEX")
    return any(name.startswith(excluded) for name in element_types(case.model.graph))


def random(case, nodes):
    if any(node.op_type in ("Bernoulli", "Multinomial") or node.op_type.startswith("Random") for node in nodes):
        return True
    return case.name.startswith("test_training_dropout") and "zero_ratio" not in case.name


# In this order; the first that matches a test excludes it.
EXCLUSIONS = {
    "R1": ("an input or output is a sequence, an optional or a map", not_tensor),
    "R2": ("strings, sequences or optionals inside", container_or_string),
    "R3": ("classical machine learning", lambda case, nodes: any(node.domain == "ai.onnx.ml" for node in nodes)),
    "R4": ("8-bit and smaller floats, 4-bit and smaller integers, complex numbers", small_or_complex_type),
    "R5": (
        "quantised arithmetic",
        runs("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul",
             "MatMulInteger", "ConvInteger"),
    ),  # fmt: skip
    "R6": ("the output's shape depends on data", runs("NonZero", "Unique", "Compress")),
    "R7": ("detection", runs("NonMaxSuppression", "RoiAlign", "MaxRoiPool")),
    "R8": ("control flow", runs("If", "Loop", "Scan")),
    "R9": ("random values", random),
}


def exclusion(case):
    nodes = nodes_of(case.model.graph)
    for rule, (_, excludes) in EXCLUSIONS.items():
        if excludes(case, nodes):
            return rule
    return None


# ---- Baking inputs that decide shapes ------------------------------------------------------------------------------

# Operands whose value decides a shape, or which variant of the op is meant.
SHAPE_OPERANDS = {
    "Reshape": [1], "Expand": [1], "Tile": [1], "Pad": [1, 3], "Slice": [1, 2, 3, 4], "Squeeze": [1], "Unsqueeze": [1],
    "Split": [1], "Resize": [1, 2, 3], "Upsample": [1], "ConstantOfShape": [0], "Range": [0, 1, 2], "OneHot": [1],
    "TopK": [1], "CumSum": [1], "CumProd": [1], "Trilu": [1], "CenterCropPad": [1], "Col2Im": [1, 2],
    "AffineGrid": [1], "DFT": [1, 2], "STFT": [1, 3], "MelWeightMatrix": [0, 1, 2, 3, 4], "BlackmanWindow": [0],
    "HammingWindow": [0], "HannWindow": [0], "MaxUnpool": [2], "Dropout": [1, 2],
    **{f"Reduce{kind}": [1] for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum",
                                         "SumSquare")},
}  # fmt: skip


def inputs_to_bake(graph):
    """Names of the graph inputs that a shape operand is computed from, not counting ways through a static shape."""
    producers = {name: node for node in graph.node for name in node.output if name}
    inputs = {value.name for value in graph.input}
    pending = [
        node.input[index]
        for node in graph.node
        for index in SHAPE_OPERANDS.get(node.op_type, ())
        if index < len(node.input)
    ]
    seen = set()
    while pending:
        name = pending.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        node = producers.get(name)
        if node is not None and node.op_type not in ("Shape", "Size", "Constant"):
            pending.extend(node.input)
    return inputs & seen


# ---- Writing -------------------------------------------------------------------------------------------------------


def tensor_of(value, declared):
    """The stored form of a test value under its graph name."""
    if isinstance(value, onnx.TensorProto):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
    else:
        tensor = numpy_helper.from_array(numpy.asarray(value))
    tensor.name = declared.name
    return tensor


def described(tensor):
    dtype = DTYPES[onnx.TensorProto.DataType.Name(tensor.data_type)]
    return {"name": tensor.name, "dtype": dtype, "shape": list(tensor.dims)}


def write_case(case, folder):
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph = model.graph
    if len(case.data_sets) != 1:
        raise ValueError(f"{case.name}: {len(case.data_sets)} data sets, but baking needs exactly one")
    values, expected = case.data_sets[0]
    inputs = [tensor_of(value, declared) for value, declared in zip(values, graph.input, strict=True)]
    outputs = [tensor_of(value, declared) for value, declared in zip(expected, graph.output, strict=True)]

    bake = inputs_to_bake(graph)
    baked = [tensor for tensor in inputs if tensor.name in bake]
    inputs = [tensor for tensor in inputs if tensor.name not in bake]
    if baked:
        kept = [value for value in graph.input if value.name not in bake]
        del graph.input[:]
        graph.input.extend(kept)
        graph.initializer.extend(baked)
        # Since IR 4 an initializer that is no input is a constant.
        model.ir_version = max(model.ir_version, 4)

    data = folder / case.name / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / case.name / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for index, tensor in enumerate(tensors):
            (data / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString(deterministic=True))
    return {
        "name": case.name,
        "model": f"{case.name}/model.onnx",
        "data": f"{case.name}/test_data_set_0",
        "ops": sorted({".".join(filter(None, (node.domain, node.op_type))) for node in graph.node}),
        "opsets": {entry.domain: entry.version for entry in model.opset_import},
        "expanded": "_expanded" in case.name,
        "inputs": [described(tensor) for tensor in inputs],
        "outputs": [described(tensor) for tensor in outputs],
        "baked": [described(tensor) for tensor in baked],
        "rtol": case.rtol,
        "atol": case.atol,
    }


def write_all(folder):
    manifest = {"onnx": onnx.__version__, "total": 0, "applicable": 0, "excluded": {}, "tests": []}
    for rule, (reason, _) in EXCLUSIONS.items():
        manifest["excluded"][rule] = {"reason": reason, "tests": []}
    with warnings.catch_warnings():
        # Some cases compute infinities on purpose.
        warnings.simplefilter("ignore")
        cases = load_node_model_tests()
    for case in sorted(cases, key=lambda case: case.name):
        manifest["total"] += 1
        rule = exclusion(case)
        if rule:
            manifest["excluded"][rule]["tests"].append(case.name)
        else:
            manifest["tests"].append(write_case(case, folder))
    manifest["applicable"] = len(manifest["tests"])
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def generate(folder):
    """The manifest of the tests in folder; writes them first if this script or a package it uses changed since."""
    folder = Path(folder)
    key = hashlib.sha256(Path(__file__).read_bytes())
    key.update(f"{onnx.__version__} {numpy.__version__}".encode())
    stamp = folder / "version"
    if stamp.is_file() and stamp.read_text() == key.hexdigest():
        return json.loads((folder / "manifest.json").read_text())
    # Beside and renamed, so that an interrupted run leaves nothing that looks complete.
    aside = folder.with_name(folder.name + ".new")
    for old in (aside, folder):
        shutil.rmtree(old, ignore_errors=True)
    aside.mkdir(parents=True)
    manifest = write_all(aside)
    (aside / "version").write_text(key.hexdigest())
    aside.rename(folder)
    return manifest


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the tests go; replaced when out of date")
    manifest = generate(parser.parse_args().folder)
    for rule, excluded in manifest["excluded"].items():
        print(f"{rule}  {len(excluded['tests']):4} excluded: {excluded['reason']}")
    baked = sum(bool(test["baked"]) for test in manifest["tests"])
    print(f"{manifest['applicable']} of {manifest['total']} apply, {baked} of them with baked inputs")
    if (manifest["applicable"], manifest["total"]) != (APPLICABLE, TOTAL):
        print(f"expected {APPLICABLE} of {TOTAL}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
