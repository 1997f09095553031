"""Separation: how far apart different inputs drive the states."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ShapeError
from ..layers import Layer
from .drive import Array, Times, drive


class Separation(NamedTuple):
    """Hold the distances of all pairs of inputs, and of the states they lead to.

    Parameters
    ----------
    inputs : (P,) float64 tensor
        Root mean square over steps and features of the difference of two inputs.
    states : (P,) float64 tensor
        Root mean square over outputs of the difference of the two last outputs.
    correlation : float
        Of the two, -1 to 1: whether inputs further apart leave states further apart. NaN where one never varies.
    """

    inputs: Tensor
    states: Tensor
    correlation: float


def separation(layer: Layer, x: Array, *, dt: Times = 1.0) -> Separation:
    """Measure how far apart the states are that different inputs leave behind.

    `states[p] = |y_i[T] - y_j[T]| / sqrt(outputs)`, beside `inputs[p] = |x_i - x_j| / sqrt(T*F)`, for all pairs
    p = (i, j), i < j.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64, from its initial state.
    x : (m, T, F), m at least 2
        Different inputs; P = m*(m-1)/2.
    dt : number, (T,) or (m, T)
        Time between steps.

    Returns
    -------
    Separation

    Raises
    ------
    ShapeError
        If there are less than two inputs.

    Source
    ------
    Maass, Natschlaeger and Markram 2002, Real-time computing without stable states, Neural Computation 14, figure 2.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> separation(Recurrent(Leaky(3, 8)), torch.randn(5, 30, 3)).states.shape
    torch.Size([10])
    """
    x = torch.as_tensor(x).double()
    if x.dim() != 3 or len(x) < 2:
        raise ShapeError(f"`x` must have the shape (batch, time, features) two rows or more; got {tuple(x.shape)}.")
    last = drive(layer, x, dt=dt, washout=x.shape[1] - 1)
    inputs = torch.pdist(x.flatten(1)) / x[0].numel() ** 0.5
    states = (torch.pdist(last) / last.shape[1] ** 0.5).cpu()
    a, b = inputs.cpu() - inputs.cpu().mean(), states - states.mean()
    return Separation(inputs, states, ((a * b).sum() / (a.norm() * b.norm())).item())
