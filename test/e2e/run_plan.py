"""`dsc plan` tells what `dsc compile` and the executable then take: to the byte where it says so, within a tenth elsewhere.

exact: for every ZeRO stage the row that was planned to the end equals the line that `dsc compile` prints, the executable's
planned bytes on one and on two ranks, and what two ranks send in a step. estimates: rows marked as such beside a table in
which every row is planned to the end. chosen: the printed command compiles to the bytes that were printed. static: a graph
that computes with its batch.
"""

import json
import re
import shlex
import subprocess
import sys

from suite import Suite


class Plan:
    def __init__(self, suite):
        self.suite = suite
        self.folder = suite.folder("plan")
        self.cnn = suite.root / "docs/examples/digits/cnn.onnx"
        self.gpt = suite.root / "test/e2e/models/nanogpt-R20-dynamic.onnx"

    def run(self, *command, code=0):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=600)
        text = done.stdout + done.stderr
        assert done.returncode == code, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{text[-1500:]}"
        return done.stdout if code == 0 else text

    def plan(self, *flags):
        return json.loads(self.run(self.suite.dsc, "plan", *flags, "--json"))

    def exact(self):
        shared = ["--dim", "seq=16", "--loss=cross-entropy", "--bf16", "--max-ranks=4"]
        for zero, recompute in ((0, "none"), (1, "cheap"), (2, "full"), (3, "cheap")):
            flags = [self.gpt, *shared, f"--zero={zero}", f"--recompute={recompute}"]
            rows = {}
            for ranks in (1, 2):
                (rows[ranks],) = self.plan(*flags, "--ranks", ranks, "--memory=1GiB", "--micro-batch=4")["rows"]
                assert rows[ranks]["exact"] and sum(rows[ranks]["bytes"].values()) == rows[ranks]["peak_bytes"]
                assert all(bytes >= 0 for bytes in rows[ranks]["bytes"].values()), rows[ranks]
            printed = self.run(self.suite.dsc, "compile", *flags, "--dim", "batch=4", "-o", f"zero{zero}", "--force")
            peak = int(re.search(r"memory: peak (\d+) bytes", printed).group(1))
            assert rows[1]["peak_bytes"] == peak, f"stage {zero}: {rows[1]['peak_bytes']} planned, {peak} compiled"
            for ranks in (1, 2):
                told = json.loads(self.run(f"./zero{zero}", "bench", "--json", "--steps=2", "--threads=1", *(["--ranks=2"] if ranks == 2 else [])))
                planned = rows[ranks]["peak_bytes"]
                assert told["planned_bytes"] == planned, f"stage {zero}, {ranks} ranks: {planned} planned, {told['planned_bytes']} in the program"
            wire = told["wire"]["payload_bytes"] + told["wire"]["padding_bytes"]
            assert rows[2]["traffic_bytes"] * 2 == wire, f"stage {zero}: {rows[2]['traffic_bytes']} each planned, {wire} on the wire"

    def estimates(self):
        estimates = 0
        for flags in ([self.cnn, "--ranks=2", "--memory=4MiB"],
                      [self.gpt, "--dim", "seq=16", "--loss=cross-entropy", "--ranks=4", "--memory=4MiB"],
                      [self.gpt, "--dim", "seq=16", "--loss=cross-entropy", "--ranks=4", "--memory=24MiB", "--target=cuda", "--bf16"]):
            table, right = self.plan(*flags), self.plan(*flags, "--exact")
            known = {(row["zero"], row["micro_batch"], row["recompute"]): row for row in right["rows"]}
            estimated = [row for row in table["rows"] if not row["exact"]]
            assert len(table["rows"]) == len(known) and all(row["exact"] for row in right["rows"])
            estimates += len(estimated)
            for row in table["rows"]:
                other = known[row["zero"], row["micro_batch"], row["recompute"]]
                off = row["peak_bytes"] / other["peak_bytes"] - 1
                assert abs(off) <= (0 if row["exact"] else 0.1), f"{row} is {off:+.1%} off"
                assert abs(row["flops"] / other["flops"] - 1) <= 0.1, f"{row} and {other}"
                near = abs(row["peak_bytes"] / table["memory_bytes"] - 1) < 0.1
                assert row["exact"] or not near, f"{row} is near the limit and only estimated"
                assert row["fits"] == other["fits"]
            assert table["rows"][table["chosen"]]["exact"] and table["rows"][table["chosen"]]["fits"]
        assert estimates > 20, "hardly a row is an estimate"

    def chosen(self):
        flags = ["--ranks=2", "--memory", "2MiB", "--lr=0.01"]
        table = self.plan(self.cnn, *flags)
        chosen = table["rows"][table["chosen"]]
        command = shlex.split(table["command"])
        assert command[:2] == ["dsc", "compile"] and "--ranks=2" not in command and "--lr=0.01" in command
        self.run(self.suite.dsc, *command[1:], "-o", "chosen", "--force")
        told = json.loads(self.run("./chosen", "bench", "--json", "--steps=1", "--threads=1", "--ranks=2"))
        assert told["planned_bytes"] == chosen["peak_bytes"] <= 2 * 2**20
        text = self.run(self.suite.dsc, "plan", self.cnn, *flags)
        assert f"* peak {chosen['peak_bytes']} bytes" in text and text.rstrip().endswith(table["command"])
        # Flags narrow the table; nothing fits into nothing.
        rows = self.plan(self.cnn, *flags, "--zero=3", "--recompute=full", "--dim", "batch=8")["rows"]
        assert [(row["zero"], row["micro_batch"], row["recompute"], row["exact"]) for row in rows] == [(3, 8, "full", True)]
        text = self.run(self.suite.dsc, "plan", self.cnn, "--ranks=2", "--memory=1KiB", code=1)
        assert "nothing fits: give more --memory or --ranks" in text

    def static(self):
        model = self.suite.root / "test/e2e/models/nanogpt-R20.onnx"
        table = self.plan(model, "--loss=cross-entropy", "--ranks=2", "--memory=1GiB")
        assert len({row["micro_batch"] for row in table["rows"]}) == 1 and all(row["exact"] for row in table["rows"])
        assert "leave the batch open when exporting" in table["one_micro_batch"]
        text = self.run(self.suite.dsc, "plan", model, "--loss=cross-entropy", "--micro-batch=64", "--memory=1GiB", code=1)
        assert "flag '--micro-batch' cannot be followed: the graph computes with its batch" in text, text


if __name__ == "__main__":
    suite = Suite(__doc__)
    plan = Plan(suite)
    for case in ("exact", "estimates", "chosen", "static"):
        suite.run(case, getattr(plan, case))
    sys.exit(suite.finish())
