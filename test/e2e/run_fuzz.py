"""The importer under libFuzzer, with the address sanitizer: half a minute, with --full ten.

The fuzzer (test/fuzz) is built here, on demand. It starts from the small models of test/e2e/models, those of test/frontend and
the smallest of ONNX's node tests for each operator. A crash, a hang or a case that wants too much memory
is a failure; the input is kept and the command that runs it again is printed. The short run begins with
the same seed each time; the long one does not, and keeps its corpus in the build tree, so that the next one goes on from there.
"""

import os
import re
import shutil
import subprocess
import sys
import warnings

import onnx
import onnx.parser
from onnx.backend.test.loader import load_node_model_tests
from suite import Skip, Suite

SECONDS, FULL_SECONDS = 30, 600
# Larger models say the same more slowly.
MAX_SEED, FULL_MAX_SEED = 16 << 10, 48 << 10
# The slowest honest inputs take a second or two under the sanitizer; a shared machine may be ten times slower.
TIMEOUT = 30
MEMORY_MB = 4096


def max_seed(suite):
    return FULL_MAX_SEED if suite.full else MAX_SEED


def write_seeds(suite, folder):
    """Copies of models, the text forms as messages."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted((suite.root / "test/e2e/models").glob("*.onnx")):
        if path.stat().st_size <= max_seed(suite):
            shutil.copy(path, folder / path.name)
    for path in sorted((suite.root / "test/frontend").glob("*.onnxtxt")):
        try:
            model = onnx.parser.parse_model(path.read_text())
        except onnx.parser.ParseError:
            continue  # A test of what the parser refuses.
        (folder / f"{path.stem}.onnx").write_bytes(model.SerializeToString())
    smallest = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The package's own cases divide by zero and overflow.
        tests = load_node_model_tests()
    for model in (test.model for test in tests if test.model and len(test.model.graph.node) == 1):
        op = model.graph.node[0].op_type
        if op not in smallest or model.ByteSize() < smallest[op].ByteSize():
            smallest[op] = model
    for op, model in smallest.items():
        (folder / f"op-{op}.onnx").write_bytes(model.SerializeToString())


def build(suite):
    targets = subprocess.run(["ninja", "-C", suite.build, "-t", "targets", "all"], capture_output=True, text=True)
    if "ImportFuzzer:" not in targets.stdout:
        raise Skip("the build has no fuzzer: libFuzzer needs clang")
    built = subprocess.run(["ninja", "-C", suite.build, "ImportFuzzer"], capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr


def fuzz(suite):
    folder = suite.folder("fuzz")
    build(suite)
    seeds, corpus, findings = folder / "seeds", folder / "corpus", folder / "findings"
    write_seeds(suite, seeds)
    if not suite.full:
        shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(exist_ok=True)
    findings.mkdir(exist_ok=True)
    fuzzer = suite.build / "bin" / "ImportFuzzer"
    limits = [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY_MB}"]
    command = [
        fuzzer, corpus, seeds, *limits, f"-max_total_time={FULL_SECONDS if suite.full else SECONDS}",
        f"-max_len={max_seed(suite)}", f"-artifact_prefix={findings}/", "-print_final_stats=1"
    ]
    if not suite.full:
        command.append("-seed=1")
    # The fuzzer brings its own options; those of tools/test --preset asan are for other programs.
    environment = {name: value for name, value in os.environ.items() if name != "ASAN_OPTIONS"}
    result = subprocess.run(command, capture_output=True, env=environment)
    log = (result.stdout + result.stderr).decode(errors="replace")
    (folder / "log.txt").write_text(log)
    found = re.search(r"Test unit written to (\S+)", log)
    if found:
        log += f"\nRun it again: {fuzzer} {' '.join(limits)} {found[1]}"
    assert result.returncode == 0, log[-6000:]
    executed = int(re.search(r"stat::number_of_executed_units:\s*(\d+)", log)[1])
    count = len(list(seeds.iterdir()))
    print(f"{executed} inputs, {count} of them seeds; {len(list(corpus.iterdir()))} reached something new")
    assert executed >= count, "not even the seeds have been run"


suite = Suite(__doc__)
suite.run("import", lambda: fuzz(suite))
sys.exit(suite.finish())
