"""Kernel rank and generalisation rank: how many inputs states tell apart, and how many copies of one they do not."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ShapeError, check_range
from ..layers import Layer
from .drive import Array, Times, as_matrix, drive, generator

TOLERANCE = 0.01  # of the largest singular value


def rank(states: Array, *, tolerance: float = TOLERANCE) -> int:
    """Count the singular values of a matrix of states above a fraction of the largest.

    Parameters
    ----------
    states : (..., N)
        One state a row; they are not centred.
    tolerance : float, 0 to 1
        The fraction of the largest singular value that counts as noise.

    Returns
    -------
    int

    Raises
    ------
    ShapeError, DataError
        If `states` is no matrix, or not finite.
    OptionError
        If `tolerance` leaves 0 to 1.

    Examples
    --------
    >>> rank(torch.eye(5)[[0, 1, 1, 2]])
    3
    """
    check_range("tolerance", tolerance, 0, 1)
    s = torch.linalg.svdvals(as_matrix(states))
    return int((s > tolerance * s[0]).sum())


def kernel_rank(layer: Layer, x: Array, *, dt: Times = 1.0, tolerance: float = TOLERANCE) -> int:
    """Count the linearly independent states that different inputs leave behind: how well inputs are told apart.

    `rank of the matrix with rows y_i[T]`, y_i the outputs for input i.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64, from its initial state.
    x : (m, T, F)
        m different inputs; take at least as many as the layer has outputs.
    dt : number, (T,) or (m, T)
        Time between steps.
    tolerance : float, 0 to 1
        The fraction of the largest singular value that counts as noise.

    Returns
    -------
    int
        At most the smaller of m and outputs.

    Raises
    ------
    ShapeError, OptionError, DataError
        As `drive` and `rank`.

    Notes
    -----
    A good reservoir has a kernel rank well above its `generalisation_rank`: it tells inputs apart, and noise not.

    Source
    ------
    Legenstein and Maass 2007, Edge of chaos and prediction of computational performance for neural circuit models,
    Neural Networks 20, section 3; they count every singular value, a tolerance is needed where states are real.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> x = torch.randn(20, 30, 3, generator=torch.Generator().manual_seed(0))
    >>> 1 < kernel_rank(Recurrent(Leaky(3, 8)), x) <= 8
    True
    """
    x = torch.as_tensor(x)
    return rank(_last(layer, x, dt), tolerance=tolerance)


def generalisation_rank(
    layer: Layer, x: Array, *, noise: float = 0.1, count: int | None = None, dt: Times = 1.0,
    tolerance: float = TOLERANCE, seed: int = 0,
) -> int:  # fmt: skip
    """Count the linearly independent states that noisy copies of one input leave behind: lower generalises better.

    `rank of the matrix with rows y_i[T]`, y_i the outputs for copy i.

    Parameters
    ----------
    layer : Layer
        A copy is run, in float64, from its initial state.
    x : (T, F) or (1, T, F)
        One input.
    noise : float, at least 0
        See `jittered`.
    count : int, at least 1, optional
        Copies; the layer's outputs if left out.
    dt : number or (T,)
        Time between steps.
    tolerance : float, 0 to 1
        The fraction of the largest singular value that counts as noise.
    seed : int, at least 0
        Draws the noise.

    Returns
    -------
    int
        At most the smaller of `count` and outputs.

    Raises
    ------
    ShapeError, OptionError, DataError
        As `drive` and `rank`.

    Source
    ------
    Legenstein and Maass 2007, section 4, for the VC dimension of the readout.

    Examples
    --------
    >>> from liquidtorch import Leaky, Recurrent
    >>> generalisation_rank(Recurrent(Leaky(3, 8)), torch.randn(30, 3), noise=0.0)
    1
    """
    count = check_range("count", layer.outputs if count is None else count, 1, whole=True)
    return rank(_last(layer, jittered(x, noise, count, seed=seed), dt), tolerance=tolerance)


def jittered(x: Array, noise: float, count: int, *, seed: int = 0) -> Tensor:
    """Return noisy copies of one input: Gaussian noise, or spikes lost where x is spikes.

    Parameters
    ----------
    x : (T, F) or (1, T, F)
        One input; where it holds nothing but -1, 0 and 1 it is spikes.
    noise : float, at least 0
        Standard deviation in units of each feature's own; of spikes the chance of each to be lost, at most 1.
    count : int, at least 1
        Copies.
    seed : int, at least 0
        Draws the noise.

    Returns
    -------
    (count, T, F) float64 tensor

    Raises
    ------
    ShapeError
        If `x` is not one input.
    OptionError
        If an option is out of range.

    Examples
    --------
    >>> jittered(torch.ones(100, 1), 0.5, 2).sum(dim=1).ravel() < 100
    tensor([True, True])
    """
    x = torch.as_tensor(x).double()
    x = x.squeeze(0) if x.dim() == 3 else x
    if x.dim() != 2:
        raise ShapeError(f"`x` must be one input, (time, features); got {tuple(x.shape)}.")
    draw = generator(seed)
    if is_spikes(x):
        check_range("noise", noise, 0, 1)
        return x * (torch.rand(count, *x.shape, generator=draw) >= noise).to(x)
    check_range("noise", noise, 0)
    return x + noise * x.std(0) * torch.randn(count, *x.shape, generator=draw, dtype=torch.float64).to(x)


def is_spikes(x: Tensor) -> bool:
    """Return whether a tensor holds nothing but -1, 0 and 1."""
    return bool(((x == 0) | (x.abs() == 1)).all())


def _last(layer: Layer, x: Tensor, dt: Times) -> Tensor:
    """Return the outputs after the last step of every row, (B, outputs)."""
    return drive(layer, x, dt=dt, washout=x.shape[1] - 1 if x.dim() == 3 else 0)
