"""Every numbered rule of an op's description (a line '3. Inner dimensions are equal.') has a case that breaks it,
@OP_3 or @OP_3_variant with an expected error, in test/ir/FAMILY-invalid.mlir, and every op one that holds in
test/ir/FAMILY.mlir, where the op is defined in ir/OpsFAMILY.td."""

import re

OPS = "ir/Ops.td"
RULE = re.compile(r"^ *(\d+)\. ", re.MULTILINE)
INLINE_RULE = re.compile(r"\. \d\. \w")
CASE = re.compile(r"(?:func\.func|dsc\.global) @(\w+?)_(\d+)(?:_\w+)?\b")


def check(tree):
    if OPS not in tree.files:
        return []
    problems, rules, broken, stale = [], {}, set(), {}
    records = tree.records(OPS)
    families = {}
    for record in records["!instanceof"]["Op"]:
        op = records[record]
        name = op["opName"]
        family = re.match(r"Ops(\w+)\.td", op["!locs"][0]).group(1).lower()
        families.setdefault(family, []).append(name)
        text = op["description"].split("Example:")[0]
        numbers = [int(number) for number in RULE.findall(text)]
        if numbers != list(range(1, len(numbers) + 1)):
            problems.append(f"dsc.{name}: rules are numbered {numbers}; count from 1, a rule a line")
        if INLINE_RULE.search(text):
            problems.append(f"dsc.{name}: each numbered rule starts a line of its own")
        rules[name] = len(numbers)
    for family, names in sorted(families.items()):
        valid, invalid = f"test/ir/{family}.mlir", f"test/ir/{family}-invalid.mlir"
        text = "\n".join(tree.lines(valid)) if valid in tree.files else ""
        problems += [f"{valid} has no dsc.{name}" for name in names if not re.search(rf"dsc\.{name}\b", text)]
        lines = "\n".join(tree.lines(invalid)) if invalid in tree.files else ""
        for case in lines.split("// -----"):
            for name, number in CASE.findall(case):
                if name in rules and int(number) > rules[name]:
                    problems.append(f"{invalid}: @{name}_{number} breaks a rule that dsc.{name} does not have")
                if "expected-error" in case:
                    broken.add((name, int(number)))
        for name in names:
            missing = [n for n in range(1, rules[name] + 1) if (name, n) not in broken]
            problems += [f"{invalid} has no case @{name}_{n}, with an expected error, for rule {n}" for n in missing]
    return problems


TD = """class Op { string opName = ""; string description = ""; }
include "ir/OpsShape.td"
"""
RULES = """def Pad : Op { let opName = "pad"; let description = [{
  Pads.
  1. One entry a dimension.
  2. None is negative.

  Example: 1. }]; }
"""
POSITIVE = "%y = dsc.pad %x\n"
NEGATIVE = "func.func @pad_1()\n// expected-error\n// -----\nfunc.func @pad_2_high()\n// expected-error\n"


def tree_with(rules=RULES, positive=POSITIVE, negative=NEGATIVE):
    return {
        OPS: TD,
        "ir/OpsShape.td": rules,
        "test/ir/shape.mlir": positive,
        "test/ir/shape-invalid.mlir": negative,
    }


GOOD = {"a case for each rule": tree_with(), "no dialect": {"README.md": "hello\n"}}
BAD = {
    "a rule without a case": tree_with(negative=NEGATIVE.replace("pad_1", "other_1")),
    "a case without an error": tree_with(negative="func.func @pad_1()\n// -----\n" + NEGATIVE.replace("pad_1", "pad_2")),
    "a case without a rule": tree_with(negative=NEGATIVE + "// -----\nfunc.func @pad_3()\n// expected-error\n"),
    "an op without a case": tree_with(positive=""),
    "a number left out": tree_with(rules=RULES.replace("2. None", "3. None")),
    "rules in one line": tree_with(rules=RULES.replace("\n  2. None", " 2. None")),
}
