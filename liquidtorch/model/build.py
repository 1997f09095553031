"""A network made to measure: the parts chosen by name, the rest taken from the training data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .. import readout as readouts
from ..cells import LTC, CfC, Leaky, Linear, Liquid, Mobius
from ..data.sequences import Sequences
from ..encoders import MissingAware
from ..errors import DataError, OptionError, check_choice, check_range
from ..layers import Recurrent, Stack
from ..task import Task
from ..wiring import Wiring, make
from .measure import Scaling, answer_scaling, inputs, irregular, scaling, target_columns, tau_range

BODIES = {"liquid": Liquid, "ltc": LTC, "cfc": CfC, "leaky": Leaky, "linear": Linear, "mobius": Mobius}


def network(
    kind: Any,
    train: Sequences,
    task: Task,
    *,
    body: str,
    units: int,
    layers: int,
    wiring: str | Wiring | None,
    tau: Any,
    readout: str,
    skip: bool,
    pool: str | None,
    seed: int,
) -> Any:
    """Make a `kind` (LiquidNetwork) for the data; `LiquidNetwork.for_data` says what each option means."""
    check_choice("body", body, BODIES)
    check_choice("readout", readout, readouts.KINDS)
    units = check_range("units", units, 1, whole=True)
    layers = check_range("layers", layers, 1, whole=True)
    seed = check_range("seed", seed, 0, 2**31 - 1, whole=True)
    if isinstance(tau, str):
        check_choice("tau", tau, ("auto",))
        tau = None if body == "ltc" else tau_range(train)
    columns = target_columns(train, task) if task.kind == "forecast" else ()
    gaps = task.horizon if task.kind == "forecast" and irregular(train) else 0
    answer = answer_scaling(train, task)
    if gaps:  # beside each change its slope over the gap, which starts at 0
        answer = Scaling(np.append(answer.mean, 0 * answer.mean), np.append(answer.scale, answer.scale))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = encoder_for(train, gaps)
        wired = _wiring(wiring, units, encoder.outputs, task, seed, layers)
        chosen = stack(body, encoder.outputs, units, layers, wired, tau)
        if tau is None:  # its published start is meant for steps of 1
            chosen.scale_time(train.median_dt)
        wide = chosen.outputs + encoder.outputs * skip
        last = readouts.KINDS[readout](wide, len(answer.mean), mean=answer.mean, scale=answer.scale)
    return kind(
        encoder,
        chosen,
        last,
        task=task,
        columns=columns,
        ahead=gaps,
        skip=skip,
        pool=pool or ("mean" if task.classifies else "last"),
        schema=train.schema(),
    )


def encoder_for(train: Sequences, gaps: int = 0) -> MissingAware:
    """Return the encoder of the training data: its columns, scales, and which of them have missing values."""
    values = inputs(train, gaps)
    found = scaling(values)
    missing = np.asarray(np.isnan(values).any(axis=0))
    lost = np.isnan(values).all(axis=0)
    if lost.any():
        name = train.features[int(lost.argmax())].name
        raise DataError(f"`{name}` must have a value somewhere in the training data; every row lacks it. Leave it out.")
    features = [f.to_json() for f in train.features]
    features += [{"name": f"gap {h + 1}", "kind": "numeric", "vocabulary": []} for h in range(gaps)]
    return MissingAware(features, found.mean, found.scale, missing.tolist(), median_dt=train.median_dt)


def stack(body: str, features: int, units: int, layers: int, wiring: Wiring | None, tau: Any) -> Any:
    """Return the body: one cell in a loop, or several on top of each other."""
    cells = []
    for i in range(layers):
        options: dict[str, Any] = {} if wiring is None else {"wiring": wiring}
        if tau is not None:
            options["tau"] = tau
        cells.append(Recurrent(BODIES[body](features if i == 0 else units, units, **options)))
    return cells[0] if layers == 1 else Stack(cells)


def _wiring(spec: str | Wiring | None, units: int, features: int, task: Task, seed: int, layers: int) -> Wiring | None:
    if spec is None:
        return None
    if layers > 1:
        raise OptionError(f"`wiring` must be None for a body of several layers; got layers={layers}. Use one layer.")
    if isinstance(spec, Wiring):
        return spec
    motors = min(task.outputs, max(1, units // 3)) if spec.startswith("auto_ncp") else units
    return make(spec, units, features, motors, seed)
