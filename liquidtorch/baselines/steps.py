"""What the simple baselines look at: the steps of the sequences as columns of a matrix, past steps beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..data import Feature, Sequences
from ..model import LiquidNetwork
from ..model.measure import inputs
from ..task import Task, ahead

LAGS = 4  # steps before the present one
POINTS = 16  # steps a whole series is seen at


class Steps(NamedTuple):
    """A part of the data as the encoder shows it; all arrays have a line for each row."""

    channels: np.ndarray  # (rows, Z) scaled, gaps filled and marked, categories spread; and dt
    filled: np.ndarray  # (rows, F...) in the features' own units, gaps filled
    offsets: np.ndarray  # (N+1,)
    longer: np.ndarray | None = None  # (rows, H) the gaps ahead over their means, less 1; None where they are not told


def encode(network: LiquidNetwork, seqs: Sequences, *, timed: bool) -> Steps:
    """Show `seqs` through a network's encoder; with `timed`, the logarithm of dt over its median beside it."""
    start = torch.zeros(1, seqs.rows, dtype=torch.bool)
    start[0, seqs.offsets[:-1]] = True
    encoder = network.encoder
    x = torch.as_tensor(inputs(seqs, network.ahead), dtype=encoder.mean.dtype)[None]
    dt = torch.as_tensor(seqs.dt, dtype=encoder.mean.dtype)[None]
    with torch.no_grad():
        z, filled, _ = encoder.filled(x, dt=dt, reset=start)
        longer = network.longer(filled)[0].double().numpy() - 1 if network.ahead else None
    columns = [z[0].double().numpy()]
    if timed:
        columns.append(np.log(seqs.dt / seqs.median_dt)[:, None])
    return Steps(np.hstack(columns), filled[0].double().numpy(), seqs.offsets, longer)


def present(steps: Steps, level: str) -> np.ndarray:
    """Return the current step's channels; for a whole series their mean and the last ones."""
    if level == "step":
        return steps.channels
    counts = np.diff(steps.offsets)[:, None]
    return np.hstack(
        [np.add.reduceat(steps.channels, steps.offsets[:-1]) / counts, steps.channels[steps.offsets[1:] - 1]]
    )


def by_gap(columns: np.ndarray, steps: Steps, h: int) -> np.ndarray:
    """Return the columns, and beside them, where gaps are told, their product with the gap to the step h ahead."""
    return columns if steps.longer is None else np.hstack([columns, columns * steps.longer[:, h : h + 1]])


def past(steps: Steps, level: str) -> np.ndarray:
    """Return the channels of the current and the `LAGS` steps before; for a whole series, of `POINTS` even steps.

    Before the start of a series stands its first step.
    """
    begin, counts = steps.offsets[:-1], np.diff(steps.offsets)
    if level == "step":
        first = np.repeat(begin, counts)
        rows = np.arange(len(steps.channels))
        return np.hstack([steps.channels[np.maximum(rows - lag, first)] for lag in range(LAGS + 1)])
    places = np.linspace(0, 1, POINTS)
    rows = begin[:, None] + np.round(places * (counts[:, None] - 1)).astype(np.int64)
    return steps.channels[rows].reshape(len(counts), -1)


def truth(task: Task, seqs: Sequences) -> np.ndarray:
    """Return what an answer is scored against: the targets, or for a forecast the rows to come (rows, H, O)."""
    if task.kind == "forecast":
        return ahead(seqs, task.horizon)[0]
    if seqs.target is None:
        raise AssertionError("Task.check comes first")
    return seqs.target


def readable(features: Sequence[Feature], filled: np.ndarray) -> tuple[np.ndarray, list[str], list[bool]]:
    """Return columns a person can read, their names, and which of them only say yes or no."""
    columns, names, flags = [], [], []
    for j, feature in enumerate(features):
        if feature.kind == "numeric":
            columns.append(filled[:, j])
            names.append(feature.name)
            flags.append(False)
        for code, value in enumerate(feature.vocabulary):
            columns.append((filled[:, j] == code).astype(float))
            names.append(f"{feature.name} = {value}")
            flags.append(True)
    return np.stack(columns, axis=1), names, flags
