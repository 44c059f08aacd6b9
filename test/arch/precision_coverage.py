"""Every op of the dialect (a def Dsc_NAMEOp in ir/*.td) has exactly one row in passes/precision/PrecisionTable.cpp: half, full
(f32), follow or untouched. A row for an op that does not exist is a problem too."""

import re

TABLE = "passes/precision/PrecisionTable.cpp"
DEFINITION = re.compile(r"^\s*def\s+Dsc_(\w+Op)\s*:")
ROW = re.compile(r"^\s*(?:half|full|follow|untouched)<(\w+Op)>")


def check(tree):
    ops = {}
    for name in tree.with_suffix(".td"):
        if name.startswith("ir/"):
            for number, line in enumerate(tree.lines(name), 1):
                match = DEFINITION.match(line)
                if match:
                    ops[match.group(1)] = f"{name}:{number}"
    if not ops:
        return []
    if TABLE not in tree.files:
        return [f"{TABLE} is missing, but {len(ops)} ops want their rows in it"]
    problems, rows = [], set()
    for number, line in enumerate(tree.lines(TABLE), 1):
        match = ROW.match(line)
        if not match:
            continue
        op = match.group(1)
        if op not in ops:
            problems.append(f"{TABLE}:{number}: row of {op}, which no .td file defines")
        if op in rows:
            problems.append(f"{TABLE}:{number}: second row of {op}")
        rows.add(op)
    problems += [f"{where}: {op} has no row in {TABLE}" for op, where in ops.items() if op not in rows]
    return problems


TD = 'def Dsc_AddOp : Dsc_BinaryOp<"add">;\ndef Dsc_ExpOp : Dsc_UnaryOp<"exp">;\n'
GOOD = {
    "all rows": {"ir/Ops.td": TD, TABLE: "follow<AddOp>(),\nfull<ExpOp>(kRange),\n"},
    "no dialect": {"README.md": "hello\n"},
}
BAD = {
    "an op without a row": {"ir/Ops.td": TD, TABLE: "follow<AddOp>(),\n"},
    "a row without an op": {"ir/Ops.td": TD, TABLE: "follow<AddOp>(),\nfull<ExpOp>(k),\nhalf<OldOp>(k),\n"},
    "two rows": {"ir/Ops.td": TD, TABLE: "follow<AddOp>(),\nfull<ExpOp>(k),\nhalf<AddOp>(),\n"},
    "no table": {"ir/Ops.td": TD},
}
