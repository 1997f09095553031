"""A small learner to stream with, and a program that streams with it: every record that is lost or learned twice shows.

`python stream_subject.py FOLDER SOURCE [name=value ...]` runs the service of `liquid stream` around it, without torch.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from liquidtorch.stream import _ends
from liquidtorch.stream.checkpoint import Checkpoints, alone
from liquidtorch.stream.learner import Learner
from liquidtorch.stream.options import Options
from liquidtorch.stream.sample import Reader
from liquidtorch.stream.service import Service
from liquidtorch.stream.signals import Stop
from liquidtorch.task import Task

SCHEMA: dict[str, Any] = {
    "features": [{"name": name, "kind": "numeric", "vocabulary": []} for name in ("a", "b")],
    "targets": [{"name": "y", "kind": "numeric", "vocabulary": []}],
    "level": "step",
    "series": "id",
    "time": "t",
    "unit": "s",
    "median_dt": 1.0,
}
TASK = Task("regress_steps", ("y",))


class Leaky:
    """y = w . h, h a leaky mean of the inputs of a series, w by normalised least mean squares; late labels too."""

    def __init__(self, delay: float = 0.0) -> None:
        self.w = [0.0, 0.0, 0.0]
        self.h: dict[str, list[float]] = {}
        self.pending: dict[str, list[tuple[dict[str, Any], list[float]]]] = {}
        self.delay = delay

    def predict_one(self, x: dict[str, Any], dt: float = 1.0, *, key: Any = None) -> float:
        time.sleep(self.delay)
        h = self.h.get(key, [0.0, 0.0])
        keep = 0.5**dt
        h = [keep * old + (1 - keep) * (x[name] or 0.0) for old, name in zip(h, "ab", strict=True)]
        self.h[key] = h
        self.pending.setdefault(key, []).append((dict(x), [*h, 1.0]))
        return sum(w * v for w, v in zip(self.w, [*h, 1.0], strict=True))

    def learn_one(self, x: dict[str, Any], y: float | None, dt: float = 1.0, *, key: Any = None) -> None:
        at = next(i for i, (held, _) in enumerate(self.pending[key]) if held == x)
        _, z = self.pending[key].pop(at)
        if y is not None:
            error = y - sum(w * v for w, v in zip(self.w, z, strict=True))
            rate = 0.1 / (0.1 + sum(v * v for v in z))
            self.w = [w + rate * error * v for w, v in zip(self.w, z, strict=True)]

    def reset(self, key: Any = None) -> None:
        self.h.pop(key, None)
        self.pending.pop(key, None)

    def state(self) -> dict[str, Any]:
        return {"w": self.w, "h": self.h, "pending": self.pending}

    def save(self, folder: Path) -> None:
        folder.mkdir()
        (folder / "leaky.json").write_text(json.dumps(self.state()))

    def load(self, folder: Path) -> None:
        found = json.loads((folder / "leaky.json").read_text())
        self.w, self.h = found["w"], found["h"]
        self.pending = {key: [(x, z) for x, z in held] for key, held in found["pending"].items()}


def service(folder: Path, source: str, model: Leaky, options: Options, say: Any = print) -> Service:
    """Make the service around the small learner, with the last checkpoint taken up."""
    reader, learner = Reader(SCHEMA), Learner(model, TASK)  # type: ignore[arg-type]
    ends = _ends(source, options, reader.needed, ["id", "t", *learner.columns], folder, say)
    made = Service(reader, learner, *ends, folder, options, say)
    found = Checkpoints(folder).newest()
    if found is not None:
        model.load(found[0] / "model")
        made.restore(found[1])
    return made


def learned(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the newest checkpoint says was learned: the model, and counts and score."""
    found = Checkpoints(folder).newest()
    assert found is not None
    model = json.loads((found[0] / "model" / "leaky.json").read_text())
    return model, {"counts": found[1]["counts"], "sums": found[1]["score"]["sums"]}


def main(folder: str, source: str, *given: str) -> None:
    """Stream until there is no more, or a signal comes."""
    named = dict(text.split("=", 1) for text in given)
    kinds = {"every": float, "records": int, "waiting": int, "largest": int}
    model = Leaky(float(named.pop("delay", 0)))
    options = Options(**{k: kinds.get(k, str)(v) for k, v in named.items()})
    with Stop() as stop, alone(Path(folder)):
        made = service(Path(folder), source, model, options, lambda text: print(text, file=sys.stderr, flush=True))
        print("kept", made.run(stop), stop.asked, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
