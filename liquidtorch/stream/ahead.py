"""The labels of a forecast: the values of the rows that follow."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..task import Task
from .memory import Waiting


class Ahead:
    """Hold the last H samples of each series until the values they foretold are known.

    Parameters
    ----------
    task : Task
        A forecast of O targets, H steps ahead.

    Examples
    --------
    >>> ahead = Ahead(Task("forecast", ("x",), horizon=2))
    >>> sample = Waiting({"x": 1.0}, np.zeros(2), None)
    >>> ahead.put("a", sample)
    >>> [ahead.heard("a", {"x": value}) for value in (2.0, 3.0)][1][1].tolist()
    [2.0, 3.0]
    """

    def __init__(self, task: Task) -> None:
        self.targets, self.horizon = task.targets, task.horizon
        self._samples: OrderedDict[str, deque[Waiting]] = OrderedDict()
        self._values: dict[str, deque[np.ndarray]] = {}

    def values(self, x: Mapping[str, Any]) -> np.ndarray:
        """Return the targets among the features of a sample (O,), NaN where missing."""
        return np.array([np.nan if (v := x[name]) is None else float(v) for name in self.targets])

    def unchanged(self, x: Mapping[str, Any]) -> np.ndarray:
        """Return the forecast that nothing changes (H*O,)."""
        return np.tile(self.values(x), self.horizon)

    def heard(self, series: str, x: Mapping[str, Any]) -> tuple[Waiting, np.ndarray] | None:
        """Take the values of a row; return the sample, H rows ago, all of whose truth (H*O,) is known now."""
        samples = self._samples.get(series)
        if samples is None:
            return None
        values = self._values[series]
        values.append(self.values(x))
        if len(values) < self.horizon:
            return None
        truth = np.concatenate(values)
        values.popleft()
        return samples.popleft(), truth

    def put(self, series: str, sample: Waiting) -> None:
        """Hold a sample that has just been answered."""
        if series not in self._samples:
            self._samples[series], self._values[series] = deque(), deque()
        self._samples[series].append(sample)

    def forget(self, series: str) -> None:
        """Let go of a series."""
        self._samples.pop(series, None)
        self._values.pop(series, None)

    def waiting(self) -> Iterator[tuple[str, Waiting]]:
        """Return the samples held, with their series, in the order of their arrival."""
        return ((series, sample) for series, samples in self._samples.items() for sample in samples)

    def to_json(self) -> list[Any]:
        """Return all of it as JSON in which numbers may be NaN."""
        return [
            [series, [sample.to_json() for sample in samples], [v.tolist() for v in self._values[series]]]
            for series, samples in self._samples.items()
        ]

    def restore(self, found: list[Any]) -> None:
        """Become what `to_json` was told of."""
        self._samples = OrderedDict((series, deque(map(Waiting.from_json, samples))) for series, samples, _ in found)
        self._values = {series: deque(np.array(v, np.float64) for v in values) for series, _, values in found}
