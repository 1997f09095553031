"""The largest conditional Lyapunov exponent: how fast a driven layer's nearby states part or meet."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import OptionError, ShapeError, check_choice, check_range
from ..layers import Layer
from .drive import Array, Times, generator, ready
from .echo import parts, whole
from .rank import is_spikes

CHUNK = 10  # steps between two renormalisations of the gradient
LEAST = 3 * CHUNK  # steps: one chunk to measure between two to leave out
SATURATED = 0.1  # of the spread of states: there a distance grows no more as a small one does
SMALLEST = 1e-12  # of the spread of states: there it is rounding


def lyapunov(
    layer: Layer, x: Array, *, dt: Times = 1.0, method: str = "auto", washout: int | None = None, size: float = 1e-6,
    copies: int = 16, seed: int = 0,
) -> float:  # fmt: skip
    """Measure the largest Lyapunov exponent of a layer under its input: negative forgets, positive is chaos.

    `lim 1/t * log |v[t]|`, with `v[t] = J[t] v[t-1]`, J the Jacobian of the state after a step by the state before.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64.
    x : (B, T, F)
        The inputs; the exponent is conditional on them.
    dt : number, (T,) or (B, T)
        Time between steps; the exponent is per unit of dt.
    method : "auto", "gradient" or "perturbation"
        "gradient" multiplies by exact Jacobians, for layers that are smooth. "perturbation" changes the input of one
        step and fits how the states' distance goes on from there, for layers that spike. "auto" takes the second where
        a module of the layer has an attribute `spiking` that is true.
    washout : int, 0 to T/2 - 10, optional
        Steps left out at the start, where the state still comes from its initial value, and by "gradient" at the end
        too, where the gradient still has the direction it was drawn with; a tenth of T if left out.
    size : float, above 0
        Perturbation only: standard deviation of the change, in units of that of x. Where x is spikes one of them is
        flipped instead.
    copies : int, at least 1
        Perturbation only: changes tried on each row.
    seed : int, at least 0
        Draws the gradient at the end, or the changes.

    Returns
    -------
    float
        The mean over rows, per unit of dt; -inf where a change is forgotten at once.

    Raises
    ------
    ShapeError, OptionError, DataError
        As `drive`; OptionError also for a layer that reads ahead.

    Notes
    -----
    Gradient: a forward and a backward pass, in chunks of 10 steps, from the end to the start; `J^T` has the exponents of
    J, and gradients have kernels where tangents have none. Scatter falls with 1/sqrt(B*T). Perturbation: fits the logarithm of
    the mean distance from the change on, until it reaches a tenth of the states' spread, or rounding, or the end; with
    spikes it is an average slope over few steps, so trust its sign more than its digits.

    Source
    ------
    Gradient: Benettin, Galgani, Giorgilli and Strelcyn 1980, Meccanica 15, on the transposed products. Perturbation: Legenstein and Maass 2007, What
    makes a dynamical system computationally powerful?, section 4.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> layer = Recurrent(Leaky(1, 8, tau=2.0))
    >>> lyapunov(layer, torch.randn(2, 200, 1)) < 0
    True
    """
    check_choice("method", method, ("auto", "gradient", "perturbation"))
    check_range("size", size, 0, open_low=True)
    copies = check_range("copies", copies, 1, whole=True)
    layer, x, dt = ready(layer, x, dt)
    if not layer.causal:
        raise OptionError(f"`layer` must be causal; got {type(layer).__name__}, which reads ahead.")
    steps = x.shape[1]
    if steps < LEAST:
        raise ShapeError(f"`x` must have {LEAST} steps or more; got {steps}.")
    washout = check_range("washout", steps // 10 if washout is None else washout, 0, steps // 2 - CHUNK, whole=True)
    if method == "auto":
        spiking = any(getattr(module, "spiking", False) for module in layer.modules())
        method = "perturbation" if spiking else "gradient"
    draw = generator(seed)
    with torch.no_grad():
        if method == "gradient":
            return _adjoint(layer, x, dt, washout, draw)
        return _perturbation(layer, x, dt, washout, size, copies, draw)


def _adjoint(layer: Layer, x: Tensor, dt: Tensor, washout: int, draw: torch.Generator) -> float:
    h = layer.initial(len(x))
    cuts = [slice(i, min(i + CHUNK, x.shape[1])) for i in range(0, x.shape[1], CHUNK)]
    starts = []
    for cut in cuts:
        starts.append(parts(h))
        h = layer(x[:, cut], h, dt=dt[:, cut])[1]
    g = [torch.randn(a.shape, generator=draw, dtype=torch.float64).to(a) for a in parts(h)]
    grown, time = torch.zeros(2, len(x), dtype=torch.float64, device=x.device)
    for start, cut in zip(reversed(starts), reversed(cuts), strict=True):
        g = _pulled_back(layer, start, g, x[:, cut], dt[:, cut])
        size = torch.cat(g, dim=1).norm(dim=1, keepdim=True)
        if bool((size == 0).any()):
            return -math.inf
        g = [a / size for a in g]
        if washout <= cut.start and cut.stop <= x.shape[1] - washout:
            grown, time = grown + size.log().squeeze(1), time + dt[:, cut].sum(1)
    return (grown / time).mean().item()


@torch.enable_grad()
def _pulled_back(layer: Layer, start: list[Tensor], g: list[Tensor], x: Tensor, dt: Tensor) -> list[Tensor]:
    """Return J^T g, J the Jacobian of the state after some steps by the state before."""
    start = [a.detach().requires_grad_() for a in start]
    end = parts(layer(x, whole(layer, start), dt=dt)[1])
    felt = [(a, b) for a, b in zip(end, g, strict=True) if a.requires_grad]  # not what x alone decides
    if not felt:
        return [torch.zeros_like(a) for a in start]
    return list(torch.autograd.grad([a for a, _ in felt], start, [b for _, b in felt], materialize_grads=True))


def _perturbation(
    layer: Layer, x: Tensor, dt: Tensor, washout: int, size: float, copies: int, draw: torch.Generator
) -> float:  # fmt: skip
    h = layer(x[:, :washout], dt=dt[:, :washout])[1] if washout else layer.initial(len(x))
    h = whole(layer, [a.repeat_interleave(copies + 1, 0) for a in parts(h)])
    now, dt = x[:, washout].repeat_interleave(copies + 1, 0), dt[:, washout:]
    now = _changed(now, x, size, copies, draw)
    states = []
    for t in range(washout, x.shape[1]):
        fed = now if t == washout else x[:, t].repeat_interleave(copies + 1, 0)
        at = dt[:, t - washout].repeat_interleave(copies + 1, 0).unsqueeze(1)
        h = layer(fed.unsqueeze(1), h, dt=at)[1]
        states.append(torch.cat(parts(h), dim=1))
    every = torch.stack(states, dim=1).unflatten(0, (len(x), copies + 1))  # (B, copies + 1, steps, width)
    apart = (every[:, 1:] - every[:, :1]).norm(dim=-1).mean(1)  # (B, steps)
    spread = (every[:, 0] - every[:, 0].mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt()
    return sum(_slope(a, s, t) for a, s, t in zip(apart, spread, dt.cumsum(1), strict=True)) / len(x)


def _changed(now: Tensor, x: Tensor, size: float, copies: int, draw: torch.Generator) -> Tensor:
    """Return the inputs of one step, (B * (copies + 1), F), changed in all rows but the first of each row of x."""
    other = torch.arange(len(now)) % (copies + 1) != 0
    if is_spikes(x):
        place = torch.randint(now.shape[1], (len(now),), generator=draw)
        flip = torch.nn.functional.one_hot(place, now.shape[1]).bool() & other.unsqueeze(1)
        return torch.where(flip.to(now.device), (now == 0).to(now), now)
    noise = torch.randn(now.shape, generator=draw, dtype=torch.float64).to(now) * (x.std() or 1.0)
    return now + size * noise * other.unsqueeze(1).to(now)


def _slope(apart: Tensor, spread: Tensor, time: Tensor) -> float:
    """Return the slope of log(apart) over time by least squares, while a distance is neither rounding nor large."""
    if apart[0] == 0:
        return -math.inf
    wrong = ((apart > SATURATED * spread) | (apart <= SMALLEST * spread)).nonzero()
    later = wrong[wrong > 0]
    stop = int(later[0]) + 1 if len(later) else len(apart)
    if apart[stop - 1] == 0:
        stop -= 1
    if stop < 2:
        return -math.inf
    t, log = time[:stop] - time[:stop].mean(), apart[:stop].log()
    return ((t * log).sum() / t.square().sum()).item()
