"""ONNX's backend node tests, generated from the pinned package.

The case 'generated' holds the denominator: how many tests there are, apply, and need baked inputs.
"""

import sys

import onnx_node_tests
from suite import Suite


def main():
    suite = Suite(__doc__)
    manifest = onnx_node_tests.generate(suite.folder("node_tests") / "tests")

    def generated():
        counts = (manifest["applicable"], manifest["total"])
        expected = (onnx_node_tests.APPLICABLE, onnx_node_tests.TOTAL)
        assert counts == expected, f"{counts} tests (applicable, total) instead of {expected}"
        baked = sum(bool(test["baked"]) for test in manifest["tests"])
        assert baked == 308, f"{baked} tests with baked inputs instead of 308"

    suite.run("generated", generated)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
