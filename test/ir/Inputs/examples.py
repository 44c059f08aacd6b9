"""Prints the example of every op and attribute of the dialect as a function of its own, for dsc-opt to read: the pages
made from these descriptions show nothing that does not work. Operands get the types that the example states."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "arch"))
from source_tree import SourceTree  # noqa: E402

FENCED = re.compile(r"^ *Example:\n *```mlir\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"^ *Example: `(.*?)`", re.MULTILINE)


def operand_types(text):
    """The types behind the last colon: '(A, B) -> C' or 'A, B'."""
    types = text[text.rindex(" : ") + 3 :].strip()
    if types.startswith("("):
        types = types[1 : types.index(")")]
    return types.split(", ") if types else []


def function(name, text):
    """One statement, with its free values as arguments."""
    text = text.strip()
    if text.startswith("dsc.global "):
        return text + "\n"
    statement = re.sub(r"^%[\w%, ]+ = ", "", text)
    names = re.findall(r"%\w+", re.split(r"\{| attributes ", statement, maxsplit=1)[0])
    types = operand_types(text)
    # An access of a global or a constant states only its own type.
    if names and len(names) != len(types):
        sys.exit(f"{name}: {len(names)} operands and {len(types)} types in its example")
    arguments = dict(zip(names, types))
    listed = ", ".join(f"{value}: {kind}" for value, kind in arguments.items())
    return f"func.func @example_of_{name}({listed}) {{\n  {text}\n  return\n}}\n"


def main(root):
    records = SourceTree(root).records("ir/Ops.td")
    examples = []
    instances = records["!instanceof"]
    ops = {records[record]["opName"]: records[record] for record in instances["Op"]}
    example_of = {}
    for name, op in ops.items():
        found = FENCED.findall(op["description"])
        if len(found) != 1:
            sys.exit(f"dsc.{name} has {len(found)} examples in its description, expected one")
        example_of[name] = found[0]
    for name, text in example_of.items():
        # What reads or writes a global needs it declared: the example of `global` is that one.
        needed = example_of["global"].strip() + "\n" if name in ("get_global", "set_global") else ""
        examples.append(needed + function(name, text))
    for record in instances["AttrDef"]:
        attribute = records[record]
        for text in INLINE.findall(attribute["description"] or ""):
            examples.append(f"func.func private @attribute() attributes {{dsc.example = {text}}}\n")
    print("// -----\n".join(examples))


main(sys.argv[1])
