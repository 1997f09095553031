"""Bring a spiking liquid to life: gains of input and of recurrent synapses for a target rate, and how it lives then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..errors import OptionError, StateError, check_range
from ..layers.door import Times, dt_grid, live_steps
from .spiking import LiquidState

ALONE = 2.0  # how far, as a factor, the input alone drives the rate from the target; the rest is the liquid's own doing
ENDS = 1e-3, 1e3  # of a gain
HALVINGS = 24
CLOSE = 0.1  # of the target rate, how far the rate may be from it
MOST_SILENT = 0.5


class Activity(NamedTuple):
    """How a liquid spikes."""

    rate: float  # spikes per neuron and unit of time
    silent: float  # the fraction of neurons that never spike
    cv: float  # standard deviation over mean of the intervals between a neuron's spikes, the mean over neurons; or NaN
    branching: float  # spikes that follow, a step later, from one more spike now: the slope of A(t+1) on A(t); or NaN
    input_gain: float = 1.0  # by what `calibrate_spiking` has multiplied the input's weights
    recurrent_gain: float = 1.0  # and those of the synapses


def activity(
    liquid: LiquidState, x: Tensor, *, dt: Times = 1.0, lengths: Any = None, reset: Any = None
) -> Activity:  # fmt: skip
    """Measure how `liquid` spikes on x.

    Parameters
    ----------
    liquid : LiquidState
    x : tensor (B, T, F)
    dt, lengths, reset
        As the layer takes them.

    Returns
    -------
    Activity

    Notes
    -----
    The intervals are those of neurons with at least three spikes in a row of the batch. Branching is 1 where activity
    neither dies out nor grows by itself; a common input raises it.

    Source
    ------
    The slope of A(t+1) on A(t), A the number of spikes in a step: Wilting and Priesemann 2018, eq. 2.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import LiquidState, reservoir
    >>> reservoir.activity(LiquidState(1, 20), torch.zeros(1, 50, 1)).silent
    1.0
    """
    spikes = liquid.spikes(x, dt=dt, lengths=lengths, reset=reset)
    steps, live = _clock(x, dt, lengths)
    silent = float((spikes.sum((0, 1)) == 0).double().mean())
    return Activity(
        _rate(spikes, steps, live), silent,
        _irregularity(spikes, steps.cumsum(1)), _branching(spikes.sum(-1).double(), live),
    )  # fmt: skip


def calibrate_spiking(
    liquid: LiquidState, x: Tensor, *, rate: float = 0.02, dt: Times = 1.0, lengths: Any = None, reset: Any = None
) -> Activity:  # fmt: skip
    """Scale, in place, the weights of input and synapses so that neurons spike at `rate` on x, on average.

    First, with synapses silenced, the input's gain is found by bisection for half the rate where synapses raise it, or
    for twice the rate where they lower it; then the synapses' gain, by which the rate becomes `rate`.

    Parameters
    ----------
    liquid : LiquidState
        Its `W_x` and `weight` are changed.
    x : tensor (B, T, F)
        Training data, as the encoder gives it.
    rate : float, above 0
        Spikes per neuron and unit of time (that of dt): 0.02 with dt in milliseconds is 20 a second.
    dt, lengths, reset
        As the layer takes them.

    Returns
    -------
    Activity
        Rate, fraction of silent neurons, irregularity and branching on x, and the gains.

    Raises
    ------
    OptionError
        If `rate` is more than refractory periods and steps allow.
    StateError
        If the liquid stays silent, is saturated, or more than half of its neurons never spike; it says what to change,
        and leaves the liquid as it was.

    Notes
    -----
    Costs some 50 passes over x.

    Examples
    --------
    >>> import torch
    >>> from liquidtorch import LiquidState, reservoir
    >>> liquid = LiquidState(2, 60, topology="random:0.2", seed=1)
    >>> x = torch.randn(4, 200, 2, generator=torch.Generator().manual_seed(0))
    >>> found = reservoir.calibrate_spiking(liquid, x, rate=0.03)
    >>> abs(found.rate - 0.03) < 0.003
    True
    """
    check_range("rate", rate, 0, open_low=True)
    W_x, weight = liquid.W_x.clone(), liquid.weight.clone()
    found = 1.0, 1.0

    def at(input_gain: float, recurrent_gain: float) -> float:
        nonlocal found
        found = input_gain, recurrent_gain
        liquid.W_x.copy_(W_x * input_gain)
        liquid.weight.copy_(weight * recurrent_gain)
        spikes = liquid.spikes(x, dt=dt, lengths=lengths, reset=reset)
        return _rate(spikes, *_clock(x, dt, lengths))

    try:
        _reachable(rate, at, liquid)
        alone = rate
        if bool(weight.any()):
            gain = _bisect(lambda gain: at(gain, 0.0), rate)
            alone = rate / ALONE if at(gain, 1.0) > at(gain, 0.0) else min(rate * ALONE, (rate + at(ENDS[1], 0.0)) / 2)
        gain = _bisect(lambda gain: at(gain, 0.0), alone)
        if alone != rate:
            _bisect(lambda g: at(gain, g), rate, rising=alone < rate)
        measured = activity(liquid, x, dt=dt, lengths=lengths, reset=reset)
        _refuse(measured, rate)
    except BaseException:
        liquid.W_x.copy_(W_x)
        liquid.weight.copy_(weight)
        raise
    return measured._replace(input_gain=found[0], recurrent_gain=found[1])


def _clock(x: Tensor, dt: Times, lengths: Any) -> tuple[Tensor, Tensor]:
    """Return the time each step lasts, and which steps are inside, (B,T)."""
    B, T = x.shape[:2]
    live = torch.ones(B, T, dtype=torch.bool) if lengths is None else live_steps(torch.as_tensor(lengths), T)
    return dt_grid(dt, B, T, x.double()), live


def _rate(spikes: Tensor, steps: Tensor, live: Tensor) -> float:
    """Return the spikes per neuron and unit of time of spikes (B,T,H)."""
    return float(spikes.sum()) / (spikes.shape[2] * max(float(steps[live].sum()), 1e-30))


def _reachable(rate: float, at: Callable[[float, float], float], liquid: LiquidState) -> None:
    quiet, loud = at(0.0, 0.0), at(ENDS[1], 0.0)
    if quiet > rate / ALONE:
        raise StateError(
            f"`liquid` must be quiet without input; got {quiet:.3g} spikes per unit of time (the rate asked for is "
            f"{rate:g}). Lower `bias`, {float(liquid.membrane[2]):g}, below the threshold."
        )
    if loud == 0:
        raise StateError(
            "`liquid` must spike on x; got no spike at any gain (it is silent). Give an x that is not 0 (and of "
            "positive values, if all inputs are), or more `input_density`."
        )
    if loud <= rate:
        raise OptionError(
            f"`rate` must be below what the strongest input brings about, {loud:.3g} spikes per unit of time; "
            f"got {rate:g}. Use a lower rate, more `input_density`, or shorter refractory periods or dt."
        )


def _bisect(rate_at: Callable[[float], float], rate: float, *, rising: bool = True) -> float:
    """Return the gain, between the ends, at which the rate is `rate`; the last call was with it."""
    low, high = ENDS
    for _ in range(HALVINGS):
        gain = (low * high) ** 0.5
        found = rate_at(gain)
        if abs(found - rate) < CLOSE / 10 * rate:
            return gain
        low, high = (gain, high) if (found < rate) == rising else (low, gain)
    gain = (low * high) ** 0.5
    rate_at(gain)
    return gain


def _refuse(found: Activity, rate: float) -> None:
    if found.silent > MOST_SILENT:
        raise StateError(
            f"`liquid` must have at most half of its neurons silent; got {found.silent:.0%} at a rate of "
            f"{found.rate:.3g}. Use more `input_density`, a longer x, or a higher rate."
        )
    if abs(found.rate - rate) > CLOSE * rate:
        over = found.rate > rate
        raise StateError(
            f"`liquid` must reach {rate:g} spikes per unit of time; got {found.rate:.3g} "
            f"({'its activity feeds itself: it is saturated' if over else 'it is nearly silent'}). "
            + ("Use more `inhibitory`, `plasticity=True` or an `adaptation`." if over else "Use more `input_density`.")
        )


def _irregularity(spikes: Tensor, time: Tensor) -> float:
    found = []
    for row, at in zip(spikes, time, strict=True):
        step, neuron = row.nonzero(as_tuple=True)
        order = neuron.argsort(stable=True)
        counts = torch.bincount(neuron, minlength=row.shape[1])
        for times in at[step[order]].split(counts.tolist()):
            if len(times) > 2:
                gaps = times.diff()
                found.append(float(gaps.std(correction=0) / gaps.mean()))
    return sum(found) / len(found) if found else float("nan")


def _branching(spikes: Tensor, live: Tensor) -> float:
    pairs = live[:, 1:]
    now, then = spikes[:, :-1][pairs], spikes[:, 1:][pairs]
    if len(now) < 2 or float(now.var()) == 0:
        return float("nan")
    off = now - now.mean()
    return float((off * (then - then.mean())).sum() / off.square().sum())
