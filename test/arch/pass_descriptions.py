"""Every pass in passes/Passes.td says what it assumes and guarantees, and shows a program before and after ('Before:',
'==>'), unless it only checks (its flag starts with dsc-verify)."""

PASSES = "passes/Passes.td"


def check(tree):
    if PASSES not in tree.files:
        return []
    problems = []
    records = tree.records(PASSES)
    for name in records["!instanceof"]["PassBase"]:
        record = records[name]
        text, flag = record["description"] or "", record["argument"]
        wanted = ["Assumes:", "Guarantees:"] + ([] if flag.startswith("dsc-verify") else ["Before:", "==>"])
        missing = [word for word in wanted if word not in text]
        if missing:
            problems.append(f"{PASSES}: the description of {flag} has no {', '.join(missing)}")
    return problems


def passes(description, flag="dsc-fold"):
    text = "class PassBase { string argument; string description; }\n"
    return {PASSES: text + f'def A : PassBase {{ let argument = "{flag}"; let description = [{{ {description} }}]; }}\n'}


WHOLE = "Assumes: a. Guarantees: b. Before: c ==> d"
GOOD = {
    "all parts": passes(WHOLE),
    "a check": passes("Assumes: a. Guarantees: b.", "dsc-verify-plan"),
    "no passes": {"README.md": "hello\n"},
}
BAD = {"no example": passes("Assumes: a. Guarantees: b."), "no guarantee": passes(WHOLE.replace("Guarantees", "Does"))}
