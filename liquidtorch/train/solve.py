"""Training in closed form: the states of a body that is not trained, and the readout solved from them at once."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.sequences import Sequences
from ..errors import DataError
from ..model import LiquidNetwork
from ..model.measure import answer_scaling
from ..readout import Logistic, balanced, one_hot
from ..record import Record
from ..task import Task, score
from .answer import answers, over_series, prediction
from .batches import Rows
from .config import Config, History
from .losses import Loss

ASKED = 32  # series at once
BLOCKS = 5  # that are held out in turn
MOST = 2**33  # bytes of states


@torch.no_grad()
def solve(
    network: LiquidNetwork, train: Sequences, valid: Sequences | None, task: Task, config: Config, record: Record | None
) -> History:
    """Solve a network's readout, in place, from what it sees of the training data; the body stays as it is.

    The penalty is chosen on blocks of the training data held out in turn, whole series where there are enough; `valid`
    is scored and not learned from. A series is answered from its mean or last state, as `network.pool` says.

    Returns
    -------
    History
        Of one epoch.

    Raises
    ------
    DataError
        If the states of all rows would not fit into 8 GB.

    Notes
    -----
    One pass over the data, and the readout's own cost (`readout.Ridge.solve`, `readout.Logistic.solve`).
    """
    begun = time.monotonic()
    network.eval()
    readout: Any = network.readout
    like = readout.weight
    rows = Rows(train, task, like, network.ahead)
    assert rows.truth is not None
    x, base = seen(network, rows, task)
    groups = torch.as_tensor(np.arange(len(train)), device=x.device)
    if task.level == "step":
        groups = groups.repeat_interleave(torch.as_tensor(train.lengths, device=x.device))
    if len(x) < 2:
        raise DataError(f"`train` must hold at least two answers to solve from; got n_samples = {len(x)}.")
    options: Any = {"groups": groups, "blocks": min(BLOCKS, len(x)), "seed": config.seed}
    if isinstance(readout, Logistic):
        found: Any = readout.solve(x, rows.truth[:, 0], **options)
        how = f"Logistic regression on {_rows(rows.truth)} rows; penalty {found.penalty:.1e}."
    else:
        y, weight = _targets(rows.truth, task, base)
        found = readout.solve(x, y, weight=weight, per_output=not task.classifies, **options)
        penalties = sorted({f"{p:.1e}" for p in found.penalty.tolist()}, key=float)
        shown = penalties[0] if len(penalties) == 1 else f"{penalties[0]} to {penalties[-1]}"
        how = f"Ridge regression on {_rows(rows.truth)} rows by {found.method}; penalty {shown}."
    loss = Loss(task, answer_scaling(train, task).scale).to(like)
    said = readout(x) + base if base.shape[1] else readout(x)
    total, count = loss(said, rows.truth)
    line = {"epoch": 1, "train_loss": float(total / count), "valid_loss": math.nan}
    line |= {"valid_score": math.nan, "lr": 0.0, "grad_norm": 0.0}
    if valid is not None:
        held = Rows(valid, task, like, network.ahead)
        assert held.truth is not None
        y = answers(network, held, task, ASKED)
        total, count = loss(y, held.truth)
        found = score(task, held.truth.double().cpu().numpy(), prediction(task, y))
        line["valid_loss"], line["valid_score"] = float(total / count), found[task.metric]
    line["seconds"] = time.monotonic() - begun
    if record is not None:
        record.write("epoch", **line)
        record.write("event", name="solved", message=how)
    return History([line], 1, line["valid_loss"], "epochs", how, line["seconds"])


def _rows(truth: Tensor) -> int:
    return int((~torch.isnan(truth)).flatten(1).all(1).sum())


def seen(network: LiquidNetwork, rows: Rows, task: Task) -> tuple[Tensor, Tensor]:
    """Return what the readout sees of every row or series, and the values a forecast is added to."""
    width = network.readout.features + len(network._last)
    count = len(rows.x) if task.level == "step" else len(rows.lengths)
    if count * width * 8 > MOST:
        raise DataError(
            f"`train` must have fewer rows, or the network fewer units, to be solved at once; got {count} rows of "
            f"{width} numbers ({count * width * 8 / 2**30:.0f} GB; at most {MOST / 2**30:.0f})."
        )

    def call(x: Tensor, h: Any, dt: Tensor, lengths: Tensor) -> tuple[Tensor, Any]:
        h = network.initial(len(x)) if h is None else h
        shown, filled, h = network.seen(x, h, dt, lengths, None)
        return torch.cat([shown, filled[..., network._last].to(shown.dtype)], -1), h

    found = over_series(call, rows, task.level, network.pool == "mean", width, ASKED)
    return found[:, : network.readout.features], found[:, network.readout.features :]


def _targets(truth: Tensor, task: Task, base: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return what is to be answered (N, task.outputs), and how much each row counts."""
    if not task.classifies:
        return truth.flatten(1) - (base if base.shape[1] else 0.0), None
    y = torch.cat([one_hot(truth[:, j], len(c)) for j, c in enumerate(task.classes)], 1)
    return y, balanced(truth[:, 0], len(task.classes[0])) if len(task.classes) == 1 else None
