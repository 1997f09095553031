"""Prequential evaluation: every sample first asks, then teaches; controls beside, what change costs, and how long."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import DataError, check_range
from ..readout import RLS, OnlineLogistic
from .channels import Channels
from .inputs import known
from .targets import Classes

RECOVERED = 0.95  # of how good it was before


@dataclass(frozen=True)
class Evaluation:
    """What a model did on a stream.

    Parameters
    ----------
    samples : int
        Those with a label.
    metric : "accuracy" or "rmse"
        Of the windows and the recovery.
    scores : dict of dicts
        For "model", "no change" (the last label known) and "memoryless" (logistic or linear on the channels of the
        sample alone): accuracy, kappa and kappa_temporal; or rmse, mae, nrmse (over the standard deviation of the
        labels) and skill (1 - mse / mse of no change).
    window : int
    windows : dict of lists
        The metric of each in every window of so many samples.
    recovery : list of {"at", "steps"}
        For each change, how many samples it took until the metric, over a fifth of a window, was within 95 % of what it
        was in the window before; None if that did not happen before the next.
    latency : dict
        In microseconds, p50 and p99 of "predict" and of "learn", as called from Python.
    bytes : int or None
        Of the model.
    """

    samples: int
    metric: str
    scores: dict[str, dict[str, float]]
    window: int
    windows: dict[str, list[float]]
    recovery: list[dict[str, int | None]]
    latency: dict[str, dict[str, float]]
    bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON values; what is not known is None."""
        return _plain(asdict(self))

    def __str__(self) -> str:
        """Say it in a table."""
        names = list(self.scores["model"])
        lines = [f"{self.samples} samples".ljust(16) + "".join(name.rjust(16) for name in names)]
        lines += [
            who.ljust(16) + "".join(f"{found[name]:.4f}".rjust(16) for name in names)
            for who, found in self.scores.items()
        ]
        lines += [
            f"{what}: {found['p50']:.0f} us (p50), {found['p99']:.0f} us (p99)" for what, found in self.latency.items()
        ]
        if self.bytes is not None:
            lines.append(f"model: {self.bytes} bytes")
        for found in self.recovery:
            took = "not recovered" if found["steps"] is None else f"recovered after {found['steps']} samples"
            lines.append(f"change at {found['at']}: {took}")
        return "\n".join(lines)


def evaluate(
    model: Any,
    stream: Iterable[Sequence[Any]],
    *,
    window: int = 1000,
    delay: int = 0,
    drifts: Sequence[int] | None = None,
    classes: bool | None = None,
) -> Evaluation:
    """Let a model answer and then learn every sample of a stream, and tell how it did.

    Parameters
    ----------
    model : Online, or any with `predict_one` and `learn_one`
        It goes on learning: give a copy to keep it as it is.
    stream : iterable of (x, y) or (x, y, dt)
        A label that is None or NaN is neither scored nor learned.
    window : int, at least 5
        Samples a window.
    delay : int, at least 0
        How many samples late the labels come, also for the controls.
    drifts : sequence of int, optional
        At which samples the stream changes; left out, where the model says (`model.drifts`), if it does.
    classes : bool, optional
        Whether labels are classes; left out, as the model says (`model.classes`), or else the first label: text, or
        True and False, are.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If there is no label.

    Notes
    -----
    Kappa is above chance given how often each class is said, (a - p) / (1 - p); kappa_temporal above saying the last
    class again: (a - n) / (1 - n) (Zliobaite et al. 2015, section 3).

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> from liquidtorch.online import Online, evaluate
    >>> stream = [({"a": math.sin(t / 5)}, math.sin((t + 3) / 5)) for t in range(500)]
    >>> found = evaluate(Online(EchoState(1, 20, seed=1)), stream, window=100)
    >>> found.scores["model"]["rmse"] < found.scores["no change"]["rmse"]
    True
    """
    window = check_range("window", window, 5, whole=True)
    delay = check_range("delay", delay, 0, whole=True)
    if classes is None and hasattr(model, "classes"):
        classes = model.classes is not None
    before = getattr(model, "seen", 0)  # samples that were not of this stream
    answers: dict[str, list[Any]] = {"model": [], "no change": [], "memoryless": []}
    truth: list[Any] = []
    clock: dict[str, list[int]] = {"predict": [], "learn": []}
    waiting: deque[tuple[Any, Any, Any, tuple[Any, ...]]] = deque()
    control: Memoryless | None = None
    last: Any = None

    def teach() -> None:
        nonlocal last
        x, y, u, step = waiting.popleft()
        start = time.perf_counter_ns()
        model.learn_one(x, y, *step)
        clock["learn"].append(time.perf_counter_ns() - start)
        if control is not None and not _gap(y):
            control.learn(u, y)
            last = y

    for x, y, *step in stream:
        if not _gap(y):
            classes = isinstance(y, str | bool | np.bool_) if classes is None else classes
            control = Memoryless(classes) if control is None else control
        start = time.perf_counter_ns()
        told = model.predict_one(x, *step)
        clock["predict"].append(time.perf_counter_ns() - start)
        u = None if control is None else control.read(x)
        if not _gap(y) and control is not None:
            truth.append(y)
            for name, answer in (("model", told), ("no change", last), ("memoryless", control.predict(u))):
                answers[name].append(answer)
        waiting.append((x, y, u, tuple(step)))
        if len(waiting) > delay:
            teach()
    while waiting:
        teach()
    if not truth:
        raise DataError("`stream` must hold a label; got none.")
    classes = bool(classes)
    losses = {name: _losses(truth, found, classes) for name, found in answers.items()}
    scores = {name: _scores(truth, found, losses, name, classes) for name, found in answers.items()}
    if drifts is None:
        drifts = [at - before for at in getattr(model, "drifts", ()) if at > before]
    changes = [at for at in drifts if at < len(truth)]
    return Evaluation(
        samples=len(truth),
        metric="accuracy" if classes else "rmse",
        scores=scores,
        window=window,
        windows={name: [_metric(part, classes) for part in _cut(found, window)] for name, found in losses.items()},
        recovery=[
            {"at": at, "steps": _recovery(losses["model"], at, end, window, classes)}
            for at, end in zip(changes, [*changes, len(truth)][1:], strict=True)
        ],
        latency={
            what: {f"p{p}": float(np.percentile(found, p)) / 1000 for p in (50, 99)} for what, found in clock.items()
        },
        bytes=getattr(model, "bytes", getattr(model, "_raw_memory_usage", None)),
    )


