"""--tensorboard DIR: TensorBoard's own reader finds in its event files what the log says.

The linear example is trained with --log and --tensorboard and evaluated on the way; each tag has a point a step with the log's number in
float32, and a second run adds a file of its own.
"""

import json
import struct
import subprocess
import sys

from suite import Suite


def as_float(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


class TensorBoard:
    def __init__(self, suite):
        self.suite = suite
        self.source = suite.root / "docs/examples/linear"
        self.folder = suite.folder("tensorboard")
        self.events = self.folder / "events"

    def run(self, *command):
        done = subprocess.run([str(part) for part in command], cwd=self.folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"exit code {done.returncode} of `{' '.join(map(str, command))}`:\n{done.stderr[-1500:]}"

    def train(self, steps):
        log = self.folder / "run.jsonl"
        log.unlink(missing_ok=True)
        self.run(self.folder / "linear", "train", "--data", self.source / "data.npz", "--steps", steps, "--log", log, "--tensorboard", self.events,
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
        self.run(self.suite.dsc, "compile", self.source / "model.onnx", "--loss=mean", "--fp16", "--force", "-o", self.folder / "linear")
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


def main():
    suite = Suite(__doc__)
    board = TensorBoard(suite)
    suite.run("scalars", board.scalars)
    suite.run("accumulator", board.accumulator)
    return suite.finish()


if __name__ == "__main__":
    sys.exit(main())
