"""What people see of a run, on the linear example: the bar of a terminal, the lines of a pipe, TensorBoard's curves, `lr`.

scalars: TensorBoard's own reader finds in the event files what the log says: each tag has a point a step with the log's number in
float32, and a second run adds a file of its own. accumulator: so does its data server's. bar, lines: loss, rate, time left,
learning rate, norm and scale are there as far as the terminal has room. lr: the table, the numbers and the curve of a schedule.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from xml.etree import ElementTree

from suite import Suite


def as_float(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


class Display:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "docs/examples/linear"
        self.folder = suite.folder("display")
        self.events = self.folder / "events"
        self.program = self.folder / "linear"
        self.data = ["--data", self.source / "data.npz"]
        self.run(suite.dsc, "compile", self.source / "model.onnx", "--loss=mean", "--fp16", "--initial-scale-power=8", "--force",
                 "-o", self.program)  # fmt: skip

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"
        return done.stdout

    def train(self, steps):
        log = self.folder / "run.jsonl"
        log.unlink(missing_ok=True)
        self.run(self.program, "train", *self.data, "--steps", steps, "--log", log, "--tensorboard", self.events,
                 "--eval-data", self.source / "data.npz", "--eval-every", 2, "--schedule=cosine")  # fmt: skip
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]

    def files(self):
        return sorted(self.events.glob("events.out.tfevents.*"))

    def points(self, path):
        """Tag -> [(step, number)], read by TensorBoard."""
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

        versions, points = [], {}
        for event in LegacyEventFileLoader(str(path)).Load():
            if event.file_version:
                versions.append(event.file_version)
            for value in event.summary.value:
                assert value.WhichOneof("value") == "simple_value", f"{value.tag} is no scalar"
                points.setdefault(value.tag, []).append((event.step, value.simple_value))
        assert versions == ["brain.Event:2"], f"versions {versions}"
        return points

    def scalars(self):
        for path in self.files():
            path.unlink()
        log = self.train(6)
        (path,) = self.files()
        points = self.points(path)
        steps = [event for event in log if event["event"] == "step"]
        evaluations = [event for event in log if event["event"] == "eval"]
        assert len(steps) == 6 and len(evaluations) == 3, "other events in the log"
        for group, events, names in (
            ("train", steps, ("loss", "lr", "grad_norm", "loss_scale", "skipped", "samples_per_s", "ms", "epoch")), ("eval", evaluations, ("loss",)),
        ):  # fmt: skip
            for name in names:
                wanted = [(event["step"], as_float(event[name])) for event in events]
                told = points.pop(f"{group}/{name}", None)
                assert told == wanted, f"{group}/{name}: {told} instead of {wanted}"
        assert not points, f"further tags: {sorted(points)}"
        self.train(2)
        assert len(self.files()) == 2, "a second run has no file of its own"

    def accumulator(self):
        """What TensorBoard's data server shows of the folder."""
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        if not self.files():
            self.scalars()
        accumulator = EventAccumulator(str(self.files()[0]))
        accumulator.Reload()
        assert "train/loss" in accumulator.Tags()["tensors"] + accumulator.Tags()["scalars"], accumulator.Tags()

    def terminal(self, columns, *flags):
        """What `train` writes to a terminal of so many columns, each drawing of the bar a line."""
        main, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [str(part) for part in (self.program, "train", *self.data, *flags)]
        process = subprocess.Popen(command, cwd=self.folder, stdin=other, stdout=other, stderr=subprocess.PIPE)
        os.close(other)
        text = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        os.close(main)
        error = process.stderr.read()
        assert process.wait(timeout=60) == 0, error
        return [line for line in re.split(r"\r\x1b\[K|\r?\n", text.decode()) if re.match(r"\d+/\d+ ", line)]

    def bar(self):
        last = self.terminal(160, "--steps", 5)[-1]
        assert re.match(
            r"5/5 \[#{40}\]  loss -?\d+\.\d{4}  \S+ samples/s  0:00 left  lr 0\.001  norm \S+  scale 2\^8$", last
        ), f"the last bar is {last!r}"  # fmt: skip
        for columns in (80, 40, 20):
            for line in self.terminal(columns, "--steps", 3):
                assert len(line) < columns or columns == 20, f"{len(line)} of {columns} columns: {line!r}"
                assert "loss" in line, line

    def lines(self):
        said = self.run(self.program, "train", *self.data, "--steps", 25, "--log-every", 10).splitlines()
        steps = [line for line in said if line.startswith("step ")]
        numbers = [int(re.match(r"step (\d+)/25 ", line).group(1)) for line in steps]
        assert numbers == [1, 10, 20, 25], f"lines of steps {numbers}"
        for line in steps:
            pattern = r"step \d+/25  loss -?\d+\.\d{4}  lr 0\.001  grad_norm \S+  loss_scale 2\^8  \S+ samples/s"
            assert re.fullmatch(pattern, line), line

    def learning_rates(self):
        flags = ["--steps", 40, "--schedule=linear,warmup=10", "--lr=0.5"]
        table = self.run(self.program, "lr", *flags, "-o", "curve.svg", "--force")
        assert re.search(r"^ +1  0\.05$", table, re.MULTILINE) and re.search(r"^ +40  0$", table, re.MULTILINE), table
        told = json.loads(self.run(self.program, "lr", *flags, "--json"))
        assert len(told["lr"]) == 40 and told["lr"][9] == 0.5 and told["steps"] == 40, told
        # The curve has a point an update, at its rate: the highest at the top line of the grid, the last on the axis.
        root = ElementTree.parse(self.folder / "curve.svg").getroot()
        space = "{http://www.w3.org/2000/svg}"
        line = root.find(f"{space}polyline").get("points").split()
        heights = [float(point.split(",")[1]) for point in line]
        grid = [float(each.get("y1")) for each in root.iter(f"{space}line") if each.get("y1") == each.get("y2")]
        assert len(heights) == 40 and heights[9] == min(heights) == min(grid) and heights[-1] == max(grid), heights
        assert "learning rate: linear,warmup=10" in "".join(root.itertext()), "the curve does not say which it is"


def main():
    suite = Suite(__doc__)
    display = Display(suite)
    for name in ("scalars", "accumulator", "bar", "lines", "learning_rates"):
        suite.run(name, getattr(display, name))
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
