"""The files of a source tree as the architecture checks see them: what git knows, or everything but build output."""

import json
import os
import subprocess
from pathlib import Path

LLVM = Path("/usr/lib/llvm-19")


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
