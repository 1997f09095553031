"""The baselines that need no arithmetic: the commonest class, the mean, the last value, one rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from ..data import Sequences
from ..task import Task
from .steps import Steps, readable

Classes = tuple[np.ndarray, np.ndarray]  # codes (rows, O) and probabilities (rows, sum of class counts)


def majority(task: Task, truth: np.ndarray, rows: int) -> Classes:
    """Always answer the commonest class, with the shares as probabilities."""
    shares = [
        np.bincount(truth[:, j].astype(np.int64), minlength=len(c)) / len(truth) for j, c in enumerate(task.classes)
    ]
    codes = np.array([s.argmax() for s in shares], float)
    return np.tile(codes, (rows, 1)), np.tile(np.concatenate(shares), (rows, 1))


def mean(truth: np.ndarray, rows: int) -> np.ndarray:
    """Always answer the mean."""
    return np.tile(np.nanmean(truth, axis=0), (rows, 1))


def last_value(task: Task, seen: np.ndarray) -> np.ndarray:
    """Answer for every step to come what was seen last: (rows, O) to (rows, H, O)."""
    return np.repeat(seen[:, None], task.horizon, axis=1)


class OneRule:
    """Compare one feature with one threshold: the best such rule on all rows of `parts`.

    For a whole series the features are the mean, the last, the smallest and the largest value of each column.
    """

    def __init__(self, task: Task, parts: Sequence[tuple[Sequences, Steps]], truth: np.ndarray) -> None:
        self.task = task
        found = [self._columns(seqs, steps) for seqs, steps in parts]
        x, (_, names, flags) = np.vstack([columns for columns, _, _ in found]), found[0]
        self.rules: list[tuple[int, float, np.ndarray]] = []  # column, threshold, the classes' shares below and above
        said = []
        for j, target in enumerate(task.targets):
            codes = truth[:, j].astype(np.int64)
            tree = DecisionTreeClassifier(max_depth=1, random_state=0).fit(x, codes).tree_
            column, name = max(int(tree.feature[0]), 0), "no rule helps"
            threshold = np.inf
            if tree.node_count > 1:
                below = x[:, column] <= tree.threshold[0]
                threshold = roundest(float(x[below, column].max()), float(x[~below, column].min()))
                name = names[column] if flags[column] else f"{names[column]} > {threshold:.16g}"
            above = x[:, column] > threshold
            classes = len(task.classes[j])
            counts = np.stack([np.bincount(codes[side], minlength=classes) for side in (~above, above)])
            self.rules.append((column, threshold, counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)))
            said.append(name if len(task.targets) == 1 else f"{target}: {name}")
        self.detail = "; ".join(said)

    def _columns(self, seqs: Sequences, steps: Steps) -> tuple[np.ndarray, list[str], list[bool]]:
        x, names, flags = readable(seqs.features, steps.filled)
        if self.task.level == "step":
            return x, names, flags
        begin, end = steps.offsets[:-1], steps.offsets[1:]
        counts = np.diff(steps.offsets)[:, None]
        views = {
            "mean": np.add.reduceat(x, begin) / counts,
            "last": x[end - 1],
            "smallest": np.minimum.reduceat(x, begin),
            "largest": np.maximum.reduceat(x, begin),
        }
        return (
            np.hstack(list(views.values())),
            [f"{view} {n}" for view in views for n in names],
            [False] * 4 * len(names),
        )

    def predict(self, seqs: Sequences, steps: Steps) -> Classes:
        """Return the codes and probabilities of each row or series."""
        x = self._columns(seqs, steps)[0]
        chances = [shares[(x[:, column] > threshold).astype(np.int64)] for column, threshold, shares in self.rules]
        return np.stack([c.argmax(axis=1) for c in chances], axis=1).astype(float), np.hstack(chances)


def roundest(low: float, high: float) -> float:
    """Return the number of fewest digits in the middle half of the gap from `low` to `high`.

    Examples
    --------
    >>> roundest(364.5, 377.75)
    370.0
    """
    middle, quarter = (low + high) / 2, (high - low) / 4
    rounded = (float(f"{middle:.{digits}g}") for digits in range(1, 17))
    return next((r for r in rounded if abs(r - middle) <= quarter), middle)
