"""What a network takes from its training data before it is trained: scales, gaps, time constants."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..data.sequences import Sequences
from ..errors import DataError
from ..task import Task, ahead

REGULAR = 1e-3  # dt that varies by less, as a fraction of its median, is a clock's jitter


class Scaling(NamedTuple):
    """Mean and scale of columns; the scale of a column that never changes is 1."""

    mean: np.ndarray
    scale: np.ndarray


def scaling(columns: np.ndarray) -> Scaling:
    """Return the mean and standard deviation of each column, of the values that are there.

    Examples
    --------
    >>> scaling(np.array([[1.0, 7.0], [3.0, np.nan]]))
    Scaling(mean=array([2., 7.]), scale=array([1., 1.]))
    """
    there = ~np.isnan(columns)
    count = np.maximum(there.sum(axis=0), 1)
    mean = np.where(there, columns, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, columns - mean, 0.0) ** 2).sum(axis=0) / count)
    return Scaling(mean, np.where(spread > 1e-9 * np.abs(mean), spread, 1.0))


def irregular(seqs: Sequences) -> bool:
    """Return whether time between rows varies by more than a clock's jitter."""
    return bool(np.ptp(seqs.dt) > REGULAR * seqs.median_dt)


def inputs(seqs: Sequences, horizon: int) -> np.ndarray:
    """Return what a network reads at each row: the features, and for `horizon` H > 0 the H gaps to the rows asked for.

    Parameters
    ----------
    seqs : Sequences
        The data.
    horizon : int, at least 0
        The network's `ahead`: how many rows ahead the gaps are wanted; 0 for none.

    Returns
    -------
    (rows, F + H) float64
        A gap is the time from this row to the row asked for, in `seqs.unit`. Where the series has ended by then,
        each row that is not there is taken to be `median_dt` after the one before.
    """
    if not horizon:
        return seqs.values
    end = np.repeat(seqs.offsets[1:], seqs.lengths)
    at = np.arange(seqs.rows)
    gaps, elapsed = [], np.zeros(seqs.rows)
    for h in range(1, horizon + 1):
        there = at + h < end
        elapsed = elapsed + np.where(there, seqs.dt[np.minimum(at + h, seqs.rows - 1)], seqs.median_dt)
        gaps.append(elapsed)
    return np.column_stack([seqs.values, *gaps])


def target_columns(seqs: Sequences, task: Task) -> tuple[int, ...]:
    """Return the columns of the features that a forecast foretells."""
    names = [f.name for f in seqs.features]
    lost = [name for name in task.targets if name not in names]
    if lost:
        raise DataError(
            f"`features` must hold the targets of a forecast; got no {lost[0]!r}. "
            "Read the data with forecast=True, so that the past of the target is known."
        )
    return tuple(names.index(name) for name in task.targets)


def answer_scaling(seqs: Sequences, task: Task) -> Scaling:
    """Return mean and scale of each number of a network's answer (task.outputs,), from the training data.

    Numbers: of the targets. Forecasts: of the change since the value last seen; the mean of a quantile is that
    quantile of the change. Classes: the mean is the log of the class's share, so that the first answer is that share.
    """
    if seqs.target is None:
        raise DataError("`target` must be in the training data; it is missing.")
    if task.classifies:
        shares = []
        for j, classes in enumerate(task.classes):
            codes = seqs.target[:, j]
            count = 1.0 + np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=len(classes))
            shares.append(np.log(count / count.sum()))
        return Scaling(np.concatenate(shares), np.ones(task.outputs))
    if task.kind != "forecast":
        return scaling(seqs.target)
    change = ahead(seqs, task.horizon)[0] - last_seen(seqs, target_columns(seqs, task))[:, None, :]
    if np.isnan(change).all(axis=0).any():
        raise DataError("`target` must be seen twice in some series, to learn its change; it never is.")
    point = scaling(change.reshape(len(change), -1))
    means = [point.mean.reshape(change.shape[1:])]
    means += [np.nanquantile(change, q, axis=0) for q in task.quantiles]
    scale = np.repeat(point.scale, len(means))
    return Scaling(np.stack(means, axis=-1).ravel(), scale)


def with_slope(answer: Scaling) -> Scaling:
    """Put beside each change its slope over the gap, which starts at 0 and is as large."""
    return Scaling(np.append(answer.mean, 0 * answer.mean), np.append(answer.scale, answer.scale))


def last_seen(seqs: Sequences, columns: tuple[int, ...]) -> np.ndarray:
    """Return the value last seen in these columns (rows, len(columns)); NaN before the first."""
    values = seqs.values[:, columns]
    at = np.where(np.isnan(values), -1, np.arange(seqs.rows)[:, None])
    at = np.maximum.accumulate(at, axis=0)
    first = np.repeat(seqs.offsets[:-1], seqs.lengths)[:, None]
    found = np.take_along_axis(values, np.maximum(at, 0), axis=0)
    return np.where(at >= first, found, np.nan)


def tau_range(seqs: Sequences) -> tuple[float, float]:
    """Return the time constants the data can show: from its 5 % smallest dt to the span of its median series."""
    low = float(np.quantile(seqs.dt, 0.05))
    spans = np.add.reduceat(seqs.dt, seqs.offsets[:-1])
    return low, max(float(np.median(spans)), 10.0 * low)
