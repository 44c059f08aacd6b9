"""Work put off is written down where it can be found again: every to-do in the sources names an issue, as in
'(#12)' right behind the word."""

import re

# Put together here so that this file does not find itself.
WORDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
OPEN_END = re.compile(r"\b(" + "|".join(WORDS) + r")\b(?!\(#\d+\))")


def check(tree):
    problems = []
    suffixes = (".cpp", ".h", ".td", ".c", ".cu", ".cuh", ".py", ".mlir", ".txt", ".cmake", ".in", ".sh")
    names = set(tree.with_suffix(*suffixes))
    # Scripts without a suffix.
    names.update(name for name in tree.files if name.startswith(("tools/", ".ci/")) and "." not in name.split("/")[-1])
    for name in sorted(names):
        for number, line in enumerate(tree.lines(name), 1):
            match = OPEN_END.search(line)
            if match:
                problems.append(f"{name}:{number}: {match.group(1)} without an issue; write {match.group(1)}(#N)")
    return problems


GOOD = {"with an issue": {"ir/a.cpp": f"// {WORDS[0]}(#12): widen\n"}, "part of a word": {"ir/a.cpp": f"m{WORDS[0]}s"}}
BAD = {
    "bare": {"ir/a.cpp": f"// {WORDS[0]}: widen\n"},
    "with a name only": {"passes/a.td": f"// {WORDS[1]}(somebody): widen\n"},
    "in a script": {"tools/run": f"# {WORDS[2]}\n"},
    "in CMake": {"CMakeLists.txt": f"# {WORDS[0]}\n"},
}
