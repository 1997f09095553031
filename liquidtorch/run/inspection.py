"""Measures of a run's body under the run's own data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import diagnose
from ..cells import first_parameter
from ..data import from_table
from ..files import read_json
from ..model import load
from ..reservoir import LiquidState
from ..train.batches import Rows
from .folder import find_table

ROWS, STEPS = 16, 400  # series, and rows of each, that are looked at


def measure(run: Path, table: str | None) -> dict[str, Any]:
    """Take every measure of `diagnose.inspect` that applies to the body, under what the encoder makes of the table."""
    network = load(run / "model" if (run / "model").is_dir() else run).double()
    frame = find_table(table or read_json(run / "config.json", "a run")["options"]["table"]).read()
    seqs = from_table(frame, target=(), like=network.schema)
    longest = np.argsort(-seqs.lengths, kind="stable")[:ROWS]
    length = min(int(seqs.lengths[longest].min()), STEPS)
    rows = Rows(seqs, network.task, first_parameter(network), network.ahead)
    batch = rows.gather(rows.whole(), longest)
    x, dt = batch.x[:, :length], batch.dt[:, :length]
    with torch.no_grad():
        z = network.encoder(x, dt=dt)[0]
        given: dict[str, Any] = {}
        if isinstance(network.body, LiquidState):
            given = {"spikes": network.body.spikes(z, dt=dt).double()}
            given["fan_out"] = network.body.weight.numel() / network.body.units
    found = diagnose.inspect(network.body, z, dt=seqs.median_dt, **given)
    found["inputs"]["unit"] = seqs.unit
    return found
