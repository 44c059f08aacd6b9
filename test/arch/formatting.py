"""C and C++ files are as clang-format-19 writes them with the tree's .clang-format. What was found formatted once is
remembered by its hash in the cache of tools/setup, so that only new text costs time."""

import hashlib
import os
import subprocess
from pathlib import Path

TOOL = "clang-format-19"
STYLE = ".clang-format"


def check(tree):
    if STYLE not in tree.files:
        return []
    style = (tree.root / STYLE).read_bytes()
    remembered = cache_file(style)
    known = set(remembered.read_text().split()) if remembered.exists() else set()
    hashes = {name: hashlib.sha256((tree.root / name).read_bytes()).hexdigest()
              for name in tree.with_suffix(".cpp", ".h", ".c")}
    files = [name for name, found in hashes.items() if found not in known]
    if not files:
        return []
    run = subprocess.run([TOOL, "--dry-run", "-Werror", *files], cwd=tree.root, capture_output=True, text=True)
    bad = {line.split(":")[0] for line in run.stderr.splitlines() if "[-Wclang-format-violations]" in line}
    if run.returncode != 0 and not bad:
        return run.stderr.splitlines() or [f"{TOOL} failed"]
    remembered.parent.mkdir(parents=True, exist_ok=True)
    with remembered.open("a") as out:
        out.writelines(f"{hashes[name]}\n" for name in files if name not in bad)
    return [f"{name} is not formatted; run {TOOL} -i {name}" for name in sorted(bad)]


def cache_file(style):
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsc"
    return Path(os.environ.get("DSC_CACHE") or default) / f"formatted-{hashlib.sha256(style).hexdigest()[:12]}"


LLVM = "BasedOnStyle: LLVM\n"
GOOD = {
    "formatted": {STYLE: LLVM, "ir/a.cpp": "int f(int a) { return a; }\n"},
    "no style": {"ir/a.cpp": "int  f;\n"},
}
BAD = {
    "not formatted": {STYLE: LLVM, "ir/a.cpp": "int  f(int a){return a;}\n"},
    "in a header": {STYLE: LLVM, "ir/a.cpp": "int a;\n", "ir/a.h": "int  a;\n"},
}
