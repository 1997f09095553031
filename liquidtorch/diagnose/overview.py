"""Every measure that applies to a layer, on its data, as one record."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import check_range
from ..layers import Layer
from .capacity import information_processing_capacity
from .dimension import centred_spectrum, condition_number, effective_dimension
from .drive import Array, ready
from .echo import echo_index
from .exponent import LEAST, lyapunov
from .memory import memory_capacity
from .rank import generalisation_rank, is_spikes, kernel_rank
from .separation import separation
from .spikes import operations, rates

ROWS, STEPS, INPUTS = 4, 1000, 100  # how much of x the measures of stability look at; the most inputs of a rank
WIDEST = 60  # bars of a curve, at most


def inspect(
    layer: Layer, x: Array, *, dt: float = 1.0, spikes: Array | None = None, fan_out: float | Array | None = None,
    steps: int | None = None, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Take every measure that applies to a layer, under its own inputs.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64.
    x : (B, T, F)
        Inputs as the layer will get them.
    dt : float, above 0
        Time between steps.
    spikes : (B, T, N), 0 or 1, optional
        The layer's spikes; its outputs if they are spikes.
    fan_out : number or (N,), optional
        Synapses that leave each of the N units; without it no operations are counted.
    steps : int, optional
        Samples for the capacities; 20 times the outputs, at least 4000, if left out. 0 leaves the capacities out.
    seed : int, at least 0

    Returns
    -------
    dict
        Plain JSON: numbers that are not finite are None, and what does not apply is not there. "layer", "features",
        "outputs", "state", "inputs" (rows, steps, dt), "tau" (min, median, max, sorted), "states" (mean, spread,
        largest, effective_dimension, condition_number, shares of variance by direction), "echo", "lyapunov", "rank"
        (kernel, generalisation, of), "separation", "memory", "capacity", "rates" (sorted: of the units, largest first),
        "operations".

    Raises
    ------
    ShapeError, OptionError, DataError
        As the measures.

    Notes
    -----
    Echo and Lyapunov exponent look at the first 4 rows and 1000 steps of x, ranks at up to 100 pieces of it, the
    capacities at white inputs with its mean and spread, uniform. Inputs that are spikes have no such twin, and so no
    capacities; a layer that reads ahead has no one state to start from, and so neither echo nor exponent.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> found = inspect(Recurrent(Leaky(1, 5)), torch.randn(3, 200, 1))
    >>> found["rank"]["of"]
    5
    """
    check_range("dt", dt, 0, open_low=True)
    still, x, every = ready(layer, x, dt)
    with torch.no_grad():
        y = still(x, dt=every)[0]
    tau = still.taus()
    found: dict[str, Any] = {
        "layer": type(layer).__name__,
        "features": layer.features,
        "outputs": layer.outputs,
        "state": {spec.name: spec.width for spec in still.state_spec()},
        "inputs": {"rows": len(x), "steps": x.shape[1], "dt": float(dt)},
        "tau": _spread(tau) if tau.numel() else None,
        "states": _states(y[:, x.shape[1] // 10 :]),  # without the start
    }
    if still.causal:
        few = x[:ROWS, :STEPS]
        found["echo"] = echo_index(still, few, dt=dt, seed=seed)._asdict()
        if few.shape[1] >= LEAST:
            found["lyapunov"] = lyapunov(still, few, dt=dt, seed=seed)
    found |= _told_apart(still, x, dt, seed)
    if steps != 0 and not is_spikes(x):
        found |= _remembered(still, x, dt, steps or max(4000, 20 * layer.outputs), seed)
    if spikes is None and bool(((y == 0) | (y == 1)).all()):
        spikes = y
    if spikes is not None:
        found["rates"] = rates(spikes, dt=dt, window=min(20, int(spikes.shape[-2])))._asdict()
        found["rates"]["sorted"] = (
            torch.as_tensor(spikes).double().flatten(0, -2).mean(0).sort(descending=True).values / dt
        )
        if fan_out is not None:
            found["operations"] = operations(spikes, fan_out)._asdict()
    return _plain(found)


def table(found: dict[str, Any]) -> str:
    """Return what `inspect` found as plain text, one measure a line; a curve is drawn in bars from 0 to its largest.

    Examples
    --------
    >>> print(table({"layer": "Recurrent", "echo": {"index": 1.5e-9, "washout": 40}}))
    layer         Recurrent
    echo.index    1.5e-09
    echo.washout  40
    """
    lines = list(_lines(found, ""))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{width}}  {value}" for name, value in lines)


def _spread(tau: Tensor) -> dict[str, Any]:
    each = tau.double().flatten().sort(descending=True).values
    return {"min": each[-1], "median": tau.median(), "max": each[0], "sorted": each}


def _states(y: Tensor) -> dict[str, Any]:
    flat = y.flatten(0, 1)
    variance = centred_spectrum(flat).square()
    return {
        "mean": flat.mean(), "spread": flat.std(0).mean(), "largest": flat.abs().max(),
        "effective_dimension": effective_dimension(flat), "condition_number": condition_number(flat),
        "shares": variance / variance.sum(),
    }  # fmt: skip


def _told_apart(layer: Layer, x: Tensor, dt: float, seed: int) -> dict[str, Any]:
    """Return ranks and separation of pieces of x, as many as the layer has outputs, if there are so many."""
    wanted = min(INPUTS, layer.outputs)
    length = max(1, x.shape[1] // -(-wanted // len(x)))  # of so many pieces a row
    pieces = x.unfold(1, length, length).transpose(2, 3).flatten(0, 1)[:wanted]
    found: dict[str, Any] = {
        "rank": {
            "kernel": kernel_rank(layer, pieces, dt=dt),
            "generalisation": generalisation_rank(layer, pieces[0], count=len(pieces), dt=dt, seed=seed),
            "of": len(pieces),
        }
    }
    if len(pieces) > 1:
        apart = separation(layer, pieces, dt=dt)
        found["separation"] = {
            "inputs": apart.inputs.median(), "states": apart.states.median(), "correlation": apart.correlation,
        }  # fmt: skip
    return found


def _remembered(layer: Layer, x: Tensor, dt: float, steps: int, seed: int) -> dict[str, Any]:
    flat = x.flatten(0, 1)
    mean, half = flat.mean(0), math.sqrt(3) * flat.std(0)  # the uniform distribution of that mean and spread
    if not bool((half > 0).all()):
        return {}
    white: dict[str, Any] = {"low": mean - half, "high": mean + half, "dt": dt, "steps": steps, "seed": seed}
    linear = memory_capacity(layer, **white)
    each = (20, 5) if layer.features <= 2 else (20, 1)  # functions of degree 2 go with the square of the features
    every = information_processing_capacity(layer, delays=each, **white)
    return {
        "memory": {"total": linear.total, "curve": linear.curve.sum(0), "of": layer.outputs},
        "capacity": {"total": every.total, "degrees": every.degrees, "of": every.bound},
    }


def _plain(value: Any) -> Any:
    """Return a value as plain JSON: tensors as lists or numbers, what is not finite as None."""
    if isinstance(value, dict):
        return {name: _plain(v) for name, v in value.items()}
    if isinstance(value, Tensor | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _lines(found: dict[str, Any], before: str) -> Any:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _lines(value, f"{before}{name}.")
        elif isinstance(value, list) and len(value) > 5:
            yield f"{before}{name}", _bars([v or 0.0 for v in value])
        elif isinstance(value, list):
            yield f"{before}{name}", " ".join(_number(v) for v in value)
        else:
            yield f"{before}{name}", _number(value)


def _bars(values: list[float]) -> str:
    """Draw values, of too many the largest of every so many, as bars of an eighth to eight eighths of a line."""
    every = -(-len(values) // WIDEST)
    shown = [max(values[i : i + every]) for i in range(0, len(values), every)]
    top = max(max(shown), 1e-12)
    return "".join(" ▁▂▃▄▅▆▇█"[round(8 * max(v, 0.0) / top)] for v in shown)


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
