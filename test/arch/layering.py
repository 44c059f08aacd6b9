"""Includes follow the arrows: tools -> all, {frontend, passes, codegen} -> ir, codegen and ir -> runtime/abi.h only,
runtime -> nothing of ours; onnx is seen by frontend only, lld by codegen only, and no LLVM enters the runtime."""

import re

OURS = ("frontend", "ir", "passes", "codegen", "runtime", "tools")

# What a folder may include besides itself: folders, or single headers.
MAY_INCLUDE = {
    "tools": {"frontend", "passes", "codegen", "ir", "runtime"},
    "frontend": {"ir"},
    "passes": {"ir"},
    "codegen": {"ir", "runtime/abi.h"},
    "ir": {"runtime/abi.h"},
    "runtime": set(),
}

# Other people's headers that belong to some of our folders alone.
FOREIGN = {
    "onnx/": {"frontend"},
    "google/protobuf/": {"frontend"},
    "lld/": {"codegen"},
    "openssl/": {"ir"},
    "mlir/": {"frontend", "ir", "passes", "codegen", "tools"},
    "mlir-c/": set(),
    "llvm/": {"frontend", "ir", "passes", "codegen", "tools"},
}

INCLUDE = re.compile(r'^\s*#?\s*include\s+["<]([^">]+)[">]')


def check(tree):
    problems = []
    for name in tree.with_suffix(".cpp", ".h", ".td", ".c", ".cc", ".cu", ".cuh", ".inc", ".def"):
        folder = name.split("/")[0]
        if folder not in OURS:
            continue
        for number, line in enumerate(tree.lines(name), 1):
            match = INCLUDE.match(line)
            if match:
                reason = refusal(tree, name, folder, match.group(1))
                if reason:
                    problems.append(f"{name}:{number}: {reason}")
    return problems


def refusal(tree, name, folder, included):
    beside = "/" not in included and (tree.root / name).parent.joinpath(included).is_file()
    if beside or included.startswith("."):
        return f"includes '{included}' by a relative path; write it from the top of the tree"
    target = included.split("/")[0]
    if target in OURS and "/" in included:
        if name == "runtime/abi.h":
            return f"includes '{included}', but abi.h stands alone: the compiler reads it too"
        allowed = MAY_INCLUDE[folder]
        if target != folder and target not in allowed and included not in allowed:
            return f"{folder} includes '{included}', but may only see {', '.join(sorted(allowed)) or 'itself'}"
        return None
    for prefix, folders in FOREIGN.items():
        if included.startswith(prefix) and folder not in folders:
            return f"{folder} includes '{included}', which only {', '.join(sorted(folders)) or 'nobody'} may"
    return None


GOOD = {
    "tools see everything above ir": {"tools/dsc/a.cpp": '#include "passes/P.h"\n#include "ir/I.h"\n'},
    "codegen reads the ABI": {"codegen/a.cpp": '#include "runtime/abi.h"\n#include "lld/Common/Driver.h"\n'},
    "ir reads the ABI": {"ir/a.cpp": '#include "runtime/abi.h"\n'},
    "a folder sees itself": {"runtime/cpu/a.cpp": '#include "runtime/Status.h"\n#include <vector>\n'},
    "tests may see all": {"test/runtime/aTest.cpp": '#include "runtime/Status.h"\n#include "ir/I.h"\n'},
}
BAD = {
    "ir looks up": {"ir/a.cpp": '#include "passes/P.h"\n'},
    "a phase sees the importer": {"passes/fusion/a.cpp": '#include "frontend/F.h"\n'},
    "codegen sees a pass": {"codegen/a.cpp": '#include "passes/P.h"\n'},
    "codegen sees the runtime": {"codegen/cpu/a.cpp": '#include "runtime/Status.h"\n'},
    "the runtime sees the dialect": {"runtime/a.h": '#include "ir/I.h"\n'},
    "the runtime sees LLVM": {"runtime/a.cpp": '#include "llvm/ADT/StringRef.h"\n'},
    "abi.h is not alone": {"runtime/abi.h": '#include "runtime/Status.h"\n'},
    "a pass sees onnx": {"passes/raise/a.cpp": '#include "onnx/onnx_pb.h"\n'},
    "a td file looks up": {"ir/a.td": 'include "passes/Passes.td"\n'},
    "a relative include": {"ir/a.cpp": '#include "b.h"\n', "ir/b.h": "// b\n"},
}
