"""Layers run for being looked at: a copy in float64 that learns nothing, and the matrices that measures are made of."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, OptionError, ShapeError, check_range, check_shape
from ..layers import Layer

Array = Tensor | np.ndarray
Times = float | Sequence[float] | Array


def drive(layer: Layer, x: Array, *, dt: Times = 1.0, washout: int = 0) -> Tensor:
    """Run a layer and return its outputs as a matrix of states.

    Parameters
    ----------
    layer : Layer
        Its outputs y are what a readout sees of it, and so what is measured; a copy is run, in float64.
    x : (B, T, F)
        The inputs.
    dt : number, (T,) or (B, T)
        Time between steps.
    washout : int, 0 to T - 1
        Steps left out at the start of every row.

    Returns
    -------
    (B * (T - washout), outputs) float64 tensor
        Row after row.

    Raises
    ------
    ShapeError
        If `x` or `dt` does not fit.
    OptionError
        If `layer` is no Layer or `washout` leaves nothing.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> drive(Recurrent(Leaky(3, 8)), torch.randn(2, 50, 3), washout=10).shape
    torch.Size([80, 8])
    """
    layer, x, dt = ready(layer, x, dt)
    washout = check_range("washout", washout, 0, x.shape[1] - 1, whole=True)
    with torch.no_grad():
        return layer(x, dt=dt)[0][:, washout:].flatten(0, 1)


def still(layer: Layer) -> Layer:
    """Return a copy of a layer in float64 that has no gradients and no dropout."""
    if not isinstance(layer, Layer):
        raise OptionError(f"`layer` must be a Layer; got {type(layer).__name__}. Wrap a cell: Recurrent(cell).")
    return copy.deepcopy(layer).double().eval().requires_grad_(False)


def ready(layer: Layer, x: Array, dt: Times) -> tuple[Layer, Tensor, Tensor]:
    """Return a still copy of the layer, x (B, T, F) and dt (B, T), in float64."""
    layer = still(layer)
    x = torch.as_tensor(x)
    if x.dim() != 3:
        raise ShapeError(f"`x` must have the shape (batch, time, features={layer.features}); got {tuple(x.shape)}.")
    check_shape("x", x.shape, ("batch", "time", "features"), features=layer.features)
    x = x.detach().to(device_of(layer), torch.float64)
    if not bool(x.isfinite().all()):
        row, time, column = (~x.isfinite()).nonzero()[0].tolist()
        raise DataError(f"`x` must be finite; got {x[row, time, column]} (row {row}, time {time}, column {column}).")
    return layer, x, grid(dt, x)


def device_of(layer: Layer) -> torch.device:
    """Return the device of a layer's numbers."""
    return next((t.device for t in [*layer.parameters(), *layer.buffers()]), torch.device("cpu"))


def grid(dt: Times, x: Tensor) -> Tensor:
    """Return dt, a number, (T,) or (B, T), as (B, T)."""
    found = torch.as_tensor(dt, dtype=torch.float64, device=x.device)
    if found.shape not in [(), x.shape[1:2], x.shape[:2]]:
        raise ShapeError(
            f"`dt` must be a number or have the shape (time={x.shape[1]},) or (batch={len(x)}, time={x.shape[1]}); "
            f"got {tuple(found.shape)}."
        )
    return found.expand(x.shape[:2])


def as_matrix(states: Array, name: str = "states") -> Tensor:
    """Return states (..., N) as a float64 matrix, one state a row, or say why they are none."""
    found = torch.as_tensor(states).detach().double()
    if found.dim() < 2 or found.numel() == 0:
        raise ShapeError(f"`{name}` must have the shape (..., units), one state or more; got {tuple(found.shape)}.")
    found = found.flatten(0, -2)
    if not bool(found.isfinite().all()):
        raise DataError(f"`{name}` must be finite; got NaN or infinity.")
    return found


def generator(seed: int) -> torch.Generator:
    """Return torch's generator for a seed of at least 0."""
    return torch.Generator().manual_seed(check_range("seed", seed, 0, whole=True))
