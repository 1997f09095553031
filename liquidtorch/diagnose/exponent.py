"""The largest conditional Lyapunov exponent: how fast a driven layer's nearby states part or meet."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import OptionError, ShapeError, check_choice, check_range
from ..layers import Layer
from .drive import Array, Times, generator, ready
from .echo import parts, whole
from .rank import is_spikes

CHUNK = 10  # steps between two renormalisations of the gradient
LEAST = 3 * CHUNK  # steps: one chunk to measure between two to leave out
SATURATED = 0.5  # of the spread of states: there a distance grows no more as a small one does
SMALLEST = 1e-12  # of the spread of states: there it is rounding
PROBE = 1e-6  # a change of the input small enough to cross no threshold


def lyapunov(
    layer: Layer, x: Array, *, dt: Times = 1.0, method: str = "auto", washout: int | None = None,
    size: float | None = None, copies: int = 16, seed: int = 0,
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
    size : float, above 0, optional
        Perturbation only: how far the change moves the state, in units of the state's spread over time; 1e-6 if left
        out, 0.02 for layers that spike. Where x is spikes, one place is flipped instead.
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
    Gradient: a forward and a backward pass, in chunks of 10 steps, from the end to the start; `J^T` has the exponents
    of J, and gradients have kernels where tangents have none. Scatter falls with 1/sqrt(B*T). Perturbation: fits the
    logarithm of the mean distance from the change on, until it reaches half of the state's spread, or rounding, or
    the end. An infinitesimal change moves no spike and dies with the leak, whatever the network does, so the size of a
    change counts; the slope is over few steps: trust its sign more than its digits.

    Source
    ------
    Gradient: Benettin, Galgani, Giorgilli and Strelcyn 1980, Meccanica 15, on the transposed products. Perturbation:
    Legenstein and Maass 2007, What makes a dynamical system computationally powerful?, section 4.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> layer = Recurrent(Leaky(1, 8, tau=2.0))
    >>> lyapunov(layer, torch.randn(2, 200, 1)) < 0
    True
    """
    check_choice("method", method, ("auto", "gradient", "perturbation"))
    copies = check_range("copies", copies, 1, whole=True)
    layer, x, dt = ready(layer, x, dt)
    if not layer.causal:
        raise OptionError(f"`layer` must be causal; got {type(layer).__name__}, which reads ahead.")
    steps = x.shape[1]
    if steps < LEAST:
        raise ShapeError(f"`x` must have {LEAST} steps or more; got {steps}.")
    washout = check_range("washout", steps // 10 if washout is None else washout, 0, steps // 2 - CHUNK, whole=True)
    spiking = any(getattr(module, "spiking", False) for module in layer.modules())
    if method == "auto":
        method = "perturbation" if spiking else "gradient"
    if size is None:
        size = 0.02 if spiking else 1e-6
    check_range("size", size, 0, open_low=True)
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
    h = layer.initial(len(x))
    if washout:
        h = layer(x[:, :washout], dt=dt[:, :washout])[1]
    x, dt = x[:, washout:], dt[:, washout:]
    own = _states(layer, x, h, dt)  # (B, T, width)
    spread = (own - own.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt()  # (B,)

    h = whole(layer, [a.repeat_interleave(copies, 0) for a in parts(h)])
    own, x, dt = (a.repeat_interleave(copies, 0) for a in (own, x, dt))
    if is_spikes(x):
        place = torch.randint(x.shape[2], (len(x),), generator=draw).to(x.device)
        here = torch.nn.functional.one_hot(place, x.shape[2]).bool()
        first = torch.where(here, (x[:, 0] == 0).to(x), x[:, 0])
    else:  # so far that the states are moved by `size`; until a threshold is reached, that is in proportion
        change = PROBE * torch.randn(x[:, 0].shape, generator=draw, dtype=torch.float64).to(x)
        moved = _states(layer, (x[:, 0] + change).unsqueeze(1), h, dt[:, :1])[:, 0] - own[:, 0]
        wanted = size * spread.repeat_interleave(copies, 0)
        first = x[:, 0] + change * (wanted / moved.norm(dim=1)).nan_to_num(posinf=0.0).unsqueeze(1)
    others = _states(layer, torch.cat([first.unsqueeze(1), x[:, 1:]], dim=1), h, dt)
    apart = (others - own).norm(dim=-1).unflatten(0, (-1, copies)).mean(1)  # (B, T)
    time = dt[::copies].cumsum(1)
    return sum(_slope(a, s, t) for a, s, t in zip(apart, spread, time, strict=True)) / len(apart)


def _states(layer: Layer, x: Tensor, h: Any, dt: Tensor) -> Tensor:
    """Return all of the state after every step, (B, T, width)."""
    found = []
    for t in range(x.shape[1]):
        h = layer(x[:, t : t + 1], h, dt=dt[:, t : t + 1])[1]
        found.append(torch.cat(parts(h), dim=1))
    return torch.stack(found, dim=1)


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
