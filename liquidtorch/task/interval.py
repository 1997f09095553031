"""How sure a score is: whole series, or blocks of rows, drawn again and again."""

from __future__ import annotations

import numpy as np

from ..errors import DataError, check_shape
from .kind import Task

FEW = 20  # groups; below this they are cut into blocks, so that there is something to draw from
MANY = 1000  # groups; above this neighbours are drawn together, which costs no truth and bounds the memory
DRAWS = 1000


def bootstrap(
    task: Task,
    truth: np.ndarray,
    prediction: np.ndarray,
    groups: np.ndarray,
    other: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of `task.metric`, or of its difference to that of `other`.

    Rows of one series lean on each other, so whole series are drawn with replacement. Fewer than 20 series are
    each cut into contiguous blocks, about 40 in all; of more than 1000, neighbours are drawn together.

    Parameters
    ----------
    task : Task
        What was asked; its metric is what is drawn.
    truth, prediction : (N, O), (rows, O) or (rows, H, O)
        As for `score`; rows in the order of time within each series.
    groups : (N,) or (rows,) int
        The series each row belongs to.
    other : array of the shape of `prediction`, or None
        Another answer; the interval is then that of score(prediction) - score(other).
    seed : int
        Fixes the draws.

    Returns
    -------
    (low, high) : float
        The 2.5 % and 97.5 % quantiles over 1000 draws.

    Notes
    -----
    Blocks shorter than the errors' own memory give an interval that is too narrow.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> truth = np.zeros((4000, 1))
    >>> low, high = bootstrap(Task("regress_steps", ("y",)), truth, rng.normal(size=(4000, 1)), np.arange(4000) // 40)
    >>> bool(0.95 < low < 1 < high < 1.05)
    True
    """
    truth = np.asarray(truth, np.float64)
    groups = np.asarray(groups)
    check_shape("groups", groups.shape, ("rows",), rows=len(truth))
    block = _blocks(groups)
    draws = np.random.default_rng(seed)
    count = int(block.max()) + 1
    times = draws.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(
        np.float64
    )  # how often each is drawn
    found = _drawn(task, truth, np.asarray(prediction, np.float64), block, times)
    if other is not None:
        found = found - _drawn(task, truth, np.asarray(other, np.float64), block, times)
    found = found[np.isfinite(found)]
    if not len(found):
        raise DataError("`truth` must hold a value somewhere; every entry is missing.")
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _blocks(groups: np.ndarray) -> np.ndarray:
    """Return the number of the block each row belongs to, from 0."""
    _, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    number = number.reshape(-1)
    if len(sizes) > MANY:
        return number * MANY // len(sizes)
    if len(sizes) >= FEW:
        return number
    length = max(1, int(np.ceil(len(groups) / (2 * FEW))))
    order = np.argsort(number, kind="stable")
    place = np.empty(len(groups), np.int64)  # the row's place within its series
    place[order] = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    pieces = -(-sizes // length)
    within = place * pieces[number] // sizes[number]
    return (np.cumsum(pieces) - pieces)[number] + within


def _drawn(task: Task, truth: np.ndarray, answer: np.ndarray, block: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the metric of each draw (DRAWS,)."""
    check_shape(
        "prediction",
        answer.shape,
        tuple(f"axis {k}" for k in range(truth.ndim)),
        **{f"axis {k}": n for k, n in enumerate(truth.shape)},
    )
    kept = ~np.isnan(truth)
    gain = np.where(kept, truth == answer if task.classifies else (truth - answer) ** 2, 0.0)
    axes = tuple(range(1, truth.ndim - 1))
    gain, weight = gain.sum(axis=axes), kept.sum(axis=axes)  # (rows, O)
    count = times.shape[1]
    sums = [
        np.stack([np.bincount(block, part[:, j], minlength=count) for j in range(part.shape[1])], axis=1)
        for part in (gain, weight)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        if task.classifies:
            return (times @ sums[0] / (times @ sums[1])).mean(axis=1)
        return np.sqrt((times @ sums[0].sum(axis=1)) / (times @ sums[1].sum(axis=1)))
