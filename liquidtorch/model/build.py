"""A network made to measure: the parts chosen by name, the rest taken from the training data."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from .. import readout as readouts
from ..cells import LTC, CfC, Leaky, Linear, Liquid, Mobius
from ..data.sequences import Sequences
from ..encoders import MissingAware
from ..errors import DataError, OptionError, check_choice, check_range
from ..layers import Recurrent, Stack
from ..reservoir import CODES, Encoded, code_for, reservoir_for, substeps
from ..reservoir import KINDS as RESERVOIRS
from ..task import Task
from ..wiring import Wiring, make
from .measure import answer_scaling, inputs, irregular, scaling, target_columns, tau_range, with_slope

BODIES = {"liquid": Liquid, "ltc": LTC, "cfc": CfC, "leaky": Leaky, "linear": Linear, "mobius": Mobius}
INSTANT = 0.3  # of the smallest step: an echo state's fastest units keep nothing but what comes back to them
SAMPLE = 64, 1024  # series, and rows of each, that a reservoir and its code are fitted to


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
    encoder: str | None,
    readout: str | None,
    skip: bool,
    pool: str | None,
    seed: int,
) -> Any:
    """Make a `kind` (LiquidNetwork) for the data; `LiquidNetwork.for_data` says what each option means."""
    check_choice("body", body, (*BODIES, *RESERVOIRS))
    readout = readout or _readout(body, task)
    check_choice("readout", readout, (*readouts.KINDS, *readouts.SOLVED))
    if encoder is not None:
        check_choice("encoder", encoder, ("auto", *CODES))
    closed = readout in readouts.SOLVED
    _check_solved(readout, task)
    units = check_range("units", units, 1, whole=True)
    layers = check_range("layers", layers, 1, whole=True)
    seed = check_range("seed", seed, 0, 2**31 - 1, whole=True)
    if isinstance(tau, str):
        check_choice("tau", tau, ("auto",))
        low, high = tau_range(train)
        tau = None if body in ("ltc", "spiking") else (INSTANT * low if body == "echo" else low, high)
    columns = target_columns(train, task) if task.kind == "forecast" else ()
    gaps = task.horizon if task.kind == "forecast" and irregular(train) else 0
    answer = answer_scaling(train, task)
    if gaps and not closed:
        answer = with_slope(answer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first = encoder_for(train, gaps)
        wired = _wiring(wiring, units, first.outputs, task, seed, layers)
        chosen = _body(first, train, gaps, body, units, layers, wired, tau, encoder, seed)
        wide = chosen.outputs + first.outputs * skip
        if closed:
            last = readouts.SOLVED[readout](wide * (1 + gaps), task.outputs)
        else:
            last = readouts.KINDS[readout](wide, len(answer.mean), mean=answer.mean, scale=answer.scale)
    found = kind(
        first,
        chosen,
        last,
        task=task,
        columns=columns,
        ahead=gaps,
        skip=skip,
        pool=pool or ("mean" if task.classifies else "last"),
        schema=train.schema(),
    )
    return found.double() if closed else found  # what is solved needs every digit of the states


def _readout(body: str, task: Task) -> str:
    if body not in RESERVOIRS:
        return "mlp"
    return "logistic" if task.classifies and len(task.targets) == 1 else "ridge"


def _check_solved(readout: str, task: Task) -> None:
    if readout in readouts.SOLVED and task.quantiles:
        raise OptionError(f"`quantiles` must be left out with readout={readout!r}, which gives means. Use 'mlp'.")
    if readout == "logistic" and not (task.classifies and len(task.targets) == 1):
        raise OptionError(f"`readout` must be 'ridge' for {task.kind}, or more than one target; got 'logistic'.")


def _body(
    first: MissingAware, train: Sequences, gaps: int, body: str, units: int, layers: int, wiring: Wiring | None,
    tau: Any, code: str | None, seed: int,
) -> Any:  # fmt: skip
    """Return the body; one that is never trained, or one behind a code of spikes, fits the training data's channels."""
    if wiring is not None and (code is not None or body in RESERVOIRS):
        raise OptionError("`wiring` must be None with an `encoder` or a reservoir as body; got one of them beside it.")
    if body not in RESERVOIRS and code is None:
        return _trained(body, first.outputs, units, layers, wiring, tau, train.median_dt)
    z, lengths, dt = _channels(first, train, gaps)
    coded = None if code is None else code_for(code, z, lengths)
    if coded is not None:
        z, _ = coded(z, dt=dt, lengths=lengths)
        dt, lengths = substeps(dt, lengths, coded.steps)
    if body in RESERVOIRS:
        options: Any = {"units": units, "layers": layers, "tau": tau, "spikes": coded is not None, "seed": seed}
        chosen = reservoir_for(body, z, lengths, dt, **options)
    else:
        chosen = _trained(body, z.shape[2], units, layers, wiring, tau, train.median_dt)
    return (chosen if coded is None else Encoded(coded, chosen)).to(torch.get_default_dtype())


def _trained(
    body: str, features: int, units: int, layers: int, wiring: Wiring | None, tau: Any, median_dt: float
) -> Any:
    found = stack(body, features, units, layers, wiring, tau)
    if tau is None:  # its published start is meant for steps of 1
        found.scale_time(median_dt)
    return found


def _channels(first: MissingAware, train: Sequences, gaps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what the encoder makes of the first rows of the first series, their lengths and dt, in float64."""
    rows, some = inputs(train, gaps), slice(0, SAMPLE[0])
    lengths = torch.as_tensor(np.minimum(train.lengths[some], SAMPLE[1]))
    at = train.offsets[:-1][some, None] + np.arange(int(lengths.max()))
    at = torch.as_tensor(np.minimum(at, len(rows) - 1))
    x, dt = torch.as_tensor(rows)[at], torch.as_tensor(train.dt)[at]
    return copy.deepcopy(first).double()(x, dt=dt, lengths=lengths)[0], lengths, dt


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
