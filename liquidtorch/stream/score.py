"""The running score of answers given before the truth was known, beside that of saying what was last true."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..task import Task
from .memory import SERIES

SUMS = ("count", "total", "recent_count", "recent_total", "same_count", "same_total")
RECENT = 1000  # records after which an old one weighs 1/e in the recent score
FADE = math.exp(-1 / RECENT)


class Score:
    """Add up prequential errors: each answer was given before its truth taught.

    Parameters
    ----------
    task : Task
        Accuracy for classes, RMSE for numbers; over all targets together.

    Examples
    --------
    >>> score = Score(Task("regress_steps", ("y",)))
    >>> score.add(np.array([1.0]), np.array([3.0]), None)
    >>> score.value
    2.0
    """

    def __init__(self, task: Task) -> None:
        self.classifies, self.metric = task.classifies, task.metric
        self.sums: dict[str, float] = dict.fromkeys(SUMS, 0.0)
        self._last: OrderedDict[str, np.ndarray] = OrderedDict()

    def last(self, series: str) -> np.ndarray | None:
        """Return the truth last heard of a series (O,)."""
        return self._last.get(series)

    def heard(self, series: str, truth: np.ndarray) -> None:
        """Remember the truth last heard of a series; what it does not tell stays as it was."""
        before = self._last.get(series)
        self._last[series] = truth if before is None else np.where(np.isnan(truth), before, truth)
        self._last.move_to_end(series)
        if len(self._last) > SERIES:
            self._last.popitem(last=False)

    def add(self, truth: np.ndarray, answer: np.ndarray, unchanged: np.ndarray | None) -> None:
        """Count one answer (O,) and what no change would have said; NaN in the truth is left out."""
        sums = self.sums
        count, total = self._sum(truth, answer)
        sums["count"] += count
        sums["total"] += total
        sums["recent_count"] = FADE * sums["recent_count"] + count
        sums["recent_total"] = FADE * sums["recent_total"] + total
        if unchanged is not None:
            count, total = self._sum(np.where(np.isnan(unchanged), np.nan, truth), unchanged)
            sums["same_count"] += count
            sums["same_total"] += total

    def _sum(self, truth: np.ndarray, answer: np.ndarray) -> tuple[int, float]:
        """Return how many of the targets are known, and the hits or squared errors; in plain Python, for O is small."""
        count, total = 0, 0.0
        for t, a in zip(truth.tolist(), answer.tolist(), strict=True):
            if t == t:
                count += 1
                total += (t == a) if self.classifies else (t - a) * (t - a)
        return count, total

    @property
    def value(self) -> float | None:
        """The score of all that was answered and became known, or None where nothing did."""
        return self._mean("total", "count")

    @property
    def recent(self) -> float | None:
        """The score in which older answers count less and less."""
        return self._mean("recent_total", "recent_count")

    @property
    def unchanged(self) -> float | None:
        """The score of saying for each record what was last heard of its series."""
        return self._mean("same_total", "same_count")

    def _mean(self, total: str, count: str) -> float | None:
        if not self.sums[count]:
            return None
        mean = self.sums[total] / self.sums[count]
        return mean if self.classifies else math.sqrt(mean)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON in which numbers may be NaN."""
        return {"sums": self.sums, "last": [[name, truth.tolist()] for name, truth in self._last.items()]}

    def restore(self, found: Mapping[str, Any]) -> None:
        """Become what `to_json` was told of."""
        self.sums = dict(found["sums"])
        self._last = OrderedDict((name, np.array(truth, np.float64)) for name, truth in found["last"])


def shown(value: float | None, metric: str) -> str:
    """Return a score as people read it."""
    if value is None:
        return "-"
    return f"{value:.2%}" if metric == "accuracy" else f"{value:.5g}"
