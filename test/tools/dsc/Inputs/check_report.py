"""Checks a report's page against its JSON, the JSON against the executable and what compiling printed:

check_report.py PAGE.html REPORT.json MANIFEST.json PRINTED.txt PLAN.mlir MOST_BYTES
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

page, report, manifest, printed, plan = (Path(name).read_text(encoding="utf-8") for name in sys.argv[1:6])
report, manifest = json.loads(report), json.loads(manifest)

# Well-formed, small, and nothing is fetched.
root = ElementTree.fromstring(page.split("\n", 1)[1])
assert len(page.encode()) <= int(sys.argv[6]), f"the page has {len(page.encode())} bytes"
for element in root.iter():
    assert element.tag not in ("script", "link", "img", "iframe", "object", "image", "use"), f"<{element.tag}>"
    for name, value in element.attrib.items():
        assert not name.endswith(("src", "href")) or value.startswith("#"), f"{name}={value}"
        assert "url(" not in value and not name.startswith("on"), f"{name}={value}"
style = "".join(element.text for element in root.iter("style"))
assert "url(" not in style and "@import" not in style
ids = {element.get("id") for element in root.iter()}
for link in root.iter("a"):
    assert link.get("href")[1:] in ids, link.get("href")
for name in ("phases", "memory", "communication", "casts", "recomputation", "parameters", "kernels"):
    assert name in ids, name

# What it says in words, with numbers in groups as they are shown.
words = "".join(root.itertext())
cells = {"".join(cell.itertext()).replace("\u202f", "") for cell in root.iter("td")}
memory = report["memory"]
planned = int(re.search(r"memory: peak (\d+) bytes", printed)[1])
assert memory["spaces"]["together"] == planned and str(planned) in cells, planned
assert report["ranks"][0] == {"ranks": 1, "bytes": planned, "traffic_bytes": 0}, report["ranks"][0]
for choice in re.findall(r"^(?:loss|optimizer|precision|recompute): .*", printed, re.M):
    assert choice.split(": ", 1)[1] in words, choice
inserted, left = map(int, re.search(r"(\d+) casts inserted, (\d+) left", printed).groups())
assert (report["casts"]["inserted"], report["casts"]["left"]) == (inserted, left), report["casts"]
half = [each for each in report["casts"]["types"] if "f64" not in (each["from"], each["to"])]
assert sum(each["forward"] + each["backward"] + each["update"] for each in half) == left, half

# Memory: what is in use at an op is the sum of its buffers, and the largest such sum is the planner's bound.
entries = {entry["name"]: entry for entry in memory["entries"]}
for entry in entries.values():
    live = [0] * len(entry["ops"])
    for buffer in entry["buffers"]:
        assert 0 <= buffer["first"] <= buffer["last"] < len(live), buffer
        assert buffer["offset"] + buffer["bytes"] <= memory["spaces"]["arena"], buffer
        for at in range(buffer["first"], buffer["last"] + 1):
            live[at] += buffer["bytes"]
    assert live == entry["live_bytes"] and max(live, default=0) == entry["peak_bytes"], entry["name"]
peak = max(entry["peak_bytes"] for entry in entries.values())
assert peak == int(re.search(r"arena_lower_bound = (\d+)", plan)[1]), peak

# Collectives: those of the executable, each started before it is waited for; bytes add up to the traffic.
size = {"f32": 4, "bf16": 2, "f16": 2, "i32": 4, "f64": 8}
wire = {index: each["chunks"] * each["chunk_elements"] * size[each["dtype"]]
        for index, each in enumerate(manifest["collectives"])}  # fmt: skip
shown = {each["id"]: each for entry in entries.values() for each in entry["collectives"] if each["issue"] is not None}
assert {index: each["bytes"] for index, each in shown.items()} == wire, (shown, wire)
assert all(each["wait"] is None or each["issue"] < each["wait"] for each in shown.values())
buckets = sum(wire[index] for index, each in enumerate(manifest["collectives"])
              if each["entry"] == "last" and each["chunk_elements"] == 1024)  # fmt: skip
two = next(each for each in report["ranks"] if each["ranks"] == 2)
assert two["traffic_bytes"] == buckets // 2 and str(two["traffic_bytes"]) in "".join(cells), (two, buckets)

# Recomputation: blocks add up.
told = report["recomputation"]
assert told["blocks"] and told["freed_bytes"] > 0 and told["added_flops"] > 0
for key in ("saved_bytes", "freed_bytes"):
    assert sum(block[key] for block in told["blocks"]) == told[key], key
assert abs(sum(block["added_flops"] for block in told["blocks"]) - told["added_flops"]) <= len(told["blocks"])

drawings = list(root.iter("svg"))
assert len(drawings) >= 5, f"{len(drawings)} drawings"
print("the page, the report and the executable agree")
