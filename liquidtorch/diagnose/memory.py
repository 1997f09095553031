"""Linear memory capacity: how many past inputs can be read off the states of now."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import OptionError, check_range
from ..layers import Layer
from .drive import Array, Times, device_of, drive, generator


class Memory(NamedTuple):
    """Hold a linear memory capacity.

    Parameters
    ----------
    total : float
        The sum of `curve`, at most the number of outputs.
    curve : (features, delays + 1) float64 tensor
        The share of each delayed input that a linear readout recovers, delay 0 first: 0 to 1 but for scatter.
    """

    total: float
    curve: Tensor


def memory_capacity(
    layer: Layer, *, delays: int | None = None, steps: int = 10_000, washout: int = 200,
    low: float | Array = -1.0, high: float | Array = 1.0, dt: Times = 1.0, seed: int = 0,
) -> Memory:  # fmt: skip
    """Measure how much of past inputs a linear readout of the states recovers.

    `MC = sum over k of cov(u[t-k], readout_k(y[t])) / var(u)`, u white and uniform, on a part of the series that the
    readouts were not solved on. Of the best readouts these are the squared correlations of the definition; of readouts
    solved from finitely many steps the covariance alone has no floor, for it is linear in their weights.

    Parameters
    ----------
    layer : Layer
        Its outputs y are the states; a copy is run, in float64.
    delays : int, at least 0, optional
        The longest delay K; twice the number of outputs if left out.
    steps : int, at least 8 times the outputs
        Samples; the first half solves the readouts, the second scores them.
    washout : int, at least 0
        Steps before them that are not looked at.
    low, high : float or (F,)
        The range of the inputs, of each feature its own.
    dt : number or (T,), T = washout + K + steps
        Time between steps.
    seed : int, at least 0
        Draws the inputs.

    Returns
    -------
    Memory
        `total` and the `curve` over delays, of each feature.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    Delay 0 counts: with it a linear network of N states, none of them a sum of others, has N in total; subtract
    `curve[:, 0]` for sums from delay 1. Several features are driven at once, each by inputs of its own, and share the
    N. Values are unbiased, so a delay that is forgotten scatters around 0 by `2*sqrt(N)/steps` and may be below, and
    the total by up to `2*N*sqrt(K)/steps`. One run of the layer and least squares of steps/2
    rows: O(steps * N^2).

    Source
    ------
    Jaeger 2001, Short term memory in echo state networks, GMD report 152, definition 1 and proposition 2. Scoring on
    other steps, without a square, is ours: in sample chance adds N/steps a delay, and sums exceed N.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> layer = Recurrent(Leaky(1, 8, tau=2.0))
    >>> 0.5 < memory_capacity(layer, steps=2000).total <= 8
    True
    """
    delays = check_range("delays", 2 * layer.outputs if delays is None else delays, 0, whole=True)
    u, y = respond(layer, delays, steps, washout, low, high, dt, seed)
    half = len(y) // 2
    wanted = lagged(u, delays).flatten(1)
    design = torch.cat([y, torch.ones_like(y[:, :1])], dim=1)
    weights = torch.linalg.lstsq(design[:half].cpu(), wanted[:half].cpu(), driver="gelsd").solution.to(y.device)
    read, wanted = design[half:] @ weights, wanted[half:] - wanted[half:].mean(0)
    curve = ((read * wanted).sum(0) / wanted.square().sum(0)).view(delays + 1, -1).T.cpu()
    return Memory(curve.sum().item(), curve)


def respond(
    layer: Layer, delays: int, steps: int, washout: int, low: float | Array, high: float | Array, dt: Times, seed: int
) -> tuple[Tensor, Tensor]:
    """Return white inputs, (delays + steps, F) uniform in -1 to 1, and the states of the last `steps`, (steps, N).

    The layer is fed the inputs scaled to low and high.
    """
    steps = check_range("steps", steps, 8 * layer.outputs, whole=True)
    washout = check_range("washout", washout, 0, whole=True)
    device = device_of(layer)
    low, high = (torch.as_tensor(v, dtype=torch.float64, device=device) for v in (low, high))
    if not bool((high > low).all()):
        raise OptionError(f"`high` must be above `low`; got {high.tolist()} and {low.tolist()}.")
    u = torch.rand(washout + delays + steps, layer.features, generator=generator(seed), dtype=torch.float64) * 2 - 1
    u = u.to(device)
    y = drive(layer, (low + (high - low) * (u + 1) / 2).unsqueeze(0), dt=dt)
    return u[washout:], y[washout + delays :]


def lagged(u: Tensor, delays: int) -> Tensor:
    """Return u (delays + steps, F) at every delay, (steps, delays + 1, F), delay 0 first."""
    return u.unfold(0, delays + 1, 1).flip(-1).transpose(1, 2)
