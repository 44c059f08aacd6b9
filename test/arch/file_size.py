"""No source file is over 800 lines; 400 is normal. A longer one has two subjects: split it by subject."""

LIMIT = 800


def check(tree):
    problems = []
    for name in tree.with_suffix(".cpp", ".h", ".td", ".py", ".c", ".cu", ".cuh"):
        count = len(tree.lines(name))
        if count > LIMIT:
            problems.append(f"{name}: {count} lines, over {LIMIT}; split it by subject")
    return problems


GOOD = {"exactly at the limit": {"ir/a.cpp": "\n" * LIMIT}, "other files": {"docs/a.md": "\n" * (LIMIT + 1)}}
BAD = {
    "a line too many": {"ir/a.cpp": "\n" * (LIMIT + 1)},
    "in Python": {"test/e2e/a.py": "\n" * (LIMIT + 1)},
    "in TableGen": {"ir/a.td": "\n" * (LIMIT + 1)},
}
