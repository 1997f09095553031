"""Codes and reservoirs made to fit the channels of training data."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ..encoders import SpikeEncoder, choose_encoder
from ..encoders.kinds import SPIKES
from ..errors import OptionError, check_choice
from ..layers import Layer, Stack
from ..layers.door import live_steps
from .calibrate_spiking import calibrate_spiking
from .echo import EchoState
from .spiking import LiquidState

CODES = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in SPIKES}
KINDS = ("echo", "spiking")
SWING = 0.7  # standard deviation of what the channels, each of variance 1, add to a unit of an echo state
BIAS = 0.2
RATE = 0.05  # spikes a neuron and step of a spiking liquid
HEARS = 3  # features that reach a neuron of it, where there are so many
HEARD = 8, 512  # series, and steps of each, that a spiking liquid is calibrated on


def code_for(code: str, z: Tensor, lengths: Tensor | None = None) -> SpikeEncoder:
    """Fit a code of spikes to the channels of training data.

    Parameters
    ----------
    code : str
        One of `CODES`, such as "step_forward", or "auto": the one from which z is restored best.
    z : tensor (B, T, C)
    lengths : (B,), optional

    Returns
    -------
    SpikeEncoder

    Raises
    ------
    OptionError
        If there is no such code.

    Examples
    --------
    >>> code_for("step_forward", torch.randn(2, 50, 1)).steps
    1
    """
    check_choice("code", code, ("auto", *CODES))
    if code == "auto":
        return choose_encoder(z, lengths)[0][0]
    return CODES[code].for_data(z, lengths)


def reservoir_for(
    kind: str, z: Tensor, lengths: Tensor | None, dt: Tensor, *, units: int, layers: int = 1, tau: Any = None,
    spikes: bool = False, seed: int = 0,
) -> Layer:  # fmt: skip
    """Make a reservoir that is driven well by the channels of training data.

    Parameters
    ----------
    kind : "echo" or "spiking"
        `EchoState`, or a `LiquidState` calibrated to one spike a neuron in 20 steps.
    z : tensor (B, T, C), float64
        What it will read: scaled channels or, with `spikes`, spikes.
    lengths : (B,) or None
    dt : tensor (B, T)
    units, layers : int, at least 1
        Layers of an echo state are stacked, and all are shown; a spiking liquid has one.
    tau : number, pair or None
        Time constants in the unit of dt; None: 1 to 10 steps of an echo state, 30 of a spiking liquid.
    spikes : bool
        Whether z are spikes.
    seed : int, at least 0

    Returns
    -------
    Layer, of float64

    Raises
    ------
    OptionError, StateError
        If options do not fit each other, or the liquid cannot be brought to life by z.

    Examples
    --------
    >>> z = torch.randn(2, 50, 3, dtype=torch.float64)
    >>> reservoir_for("echo", z, None, torch.ones(2, 50), units=20, layers=2).outputs
    40
    """
    check_choice("kind", kind, KINDS)
    live = torch.ones(dt.shape, dtype=torch.bool) if lengths is None else live_steps(lengths, dt.shape[1])
    step, features = float(dt[live].median()), z.shape[2]
    if kind == "echo":
        size = float(z[live].square().sum(1).mean().sqrt())
        options: Any = {"tau": (step, 10 * step) if tau is None else tau, "bias": BIAS}
        scale = SWING * 3**0.5 / max(size, 1e-6)  # a weight drawn from [-1, 1] has variance 1/3
        found = [EchoState(features, units, scale=scale, seed=seed, **options).double()]
        found += [EchoState(units, units, seed=seed + i, **options).double() for i in range(1, layers)]
        return found[0] if layers == 1 else Stack(found, shown="all")
    if layers > 1:
        raise OptionError(f"`layers` must be 1 for a spiking liquid; got {layers}.")
    options = {} if tau is None else {"tau": _in_steps(tau, step)}
    options["input_density"] = min(1.0, max(0.3, HEARS / features))
    liquid = LiquidState(features, units, inputs="spikes" if spikes else "current", seed=seed, **options).double()
    liquid.scale_time(step)  # its own times are milliseconds: steps of 1
    few, early = (slice(0, n) for n in HEARD)
    ends = None if lengths is None else lengths[few].clamp(max=HEARD[1])
    calibrate_spiking(liquid, z[few, early], rate=RATE / step, dt=dt[few, early], lengths=ends)
    return liquid


def _in_steps(tau: Any, step: float) -> Any:
    return tuple(t / step for t in tau) if isinstance(tau, tuple | list) else tau / step
