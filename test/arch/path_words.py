"""A path names the concept that it holds, so no file or folder is called Utils, Misc, Common or Helpers."""

import re

BANNED = {"util", "utils", "utility", "utilities", "misc", "common", "helper", "helpers"}


def words(path):
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", path)]


def check(tree):
    problems = []
    for name in tree.files:
        found = BANNED.intersection(words(name))
        if found:
            problems.append(f"{name}: '{found.pop()}' says nothing; name the concept")
    return problems


GOOD = {"a word inside a word": {"ir/Commonality.cpp": "", "ir/Utilization.cpp": ""}}
BAD = {
    "a file": {"passes/FusionUtils.cpp": ""},
    "a folder": {"frontend/common/Names.cpp": ""},
    "snake case": {"test/e2e/node_helpers.py": ""},
}
