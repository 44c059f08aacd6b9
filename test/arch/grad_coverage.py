"""Every op of the dialect (a def Dsc_NAMEOp in ir/*.td) has exactly one row in passes/autodiff/GradTable.cpp: a rule, or
zero or never with the reason. A row for an op that does not exist is a problem too."""

import re

TABLE = "passes/autodiff/GradTable.cpp"
ROW = re.compile(r"^\s*(?:rule|zero|never)<(\w+Op)\b")


def check(tree):
    return tree.op_table_problems(TABLE, ROW)


TD = 'def Dsc_AddOp : Dsc_BinaryOp<"add">;\ndef Dsc_FloorOp : Dsc_UnaryOp<"floor">;\n'
GOOD = {
    "rules and reasons": {"ir/Ops.td": TD, TABLE: "rule<AddOp, gradAdd>(),\nzero<FloorOp>(kSteps),\n"},
    "no dialect": {"README.md": "hello\n"},
}
BAD = {
    "an op without a row": {"ir/Ops.td": TD, TABLE: "rule<AddOp, gradAdd>(),\n"},
    "a row without an op": {"ir/Ops.td": TD, TABLE: "rule<AddOp, gradAdd>(),\nzero<FloorOp>(k),\nnever<OldOp>(k),\n"},
    "two rows": {"ir/Ops.td": TD, TABLE: "rule<AddOp, gradAdd>(),\nzero<FloorOp>(k),\nrule<AddOp, gradAdd>(),\n"},
    "no table": {"ir/Ops.td": TD},
}
