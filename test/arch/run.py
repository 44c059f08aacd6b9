"""Runs the architecture checks: the rules about the source tree that matter enough to be tests.

A check is a module beside this file with check(tree) -> list of problems, and small trees that it must accept (GOOD)
and refuse (BAD): a check that cannot fail proves nothing, so those run first, in a temporary folder.
"""

import argparse
import importlib
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from source_tree import SourceTree  # noqa: E402


def problems_of(check, files):
    """What a check says of a tree that holds just these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check(SourceTree(folder))


def cases(root, build_dir):
    """Yields (name, function that returns problems) for every check and its self-tests."""
    tree = SourceTree(root, build_dir)
    for path in sorted(HERE.glob("*.py")):
        if path.stem in ("run", "source_tree"):
            continue
        module = importlib.import_module(path.stem)
        check = module.check
        for title, files in module.GOOD.items():
            yield f"{path.stem}/accepts/{title}", lambda check=check, files=files: problems_of(check, files)
        for title, files in module.BAD.items():

            def refuses(check=check, files=files):
                return [] if problems_of(check, files) else ["the check found nothing in a tree that breaks the rule"]

            yield f"{path.stem}/refuses/{title}", refuses
        yield path.stem, lambda check=check: check(tree)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=HERE.parent.parent, help="the tree to check")
    parser.add_argument("--filter", default="", help="only cases whose name matches this regular expression")
    parser.add_argument("--build-dir", type=Path, help="where dsc is built, for the checks that ask it")
    # What tools/test gives to every suite; nothing here depends on it.
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()

    passed = failed = 0
    for name, run in cases(arguments.root, arguments.build_dir):
        if not re.search(arguments.filter, name):
            continue
        problems = run()
        if problems:
            failed += 1
            print(f"FAIL {name}")
            print("".join(f"  {problem}\n" for problem in problems), end="")
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
