"""The online model of a run behind three words: answer, learn, forget; labels are numbers or codes on this side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..errors import OptionError
from ..task import Task
from .memory import Waiting


class Model(Protocol):
    """What is asked of an online model (`online.Online`)."""

    def predict_one(self, x: Any, dt: float = 1.0, *, key: Any = None) -> Any: ...

    def predict_proba_one(self, x: Any, dt: float = 1.0, *, key: Any = None) -> dict[Any, float]: ...

    def learn_one(self, x: Any, y: Any, dt: float = 1.0, *, key: Any = None) -> None: ...

    def reset(self, key: Any = None) -> None: ...

    def save(self, folder: Any) -> None: ...


class Answer(NamedTuple):
    """An answer as numbers or codes (N,), and as the values of a prediction's columns."""

    values: np.ndarray
    shown: tuple[Any, ...]


class Learner:
    """Answer and teach a model.

    Parameters
    ----------
    model : Model
        Learns one sample at a time, with a state for each series.
    task : Task
        About each step.

    Raises
    ------
    OptionError
        For a task that a stream cannot ask: about whole series, or about several classes at once.
    """

    def __init__(self, model: Model, task: Task) -> None:
        if task.level == "series":
            raise OptionError(f"`run` must answer at each step to be streamed; its task is {task.kind!r}.")
        if task.classifies and len(task.targets) > 1:
            raise OptionError(f"`run` must have one target of classes to be streamed; got {', '.join(task.targets)}.")
        self.model, self.task = model, task
        self._codes = {label: code for code, label in enumerate(task.classes[0])} if task.classifies else {}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a prediction's columns, as `liquid predict` has them; for classes, beside a probability."""
        task = self.task
        if task.classifies:
            return ("prediction", "probability")
        several, far = len(task.targets) > 1, task.horizon > 1
        return tuple(
            "prediction" + (f"_{target}" if several or far else "") + (f"_h{h + 1}" if far else "")
            for h in range(task.horizon)
            for target in task.targets
        )

    def answer(self, x: Mapping[str, Any], dt: float, series: str) -> Answer:
        """Let a sample arrive and answer it."""
        if self.task.classifies:
            chances = self.model.predict_proba_one(x, dt, key=series)
            label = max(chances, key=lambda k: chances[k])
            return Answer(np.array([float(self._codes[label])]), (label, chances[label]))
        found = self.model.predict_one(x, dt, key=series)
        if isinstance(found, Mapping):
            found = [found[name] for name in self.task.targets]
        values = np.array(found, np.float64).reshape(-1)
        return Answer(values, tuple(values.tolist()))

    def learn(self, x: Mapping[str, Any], y: np.ndarray, series: str) -> None:
        """Teach a sample that has arrived its truth, as codes or numbers (N,), NaN where it is not known."""
        if self.task.classifies:
            label: Any = self.task.classes[0][int(y[0])]
        elif self.task.horizon > 1:
            label = y.reshape(self.task.horizon, -1)
        else:
            label = dict(zip(self.task.targets, y.tolist(), strict=True)) if len(y) > 1 else float(y[0])
        self.model.learn_one(x, label, key=series)

    def pass_over(self, x: Mapping[str, Any], series: str) -> None:
        """Let go of a sample whose truth will not come."""
        self.model.learn_one(x, None, key=series)

    def forget(self, series: str) -> None:
        """Let go of the state of a series."""
        self.model.reset(series)

    def recognise(self, waiting: Iterable[tuple[str, Waiting]]) -> None:
        """Tell a restored model, in the order of arrival, which objects are the samples that wait in it.

        Of two equal samples a label then finds its own, as it would have if there had been no restart.
        """
        tracks = getattr(self.model, "tracks", None)
        if tracks is None:  # a model that tells samples by their values alone
            return
        rows = {key: iter(track.pending) for key, track in tracks.items()}
        for series, found in waiting:
            next(rows[series]).x = found.x

    def save(self, folder: Path) -> None:
        """Write all of the model."""
        self.model.save(folder)
