"""Every op of the dialect (a def Dsc_NAMEOp in ir/*.td) has exactly one row in passes/precision/PrecisionTable.cpp: half, full
(f32), follow or untouched. A row for an op that does not exist is a problem too."""

import re

TABLE = "passes/precision/PrecisionTable.cpp"
ROW = re.compile(r"^\s*(?:half|full|follow|untouched)<(\w+Op)>")


def check(tree):
    return tree.op_table_problems(TABLE, ROW)


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
