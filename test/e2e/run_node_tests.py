"""ONNX's backend node tests, generated from the pinned package, compiled and run by `dsc check --batch`.

node_tests_passing.txt lists the tests that pass; one of them that fails is a failure of the suite, others are counted only.
Failures are told apart: an operator or a variant of it that dsc does not import (by the first line of its message), a wrong
value, and everything else, which is a bug. After work on operators, --update writes the list anew.

The case 'generated' holds the denominator: how many tests there are, apply, and need baked inputs.
"""

import collections
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import onnx_node_tests
from suite import Suite

PASSING = Path(__file__).with_name("node_tests_passing.txt")
NEEDED = 500  # the project's bar


def kind_of(result):
    """Why a test failed, without names that differ from test to test."""
    stage, message = result["stage"], result["message"].strip()
    if stage == "wrong":
        return "wrong value"
    text = message.split("error: ")[1] if "error: " in message else message
    first = text.splitlines()[0] if text else "no message"
    if stage == "import":
        # A table below a line of titles: operator, domain, count, first node, why.
        rows = [line.split(",")[0].strip() for line in text.splitlines()[2:] if line.startswith("  ")]
        if rows and "not supported" in first:
            return "not imported: " + ", ".join(sorted(set(rows)))
        return "not imported: " + re.sub(r"'[^']*'", "'..'", first)[:110]
    return f"{stage}: " + re.sub(r"'[^']*'|\d+", "..", first)[:110]


def report(results, expected):
    """Prints the table of reasons."""
    passed = sorted(name for name, result in results.items() if not result["stage"])
    groups = collections.defaultdict(list)
    for name, result in results.items():
        if result["stage"]:
            groups[kind_of(result)].append(name)
    for kind, names in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        more = ", .." if len(names) > 3 else ""
        print(f"{len(names):5}  {kind}: {', '.join(names[:3])}{more}")
    new = [name for name in passed if name not in expected]
    if new:
        print(f"{len(new)} tests pass that the list does not hold; --update adds them")
    print(f"covered {len(passed)} of {onnx_node_tests.APPLICABLE} applicable node tests")
    return passed


def main():
    update = ("--update", {"action": "store_true", "help": "write node_tests_passing.txt anew"})
    suite = Suite(__doc__, [update])
    folder = suite.folder("node_tests")
    manifest = onnx_node_tests.generate(folder / "tests")

    def generated():
        counts = (manifest["applicable"], manifest["total"])
        expected = (onnx_node_tests.APPLICABLE, onnx_node_tests.TOTAL)
        assert counts == expected, f"{counts} tests (applicable, total) instead of {expected}"
        baked = sum(bool(test["baked"]) for test in manifest["tests"])
        assert baked == 308, f"{baked} tests with baked inputs instead of 308"

    suite.run("generated", generated)
    command = [suite.dsc, "check", "--batch", folder / "tests" / "manifest.json"]
    if suite.arguments.filter:
        command += ["--filter", suite.arguments.filter]
    # Each test writes and loads a small program: in memory where the machine has such a folder.
    shared = Path("/dev/shm")
    environment = {**os.environ, **({"TMPDIR": str(shared)} if os.access(shared, os.W_OK) else {})}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1500, env=environment)
    results = {}
    for line in done.stdout.splitlines():
        result = json.loads(line)
        results[result["name"]] = result
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    expected = set(PASSING.read_text().split()) if PASSING.is_file() else set()
    passed = report(results, expected)
    if suite.arguments.update and not suite.arguments.filter:
        PASSING.write_text("".join(name + "\n" for name in passed))
        expected = set(passed)

    def checked(name):
        assert name in results, f"no result; dsc ended with {done.returncode}: {done.stderr[-500:]}"
        assert not results[name]["stage"], f"{results[name]['stage']}: {results[name]['message'][:600]}"

    for name in sorted(expected):
        suite.run(name, lambda name=name: checked(name))

    def covered():
        assert len(passed) >= NEEDED, f"{len(passed)} tests pass, the bar is {NEEDED}"

    if not suite.arguments.filter:
        suite.run("covered", covered)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
