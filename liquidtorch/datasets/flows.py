"""Chaotic flows: Lorenz 1963, Lorenz 1996 and Roessler, exact to rounding over a step."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

import numpy as np

from ..errors import check_range
from .seeds import generator
from .taylor import solve


def lorenz63(steps: int, *, dt: float = 0.02, seed: int = 0) -> np.ndarray:
    """Follow Lorenz' model of convection on its attractor.

    `x' = 10*(y - x)`, `y' = x*(28 - z) - y`, `z' = x*y - 8/3*z`.

    Parameters
    ----------
    steps : int, at least 1
        Number of samples.
    dt : float, above 0
        Time between samples.
    seed : int, at least 0
        Draws the point the series starts from.

    Returns
    -------
    (steps, 3) float64
        x, y, z at times that are exact multiples of dt.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    The largest Lyapunov exponent is 0.9056, a Lyapunov time 1.104. 60 us a sample at dt = 0.02. Two exact solvers
    drift apart by a factor e a Lyapunov time, so from rounding alone they differ by 1 after about 35.

    Source
    ------
    Lorenz 1963, Deterministic nonperiodic flow, J. Atmos. Sci. 20, eq. 25-27.

    Examples
    --------
    >>> lorenz63(1000).shape
    (1000, 3)
    """
    return _on_attractor(_lorenz63, [0.0, 0.0, 25.0], 5.0, 50.0, steps, dt, seed)


def roessler(steps: int, *, dt: float = 0.1, seed: int = 0) -> np.ndarray:
    """Follow Roessler's spiral on its attractor.

    `x' = -y - z`, `y' = x + 0.2*y`, `z' = 0.2 + z*(x - 5.7)`.

    Parameters
    ----------
    steps : int, at least 1
        Number of samples.
    dt : float, above 0
        Time between samples.
    seed : int, at least 0
        Draws the point the series starts from.

    Returns
    -------
    (steps, 3) float64
        x, y, z at times that are exact multiples of dt.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    The largest Lyapunov exponent is 0.0714, a Lyapunov time 14.0. 60 us a sample at dt = 0.1.

    Source
    ------
    Roessler 1976, An equation for continuous chaos, Phys. Lett. A 57, eq. 2, with the usual c = 5.7.

    Examples
    --------
    >>> roessler(1000).shape
    (1000, 3)
    """
    return _on_attractor(_roessler, [0.0, -5.0, 0.0], 1.0, 300.0, steps, dt, seed)


def lorenz96(
    steps: int, *, variables: int = 40, forcing: float = 8.0, dt: float = 0.05, seed: int = 0
) -> np.ndarray:  # fmt: skip
    """Follow Lorenz' ring of coupled variables, a toy of the weather along a latitude.

    `x_i' = (x_(i+1) - x_(i-2))*x_(i-1) - x_i + forcing`, indices around the ring.

    Parameters
    ----------
    steps : int, at least 1
        Number of samples.
    variables : int, at least 4
        Places D on the ring.
    forcing : float
        At 8 a ring of 40 is chaotic.
    dt : float, above 0
        Time between samples; 0.05 stands for six hours.
    seed : int, at least 0
        Draws the point the series starts from.

    Returns
    -------
    (steps, D) float64
        All places at times that are exact multiples of dt.

    Raises
    ------
    OptionError
        If an option is out of range.

    Notes
    -----
    The largest Lyapunov exponent of the defaults is 1.69, a Lyapunov time 0.59. 0.3 ms a sample at dt = 0.05.

    Source
    ------
    Lorenz 1996, Predictability: a problem partly solved, ECMWF Seminar on Predictability, eq. 1.

    Examples
    --------
    >>> lorenz96(100, variables=8).shape
    (100, 8)
    """
    variables = check_range("variables", variables, 4, whole=True)
    check_range("forcing", forcing)
    ring = _Lorenz96(forcing)
    return _on_attractor(ring.expand, [float(forcing)] * variables, 1.0, 30.0, steps, dt, seed)


def _on_attractor(expand, centre: list[float], spread: float, transient: float, steps: int, dt: float, seed: int):
    """Start near `centre` at random, let the transient pass, and sample."""
    steps = check_range("steps", steps, 1, whole=True)
    check_range("dt", dt, 0, open_low=True)
    start = np.array(centre) + spread * generator(seed).uniform(-1, 1, len(centre))
    start = solve(expand, start.tolist(), transient, 1)[-1]
    return np.concatenate([start[None], solve(expand, start.tolist(), dt, steps - 1)]) if steps > 1 else start[None]


def _lorenz63(state: Sequence[float], order: int) -> np.ndarray:
    """Return the Taylor coefficients: those of a product are the convolution of those of its factors."""
    x, y, z = ([value] for value in state)
    for k in range(order):
        xz, xy = sum(map(mul, x, reversed(z))), sum(map(mul, x, reversed(y)))
        dx, dy, dz = 10 * (y[k] - x[k]), 28 * x[k] - y[k] - xz, xy - 8 / 3 * z[k]
        x.append(dx / (k + 1))
        y.append(dy / (k + 1))
        z.append(dz / (k + 1))
    return np.array([x, y, z]).T


def _roessler(state: Sequence[float], order: int) -> np.ndarray:
    x, y, z = ([value] for value in state)
    for k in range(order):
        zx = sum(map(mul, z, reversed(x)))
        dx, dy, dz = -y[k] - z[k], x[k] + 0.2 * y[k], 0.2 * (k == 0) + zx - 5.7 * z[k]
        x.append(dx / (k + 1))
        y.append(dy / (k + 1))
        z.append(dz / (k + 1))
    return np.array([x, y, z]).T


class _Lorenz96:
    def __init__(self, forcing: float) -> None:
        self.forcing = forcing

    def expand(self, state: Sequence[float], order: int) -> np.ndarray:
        ring = np.empty((order + 1, len(state) + 3))  # two places before the first and one after the last, as copies
        slope = np.empty((order + 1, len(state)))
        a, before = ring[:, 2:-1], ring[:, 1:-2]
        a[0] = state
        for k in range(order):
            ring[k, :2], ring[k, -1] = a[k, -2:], a[k, 0]
            np.subtract(ring[k, 3:], ring[k, :-3], out=slope[k])
            product = (slope[: k + 1] * before[k::-1]).sum(axis=0)
            a[k + 1] = (product - a[k] + (self.forcing if k == 0 else 0.0)) / (k + 1)
        return a
