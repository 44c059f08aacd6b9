"""What a user can get wrong has a test that shows the message: of each message of the runtime and of dsc's commands some words
stand in a test, and so does each id of ir/Errors.def, in brackets or as JSON.

Found are the texts given to Status::user and to the functions that lead to it (wrong, fail, problem), and those assigned to
`wrong` by commands. Of a text three words in a row count, of a shorter one all. Refusals of forms of single ONNX operators are
not looked at: tests of the importer go by operator."""

import re

ID = re.compile(r'DSC_ERROR\(\w+, "([a-z-]+)"')
CALL = re.compile(r"\b(?:Status::user|wrong|fail|problem)\(")
ASSIGNED = re.compile(r"\bwrong \+?= ")
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Of a format only what stands between its fields.
FIELD = re.compile(r"%[-0-9.]*(?:ll|z)?[sdugfxc]|\{\{.*?\}\}|\\.")

# Words of a message, and why no test can show it.
EXEMPT = {
    "out of memory": "needs a machine without memory",
    "cannot map": "needs a file system that cannot map",
    "cannot remove": "tests may run as root, who can",
    "cannot be written": "tests may run as root, who can",
    "cannot write": "tests may run as root, who can",
    "cannot be created": "tests may run as root, who can",
    "cannot resolve": "needs a path that ends while it is read",
    "cannot create a memory file": "needs a kernel without memfd_create",
    "cannot copy the program": "needs a machine without memory",
    "is larger than the stored constants": "an executable that dsc does not write",
    "is not aligned to the element": "an executable that dsc does not write",
    "is a copy of no float": "an executable that dsc does not write",
    "do not fill their space": "an executable that dsc does not write",
    "or space is not that": "an executable that dsc does not write",
    "lacks the tensor": "an executable's own weights, whose hash is compared first",
    "not JSON at byte": "for callers, who say it otherwise",
    "is not eight hexadecimal digits": "checkpoint.json has a checksum of its own, compared first",
    "cannot be stored as a numpy": "no result of a program is of such a type",
    "comes with a later version": "no command does at present",
    "or output NAME": "the texts of its choices are put in between",
    "unknown loss": "flags take known ones only",
    "crash unreadable answer": "needs a bug",
    "timeout took more than": "needs a bug",
    "the stored one is": "node tests are stored with the shapes of their models",
    "flag-later": "no flag is of a later version at present",
}


def words_of(text):
    return re.sub(r"[^a-z0-9%-]+", " ", text.lower()).split()


def enclosed(text, start):
    """From an opening parenthesis at `start` to the one that closes it; or from a value to the end of its statement."""
    depth, at, quoted = 0, start, False
    while at < len(text):
        c = text[at]
        if quoted:
            at += c == "\\"
            quoted = c != '"'
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth <= 0:
                break
        elif c == ";" and depth <= 0:
            break
        at += 1
    return text[start : at + 1]


def phrases_of(message):
    """Three words in a row of each part that is not put together at run time; whole parts of two words where there are no three."""
    parts = []
    for literal in LITERAL.findall(re.sub(r'(?<!\\)"\s*"', "", message)):
        parts += [words_of(part) for part in FIELD.split(literal)]
    three = [" ".join(part[i : i + 3]) for part in parts for i in range(len(part) - 2)]
    return three or [" ".join(part) for part in parts if len(part) == 2]


def messages(name, text):
    places = [(match.start(), match.end() - 1) for match in CALL.finditer(text)]
    if name.startswith("tools/dsc/"):
        places += [(match.start(), match.end()) for match in ASSIGNED.finditer(text)]
    for begin, start in places:
        yield text.count("\n", 0, begin) + 1, enclosed(text, start)


def is_looked_at(name):
    return name.endswith(".cpp") and (
        name.startswith("tools/dsc/") or (name.startswith("runtime/") and name.split("/")[1] not in ("cuda", "cpu", "comm"))
    )


def check(tree):
    tests = ""
    raw = ""
    for name in tree.with_suffix(".test", ".py", ".cpp", ".mlir", ".onnxtxt"):
        if name.startswith("test/") and not name.startswith("test/arch/"):
            text = "\n".join(tree.lines(name))
            raw += text
            joined = re.sub(r'"\s*\n\s*f?"', "", text)
            tests += " " + " ".join(words_of(re.sub(r"\{\{.*?\}\}|\\n", " ", joined))) + " "
    exempt = {" ".join(words_of(words)) for words in EXEMPT}
    problems = []
    for name in filter(is_looked_at, tree.files):
        text = "\n".join(tree.lines(name))
        for line, message in messages(name, text):
            phrases = phrases_of(message)
            said = " ".join(words_of(" ".join(LITERAL.findall(message))))
            if phrases and not any(phrase in tests for phrase in phrases) and not any(words in said for words in exempt):
                problems.append(f"{name}:{line}: no test shows this message: {' .. '.join(LITERAL.findall(message))[:120]}")
    if "ir/Errors.def" in tree.files:
        for match in ID.finditer("\n".join(tree.lines("ir/Errors.def"))):
            if match[1] not in EXEMPT and f"[{match[1]}]" not in raw and f'"{match[1]}"' not in raw:
                problems.append(f"ir/Errors.def: no test shows an error of the id {match[1]}")
    return problems


ERRORS = 'DSC_ERROR(FlagValue, "flag-value", "..", "..")\n'
TEST = "RUN: ..\nCHECK: flag '--lr' is {{.*}}, expected a finite number [flag-value]\n"
CODE = 'return Status::user(format("flag %s is %s, expected a finite number", a, b));\n'
GOOD = {
    "a message and an id that a test shows": {"ir/Errors.def": ERRORS, "runtime/Flags.cpp": CODE, "test/flags.test": TEST},
    "what needs another machine": {"runtime/Runner.cpp": 'return Status::user("out of memory for " + name);\n'},
    "other folders": {"runtime/cuda/Device.cpp": 'return Status::user("the device is of no use");\n'},
}
BAD = {
    "a message without a test": {"runtime/Flags.cpp": 'return Status::user("this was never seen by anyone");\n', "test/flags.test": TEST},
    "an id without a test": {"ir/Errors.def": ERRORS, "test/flags.test": "CHECK: expected a finite number\n"},
    "a message of a command": {"tools/dsc/Plan.cpp": 'wrong = "nothing that anybody tests";\n'},
}
