"""Differential equations solved by their Taylor series, to the last digits of float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

ORDER = 20  # -ln(eps)/2 + 1, the cheapest order for float64 (Jorba and Zou 2005, section 3.2)
Expand = Callable[[Sequence[float], int], np.ndarray]


def solve(expand: Expand, start: Sequence[float], dt: float, steps: int, order: int = ORDER) -> np.ndarray:
    """Return the solution of a differential equation at the times dt, 2*dt, ..., steps*dt.

    Parameters
    ----------
    expand : function (state (D,), order) -> (order + 1, D)
        The coefficients of the solution's Taylor series about a state.
    start : (D,)
        The state at time 0.
    dt : float, above 0
        Time between samples.
    steps : int, at least 1
        Number of samples.
    order : int, at least 2
        Order of the series.

    Returns
    -------
    (steps, D) float64

    Notes
    -----
    A series is trusted up to 1/e^2 of its radius of convergence, as its last two coefficients tell it, so that what is
    left out is at the size of rounding; it gives all samples in its reach. Sample times are exact multiples of dt.

    Source
    ------
    Jorba and Zou 2005, A software package for the numerical integration of ODEs by means of high-order Taylor methods,
    Experimental Mathematics 14, section 3.

    Examples
    --------
    >>> def growth(state, order):  # x' = x: the coefficients are x/k!
    ...     return np.array([[state[0] / math.factorial(k)] for k in range(order + 1)])
    >>> bool(abs(solve(growth, [1.0], 0.5, 4)[-1, 0] - math.exp(2)) < 1e-14)
    True
    """
    found = np.empty((steps, len(start)))
    state, done = np.asarray(start, float), 0
    gone = 0.0  # time since the last sample, where a step is shorter than dt
    while done < steps:
        series = expand(state.tolist(), order)
        reach = _reach(series)
        ready = int(min((gone + reach) / dt * (1 + 1e-12), steps - done))
        if ready:
            times = dt * np.arange(1, ready + 1) - gone
            found[done : done + ready] = _values(series, times)
            state, done, gone = found[done + ready - 1], done + ready, 0.0
        else:
            state, gone = _values(series, np.array([reach]))[0], gone + reach
    return found


def _reach(series: np.ndarray) -> float:
    """Return how long a step may be: 1/e^2 of the radius of convergence (Jorba and Zou, eq. 3-8)."""
    size = np.abs(series).max(axis=1)
    scale, order = max(size[0], 1e-300), len(series) - 1
    radii = [(scale / size[k]) ** (1 / k) for k in (order - 1, order) if size[k] > 0]
    return min(radii, default=math.inf) / math.e**2


def _values(series: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the polynomial with coefficients `series` (order + 1, D) at `times` (n,), as (n, D): Horner's rule."""
    found = np.tile(series[-1], (len(times), 1))
    for coefficient in series[-2::-1]:
        found = found * times[:, None] + coefficient
    return found
