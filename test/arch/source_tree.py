"""The files of a source tree as the architecture checks see them: what git knows, or everything but build output."""

import json
import os
import re
import subprocess
from pathlib import Path

LLVM = Path("/usr/lib/llvm-19")
OP_DEFINITION = re.compile(r"^\s*def\s+Dsc_(\w+Op)\s*:")


class SourceTree:
    def __init__(self, root, build_dir=None):
        self.root = Path(root)
        # Where programs of this tree are built, for checks that need one; None where nothing is built.
        self.build_dir = Path(build_dir) if build_dir else None
        self.files = sorted(self._list())

    def _list(self):
        if (self.root / ".git").exists():
            command = ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
            listed = subprocess.run(command, check=True, capture_output=True).stdout.decode()
            # A file deleted but not yet staged is still listed.
            return [name for name in listed.split("\0") if name and (self.root / name).is_file()]
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith((".", "build"))]
            found += [str((Path(folder) / name).relative_to(self.root)) for name in names]
        return found

    def with_suffix(self, *suffixes):
        return [name for name in self.files if name.endswith(suffixes)]

    def lines(self, name):
        return (self.root / name).read_text(encoding="utf-8", errors="replace").splitlines()

    def records(self, name):
        """The TableGen records of a file, as llvm-tblgen writes them in JSON."""
        includes = ["-I.", f"-I{LLVM}/include"]
        command = [str(LLVM / "bin/llvm-tblgen"), "--dump-json", *includes, name]
        run = subprocess.run(command, capture_output=True, text=True, cwd=self.root)
        if run.returncode != 0:
            raise ValueError(f"llvm-tblgen does not read {name}: {run.stderr}")
        return json.loads(run.stdout)

    def op_table_problems(self, table, row):
        """What is wrong with a table that has one row an op of the dialect; `row` matches a row, its first group the op."""
        ops = {}
        for name in self.with_suffix(".td"):
            if name.startswith("ir/"):
                for number, line in enumerate(self.lines(name), 1):
                    match = OP_DEFINITION.match(line)
                    if match:
                        ops[match.group(1)] = f"{name}:{number}"
        if not ops:
            return []
        if table not in self.files:
            return [f"{table} is missing, but {len(ops)} ops want their rows in it"]
        problems, rows = [], set()
        for number, line in enumerate(self.lines(table), 1):
            match = row.match(line)
            if not match:
                continue
            op = match.group(1)
            if op not in ops:
                problems.append(f"{table}:{number}: row of {op}, which no .td file defines")
            if op in rows:
                problems.append(f"{table}:{number}: second row of {op}")
            rows.add(op)
        return problems + [f"{where}: {op} has no row in {table}" for op, where in ops.items() if op not in rows]
