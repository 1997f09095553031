"""Ask a trained network: over whole series, with the state carried, in batches of like length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..cells import first_parameter
from ..data.sequences import Sequences
from ..errors import ShapeError, check_range
from ..task import Task
from .batches import Rows, in_order

Call = Callable[[Tensor, Any, Tensor, Tensor], tuple[Tensor, Any]]
STEPS = 512  # rows at a time; the state is carried, so memory does not grow with the series


@dataclass(frozen=True)
class Prediction:
    """What a network answers, as numpy arrays of float64.

    Parameters
    ----------
    values : (N, O), (rows, O) or, for forecasts, (rows, H, O)
        The most likely class (its code), or the number.
    probabilities : (N or rows, task.outputs) or None
        Of every class, the targets side by side; None where numbers are asked for.
    quantiles : (rows, H, O, Q) or None
        Sorted, so that they do not cross; None where none are asked for.
    """

    values: np.ndarray
    probabilities: np.ndarray | None = None
    quantiles: np.ndarray | None = None


def predict(network: nn.Module, seqs: Sequences, task: Task, *, batch: int = 64) -> Prediction:
    """Ask the network about every series, or every row.

    Parameters
    ----------
    network : module
        `network(x, h, dt=, lengths=) -> (y, h)`, as `LiquidNetwork`.
    seqs : Sequences
        The data; a target is not needed.
    task : Task
        What is asked.
    batch : int, at least 1
        Series at once.

    Returns
    -------
    Prediction
        In the order of the rows, or of the series.

    Notes
    -----
    Every series is read from its first row to its last, the state carried all the way, however long it is.
    """
    check_range("batch", batch, 1, whole=True)
    rows = Rows(seqs, task, first_parameter(network), getattr(network, "ahead", 0))
    return prediction(task, answers(network, rows, task, batch))


@torch.no_grad()
def answers(network: nn.Module, rows: Rows, task: Task, batch: int, halves: bool = False) -> Tensor:
    """Return the network's answers (N or rows, task.outputs)."""
    learning = network.training
    network.eval()
    try:
        return _answers(network, rows, task, batch, halves)
    finally:
        network.train(learning)


def _answers(network: nn.Module, rows: Rows, task: Task, batch: int, halves: bool) -> Tensor:
    def call(x: Tensor, h: Any, dt: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=halves):
            y, h = network(x, h, dt=dt, lengths=lengths)
        check_answer(y, task)
        return y, h

    return over_series(call, rows, task.level, getattr(network, "pool", "last") == "mean", task.outputs, batch)


def over_series(call: Call, rows: Rows, level: str, mean: bool, width: int, batch: int) -> Tensor:
    """Return what `call` says of every row (rows, width), or of every series (N, width): the mean, or the last.

    `call(x, h, dt, lengths) -> (y (B, T, width), h)` reads whole series, the state carried from part to part.
    """
    pieces, device = rows.whole(), rows.x.device
    found = rows.x.new_zeros(len(pieces.count) if level == "series" else len(rows.x), width)
    for chosen in in_order(pieces, batch):
        h = None
        first = torch.as_tensor(pieces.first[chosen], device=device)[:, None]
        series = torch.as_tensor(pieces.series[chosen], device=device)
        for part in rows.gather(pieces, chosen).chunks(STEPS):
            y, h = call(part.x, h, part.dt, part.lengths)
            y = y.to(found.dtype)
            here = part.lengths > 0
            step = torch.arange(y.shape[1], device=device)
            if level == "step":
                inside = step < part.lengths[:, None]
                found[(first + step)[inside]] = y[inside]
                first = first + len(step)
            elif mean:
                found[series[here]] += (pooled(y, part.lengths, True) * part.lengths[:, None])[here]
            else:
                found[series[here]] = pooled(y, part.lengths, False)[here]
    if level == "series" and mean:
        found /= torch.as_tensor(pieces.count, device=device)[:, None]
    return found


def pooled(y: Tensor, lengths: Tensor, mean: bool) -> Tensor:
    """Return one answer a row (B, outputs) of the answers at each step: their mean, or the last."""
    if mean:
        inside = torch.arange(y.shape[1], device=y.device) < lengths[:, None]
        return (y * inside[..., None]).sum(1) / lengths.clamp(min=1)[:, None]
    at = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, y.shape[2])
    return y.gather(1, at)[:, 0]


def check_answer(y: Tensor, task: Task) -> None:
    """Raise `ShapeError` unless y is (B, T, task.outputs)."""
    if y.ndim != 3 or y.shape[2] != task.outputs:
        raise ShapeError(
            f"`network` must answer (batch, time, outputs={task.outputs}) for {task.kind!r}; got {tuple(y.shape)}."
        )


def prediction(task: Task, y: Tensor) -> Prediction:
    """Turn answers (rows, task.outputs) into classes with probabilities, or numbers with quantiles."""
    if task.classifies:
        parts = y.double().split([len(c) for c in task.classes], dim=1)
        values = torch.stack([p.argmax(1) for p in parts], 1)
        chances = torch.cat([p.softmax(1) for p in parts], 1)
        return Prediction(values.cpu().numpy().astype(np.float64), chances.cpu().numpy())
    numbers = y.double().cpu().numpy()
    if task.kind != "forecast":
        return Prediction(numbers)
    numbers = numbers.reshape(len(numbers), task.horizon, len(task.targets), -1)
    quantiles = np.sort(numbers[..., 1:], axis=-1) if task.quantiles else None
    return Prediction(numbers[..., 0], quantiles=quantiles)
