"""The generated pages in docs/ are what tools/docs writes."""

import subprocess
import sys

TOOL = "tools/docs"


def check(tree):
    if TOOL not in tree.files:
        return []
    command = [sys.executable, str(tree.root / TOOL), "--check"]
    if tree.build_dir:
        command += ["--build-dir", str(tree.build_dir)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tree.root)
    return [] if run.returncode == 0 else (run.stdout + run.stderr).splitlines() or [f"{TOOL} --check failed"]


GOOD = {"fresh": {TOOL: "import sys\nsys.exit(0 if '--check' in sys.argv else 1)\n"}, "no docs": {"README.md": "hello\n"}}
BAD = {
    "stale": {TOOL: "import sys\nprint('docs/a.md is stale')\nsys.exit(1)\n"},
    "a tool that dies silently": {TOOL: "import sys\nsys.exit(1)\n"},
}
