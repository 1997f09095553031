"""The echo-state property, tried out: whether a layer forgets where it started."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..cells import Spec
from ..errors import OptionError, check_range
from ..layers import Layer
from .drive import Array, Times, generator, ready

FORGOTTEN = 1e-3  # of the outputs' root mean square


class Echo(NamedTuple):
    """Hold what became of different starts.

    Parameters
    ----------
    index : float
        Distance of states at the end over that at the start, the mean over pairs: near 0 the start is forgotten.
    washout : int or None
        The first step from which all outputs agree to a thousandth of their root mean square: leave so many steps out
        before learning. None where they never do.
    apart : (T,) tensor
        At each step, the distance of outputs that started differently over their root mean square, the largest of all
        pairs.
    """

    index: float
    washout: int | None
    apart: Tensor


def echo_index(layer: Layer, x: Array, *, dt: Times = 1.0, starts: int = 4, seed: int = 0) -> Echo:
    """Start a layer from different states, feed all the same input, and measure whether they meet.

    `index = mean over i of |h_i[T] - h_0[T]| / |h_i[0] - h_0[0]|`, h_0 from the initial state, h_i from a random one.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64.
    x : (B, T, F)
        The inputs; whether a network forgets depends on them.
    dt : number, (T,) or (B, T)
        Time between steps.
    starts : int, at least 1
        Random states a row: uniform within the bounds of `layer.state_spec()`, and where there are none, Gaussian
        with the mean and spread of the state at the end of x.
    seed : int, at least 0
        Draws them.

    Returns
    -------
    Echo

    Raises
    ------
    ShapeError, OptionError, DataError
        As `drive`; OptionError also for a layer that reads ahead and so has no one start.

    Notes
    -----
    A trial, not a proof: an index near 0 says that these starts met, on this input. A layer with several attractors
    shows an index near 1. Costs B*(starts + 1) rows.

    Source
    ------
    Jaeger 2001, The "echo state" approach, GMD report 148, definition 1.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> echo_index(Recurrent(Leaky(1, 8, tau=2.0)), torch.randn(1, 500, 1)).index < 1e-6
    True
    """
    starts = check_range("starts", starts, 1, whole=True)
    layer, x, dt = ready(layer, x, dt)
    if not layer.causal:
        raise OptionError(f"`layer` must be causal; got {type(layer).__name__}, which reads ahead.")
    draw, batch = generator(seed), len(x)
    with torch.no_grad():
        y, end = layer(x, dt=dt)
        begin = parts(layer.initial(batch))
        others = [
            _random(spec, a, starts * batch, draw) for spec, a in zip(layer.state_spec(), parts(end), strict=True)
        ]
        y_other, end_other = layer(x.repeat(starts, 1, 1), whole(layer, others), dt=dt.repeat(starts, 1))
    before = _distance(others, [a.repeat(starts, 1) for a in begin])
    after = _distance(parts(end_other), [a.repeat(starts, 1) for a in parts(end)])
    apart = (y_other - y.repeat(starts, 1, 1)).square().mean(-1).sqrt().amax(0)  # (T,)
    size = y.square().mean().sqrt()
    far = (apart > FORGOTTEN * size).nonzero()
    washout = int(far[-1]) + 1 if len(far) else 0
    return Echo((after / before).mean().item(), washout if washout < x.shape[1] else None, (apart / size).cpu())


def parts(h: Any) -> list[Tensor]:
    """Return the tensors of a state."""
    return [h] if isinstance(h, Tensor) else list(h)


def whole(layer: Layer, tensors: list[Tensor]) -> Any:
    """Return tensors as a state of the layer."""
    return tensors[0] if layer.State is None else layer.State(*tensors)


def _random(spec: Spec, end: Tensor, count: int, draw: torch.Generator) -> Tensor:
    if math.isfinite(spec.low) and math.isfinite(spec.high):
        drawn = torch.rand(count, spec.width, generator=draw, dtype=torch.float64)
        return spec.low + (spec.high - spec.low) * drawn.to(end)
    spread = end.std().item() if end.numel() > 1 else 0.0
    drawn = torch.randn(count, spec.width, generator=draw, dtype=torch.float64).to(end)
    return (end.mean() + (spread or 1.0) * drawn).clamp(spec.low, spec.high)


def _distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    return torch.cat([p - q for p, q in zip(a, b, strict=True)], dim=1).norm(dim=1)
