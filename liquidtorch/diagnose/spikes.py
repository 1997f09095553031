"""What spikes look like, and what they cost."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DataError, check_range, check_shape
from .drive import Array

SATURATED = 0.5  # spikes a step


class Rates(NamedTuple):
    """Hold the statistics of spikes.

    Parameters
    ----------
    mean : float
        Spikes a unit and unit of time.
    silent : float
        Fraction of units that never spike.
    saturated : float
        Fraction of units that spike in more than half of the steps.
    cv : float
        Coefficient of variation of intervals between spikes, the mean over units: 0 a clock, 1 a Poisson process, more
        is bursts. NaN where no unit has two intervals.
    fano : float
        Variance over mean of counts in windows, the mean over units that spike: 1 a Poisson process. NaN where none
        does, or there is one window only.
    """

    mean: float
    silent: float
    saturated: float
    cv: float
    fano: float


class Operations(NamedTuple):
    """Hold what an inference, one row, costs on hardware that works by events.

    Parameters
    ----------
    spikes : float
        Spikes a row.
    synaptic : float
        Additions at synapses a row.
    dense : float
        Multiply-adds a row of the same connections computed at every step.
    """

    spikes: float
    synaptic: float
    dense: float


def rates(spikes: Array, *, dt: float = 1.0, window: int = 20) -> Rates:
    """Describe spikes: how many, how evenly over units, how regular.

    `cv_i = std(intervals_i)/mean(intervals_i)`, `fano_i = var(counts_i)/mean(counts_i)`.

    Parameters
    ----------
    spikes : (B, T, N) or (T, N)
        0 or 1.
    dt : float, above 0
        Length of a step.
    window : int, 1 to T
        Steps a count is taken over; what is left at the end of a row is not counted.

    Returns
    -------
    Rates

    Raises
    ------
    ShapeError, DataError
        If `spikes` has other axes, or holds something else than 0 and 1.
    OptionError
        If an option is out of range.

    Notes
    -----
    In discrete time a Bernoulli train of p spikes a step has cv = sqrt(1-p) and fano = 1-p. The intervals of a unit are
    taken together from all rows; few of them, or a window longer than them, bias both down.

    Source
    ------
    Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4.

    Examples
    --------
    >>> rates(torch.tensor([[1, 0], [0, 0]] * 50)).silent
    0.5
    """
    s = _checked(spikes)
    check_range("dt", dt, 0, open_low=True)
    window = check_range("window", window, 1, s.shape[1], whole=True)
    each = s.mean((0, 1))
    return Rates(
        (each.mean() / dt).item(), (each == 0).double().mean().item(), (each > SATURATED).double().mean().item(),
        _variation(s), _fano(s, window),
    )  # fmt: skip


def operations(spikes: Array, fan_out: float | Array) -> Operations:
    """Count the spikes of an inference and the additions at synapses that they cause.

    `synaptic = sum over t, i of spikes[t, i]*fan_out[i]`, `dense = T*sum over i of fan_out[i]`.

    Parameters
    ----------
    spikes : (B, T, N) or (T, N)
        0 or 1, of the units that send.
    fan_out : number or (N,)
        Synapses that leave each unit.

    Returns
    -------
    Operations
        Means over rows. For several populations, or inputs too, add up.

    Raises
    ------
    ShapeError, DataError
        If `spikes` has other axes, or holds something else than 0 and 1, or `fan_out` has another length.

    Source
    ------
    Merolla et al. 2014, A million spiking-neuron integrated circuit, Science 345, synaptic operations.

    Examples
    --------
    >>> operations(torch.tensor([[1, 0], [1, 1]]), fan_out=[10, 3])
    Operations(spikes=3.0, synaptic=23.0, dense=26.0)
    """
    s = _checked(spikes)
    fan_out = torch.as_tensor(fan_out, dtype=torch.float64, device=s.device)
    if fan_out.dim():
        check_shape("fan_out", fan_out.shape, ("units",), units=s.shape[2])
    every = fan_out.expand(s.shape[2])
    count = s.sum(1).mean(0)
    return Operations(count.sum().item(), (count @ every).item(), s.shape[1] * every.sum().item())


def _checked(spikes: Array) -> Tensor:
    s = torch.as_tensor(spikes).double()
    s = s.unsqueeze(0) if s.dim() == 2 else s
    check_shape("spikes", s.shape, ("batch", "time", "units"))
    if not bool(((s == 0) | (s == 1)).all()):
        wrong = s[(s != 0) & (s != 1)][0].item()
        raise DataError(f"`spikes` must be 0 or 1; got {wrong:g}. Give spikes, not traces or voltages.")
    return s


def _variation(s: Tensor) -> float:
    row, unit, time = s.transpose(1, 2).nonzero().unbind(1)  # in the order of rows, units, time
    same = (row.diff() == 0) & (unit.diff() == 0)
    interval, unit = time.diff()[same].double(), unit[1:][same]
    count, total, square = (
        torch.bincount(unit, weights, s.shape[2]) for weights in (torch.ones_like(interval), interval, interval**2)
    )
    enough = count >= 2
    mean = (total / count)[enough]
    variance = (square[enough] - count[enough] * mean**2).clamp(min=0) / (count[enough] - 1)
    return (variance.sqrt() / mean).mean().item()


def _fano(s: Tensor, window: int) -> float:
    counts = s[:, : s.shape[1] // window * window].unflatten(1, (-1, window)).sum(2).flatten(0, 1)  # (windows, N)
    counts = counts[:, counts.sum(0) > 0]
    if len(counts) < 2 or counts.shape[1] == 0:
        return math.nan
    return (counts.var(0) / counts.mean(0)).mean().item()
