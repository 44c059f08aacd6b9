"""What every end-to-end driver (run_NAME.py) shares: its command line, counting, and the bound of a comparison.

    suite = Suite(__doc__)
    for case in ...:
        suite.run("name", function)      # passes unless it raises; raise Skip(reason) where it cannot run
    sys.exit(suite.finish())

Drivers print what failed and end with the line 'N passed, N failed[, N skipped]', which tools/test reads.
"""

import argparse
import math
import os
import re
import traceback
from pathlib import Path

# Unit roundoff: half the distance from 1 to the next number.
ROUNDOFF = {"f64": 2.0**-53, "f32": 2.0**-24, "f16": 2.0**-11, "bf16": 2.0**-8}


def bound(dtype, length=1, scale=1.0, steps=1):
    """The largest difference allowed between two right computations of one value: docs/testing.md, 'Tolerances'.

    dtype: the coarsest type that rounds on the way; length: the longest reduction; scale: the largest magnitude that
    is added; steps: how many such operations follow each other."""
    return 8.0 * ROUNDOFF[dtype] * steps * math.sqrt(length) * scale


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


class Suite:
    def __init__(self, description, arguments=()):
        parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
        parser.add_argument("--build-dir", type=Path, required=True, help="the build that is tested")
        parser.add_argument("--full", action="store_true", help="also the long cases")
        parser.add_argument("--filter", default="", help="only cases whose name matches this regular expression")
        for name, options in arguments:
            parser.add_argument(name, **options)
        self.arguments = parser.parse_args()
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # These suites are of the CPU target, which is the default without a GPU.
        self.build = self.arguments.build_dir.resolve()
        self.full = self.arguments.full
        self.root = Path(__file__).resolve().parent.parent.parent
        self.dsc = self.build / "bin" / "dsc"
        self.passed = self.failed = self.skipped = 0

    def folder(self, name):
        """An empty-or-reused folder of this suite in the build tree."""
        path = self.build / "test" / "e2e" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def selects(self, name):
        return re.search(self.arguments.filter, name) is not None

    def run(self, name, case):
        if not self.selects(name):
            return
        try:
            case()
        except Skip as reason:
            self.skipped += 1
            print(f"SKIP {name}: {reason}", flush=True)
        except AssertionError as problem:
            self.fail(name, str(problem) or traceback.format_exc())
        except Exception:  # A case that dies in any way is a failure with its traceback, and the others still run.
            self.fail(name, traceback.format_exc())
        else:
            self.passed += 1

    def fail(self, name, text):
        self.failed += 1
        print(f"FAIL {name}\n" + "".join(f"  {line}\n" for line in text.splitlines()), end="", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else ""))
        return 1 if self.failed else 0
