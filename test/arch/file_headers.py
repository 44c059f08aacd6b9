"""A source file begins with a comment that says what it does, assumes and guarantees."""

START = {".cpp": ("//", "/*"), ".h": ("//", "/*"), ".td": ("//",), ".py": ("#", '"""', 'r"""')}


def check(tree):
    problems = []
    for suffix, starts in START.items():
        for name in tree.with_suffix(suffix):
            first = next((line for line in tree.lines(name) if line.strip()), None)
            if first is not None and not first.startswith(starts):
                problems.append(f"{name}: begins with code; first say in two or three lines what the file is for")
    return problems


GOOD = {"a comment": {"ir/a.cpp": "// What a is.\nint a;\n"}, "an empty file": {"test/e2e/__init__.py": ""}}
BAD = {
    "code first": {"ir/a.cpp": "#include <vector>\n"},
    "a bare guard": {"ir/a.h": "#ifndef A\n#define A\n#endif\n"},
    "Python": {"test/a.py": "import os\n"},
}
