"""Series laid flat on the device, and batches of them gathered by row number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..data.sequences import Sequences
from ..model.measure import inputs
from ..task import Task, ahead

POOL = 16  # batches sorted by length together: little padding, still mixed


class Batch(NamedTuple):
    """Some pieces of series, padded to the longest."""

    x: Tensor  # (B, T, F); rows beyond a piece's end repeat some other row: `lengths` hides them
    dt: Tensor  # (B, T)
    lengths: Tensor  # (B,)
    ends: Tensor  # (B,) whether the piece ends in this part of it
    truth: Tensor | None  # step: (B, T, O) or (B, T, H, O), NaN beyond the end; series: (B, O)

    def chunks(self, steps: int | None) -> Iterator[Batch]:
        """Cut along time into parts of `steps`; None: the whole."""
        T = self.x.shape[1]
        steps = steps or T
        per_step = self.truth is not None and self.truth.ndim > 2
        for begin in range(0, T, steps):
            part = slice(begin, begin + steps)
            truth = self.truth[:, part] if per_step and self.truth is not None else self.truth
            left = self.lengths - begin
            ends = (left > 0) & (left <= steps)
            yield Batch(self.x[:, part], self.dt[:, part], left.clamp(0, min(steps, T - begin)), ends, truth)


class Pieces(NamedTuple):
    """Pieces of series by their rows: the first, how many, and the series they are of."""

    first: np.ndarray
    count: np.ndarray
    series: np.ndarray


class Rows:
    """Hold the rows of `Sequences` as tensors, and gather batches of pieces from them.

    Parameters
    ----------
    seqs : Sequences
        The data; without a target there is no truth in the batches.
    task : Task
        Says what the truth is.
    like : Tensor
        Its dtype and device are taken.
    gaps : int
        The network's `ahead`: the number of columns that say how far ahead the asked rows lie.
    """

    def __init__(self, seqs: Sequences, task: Task, like: Tensor, gaps: int) -> None:
        self.level = task.level
        self.offsets, self.lengths = seqs.offsets, seqs.lengths
        self.x = _tensor(inputs(seqs, gaps), like)
        self.dt = _tensor(seqs.dt, like)
        truth = seqs.target
        if truth is not None and task.kind == "forecast":
            truth = ahead(seqs, task.horizon)[0]
        self.truth = None if truth is None else _tensor(truth, like)
        self._step = torch.arange(int(self.lengths.max()), device=like.device)

    def whole(self) -> Pieces:
        """Return every series as one piece."""
        return Pieces(self.offsets[:-1], self.lengths, np.arange(len(self.lengths)))

    def windows(self, length: int, rng: np.random.Generator) -> Pieces:
        """Cut every series into pieces of `length` at a phase drawn for each; every row is in exactly one."""
        phase = rng.integers(1, length + 1, len(self.lengths))
        count = 1 + np.maximum(-(-(self.lengths - phase) // length), 0)
        series = np.repeat(np.arange(len(count)), count)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        begin = np.where(number == 0, 0, phase[series] + (number - 1) * length)
        end = np.minimum(phase[series] + number * length, self.lengths[series])
        return Pieces(self.offsets[series] + begin, end - begin, series)

    def gather(self, pieces: Pieces, chosen: np.ndarray) -> Batch:
        """Return the batch of the pieces with these numbers."""
        device = self.x.device
        lengths = torch.as_tensor(pieces.count[chosen], device=device)
        step = self._step[: int(pieces.count[chosen].max())]
        rows = torch.as_tensor(pieces.first[chosen], device=device)[:, None] + step
        rows = rows.clamp(max=len(self.x) - 1)
        truth = self.truth
        if truth is not None and self.level == "series":
            truth = truth[torch.as_tensor(pieces.series[chosen], device=device)]
        elif truth is not None:
            truth = truth[rows]
            beyond = step >= lengths[:, None]
            truth = truth.masked_fill(beyond.reshape(*beyond.shape, *[1] * (truth.ndim - 2)), float("nan"))
        return Batch(self.x[rows], self.dt[rows], lengths, torch.ones_like(lengths, dtype=torch.bool), truth)


def shuffled(pieces: Pieces, size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the numbers of the pieces of each batch: in random order, but alike in length within a batch."""
    order = rng.permutation(len(pieces.count))
    pools = [order[i : i + size * POOL] for i in range(0, len(order), size * POOL)]
    batches = []
    for pool in pools:
        pool = pool[np.argsort(-pieces.count[pool], kind="stable")]
        batches += [pool[i : i + size] for i in range(0, len(pool), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def in_order(pieces: Pieces, size: int) -> list[np.ndarray]:
    """Return the numbers of the pieces of each batch: the longest first."""
    order = np.argsort(-pieces.count, kind="stable")
    return [order[i : i + size] for i in range(0, len(order), size)]


def _tensor(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(np.asarray(values, np.float64)).to(like)