class Memoryless:
    """Answer from the present sample alone, by the same readouts on the same channels: what a state is worth beyond.

    Parameters
    ----------
    classes : bool
        Logistic regression; else least squares.
    """

    def __init__(self, classes: bool) -> None:
        self.channels = Channels(8)
        self.targets = Classes() if classes else None
        self.readout: Any = OnlineLogistic(8, 2) if classes else RLS(8, 1)

    def read(self, x: Any) -> np.ndarray:
        """Return the channels of a sample."""
        row = known(x, None)
        u = self.channels.read({k: v for k, v in row.items() if not isinstance(v, str)})
        more = len(u) - self.readout.features
        if more:
            self.readout.widen(len(u))
            for slot in range(len(u) - more, len(u)):
                self.readout.open(slot)
        return u

    def predict(self, u: np.ndarray | None) -> Any:
        """Return the answer for channels."""
        if u is None or (self.targets is not None and len(self.targets.labels) < 2):
            return self.targets.labels[0] if self.targets is not None and self.targets.labels else None
        told = self.readout.predict(self._padded(u))
        return float(told[0]) if self.targets is None else self.targets.decode(told)

    def learn(self, u: np.ndarray | None, y: Any) -> None:
        """Learn a label."""
        if u is None:
            return
        if self.targets is None:
            self.readout.learn(self._padded(u), np.array([float(y)]))
            return
        code = self.targets.encode(y)
        while self.readout.classes < len(self.targets.labels):
            self.readout.add_class()
        self.readout.learn(self._padded(u), code)

    def _padded(self, u: np.ndarray) -> np.ndarray:
        return np.concatenate((u, np.zeros(self.readout.features - len(u))))


def _gap(y: Any) -> bool:
    return y is None or y != y


def _losses(truth: Sequence[Any], answers: Sequence[Any], classes: bool) -> np.ndarray:
    """Return whether each was wrong, or its error; an answer that is None is wrong, or 0."""
    if classes:
        return np.array([t != a for t, a in zip(truth, answers, strict=True)], dtype=np.float64)
    return np.array([float(t) - (0.0 if a is None else float(a)) for t, a in zip(truth, answers, strict=True)])


def _metric(losses: np.ndarray, classes: bool) -> float:
    return 1 - float(losses.mean()) if classes else math.sqrt(float((losses**2).mean()))


def _scores(
    truth: Sequence[Any], answers: Sequence[Any], losses: dict[str, np.ndarray], name: str, classes: bool
) -> dict[str, float]:  # fmt: skip
    mine, still = losses[name], losses["no change"]
    if classes:
        accuracy, unchanged = _metric(mine, True), _metric(still, True)
        right, said = Counter(truth), Counter(answers)
        chance = sum(count * said[label] for label, count in right.items()) / len(truth) ** 2
        return {
            "accuracy": accuracy,
            "kappa": _share(accuracy - chance, 1 - chance),
            "kappa_temporal": _share(accuracy - unchanged, 1 - unchanged),
        }
    rmse = _metric(mine, False)
    spread = float(np.std(np.array([float(t) for t in truth])))
    return {
        "rmse": rmse,
        "mae": float(np.abs(mine).mean()),
        "nrmse": _share(rmse, spread),
        "skill": 1 - _share(rmse**2, _metric(still, False) ** 2),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _cut(losses: np.ndarray, window: int) -> list[np.ndarray]:
    return [losses[i : i + window] for i in range(0, len(losses), window)]


def _recovery(losses: np.ndarray, at: int, end: int, window: int, classes: bool) -> int | None:
    """Return after how many samples the metric over the last of them is what it was, nearly; None if never."""
    before = losses[max(0, at - window) : at]
    short = window // 5
    if not len(before):
        return None
    was = _metric(before, classes)
    for stop in range(at + short, end + 1):
        now = _metric(losses[stop - short : stop], classes)
        if now >= RECOVERED * was if classes else now <= was / RECOVERED:
            return stop - at
    return None


def _plain(found: Any) -> Any:
    if isinstance(found, dict):
        return {k: _plain(v) for k, v in found.items()}
    if isinstance(found, list):
        return [_plain(v) for v in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
