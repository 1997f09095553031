"""Lag: an error that goes with what was long ago, and the band of time constants that would remember it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import check_range

Array = NDArray[np.float64]


class Found(NamedTuple):
    """The lag, in steps, at which the error goes most with what was, and the correlation."""

    lag: int
    correlation: float


class Lag:
    """Correlate the error with inputs and errors of up to L steps ago.

    `r_k = corr(e[t], z[t-k])`, z = [x, e], over about `memory` rows, for every k from 1 to L.

    Parameters
    ----------
    features, outputs : int, at least 1
        The widths F of x and O of the error.
    longest : int, at least 2
        L, in steps.
    memory : float, at least 2
        How many rows are averaged over.

    Notes
    -----
    L*(F+O)*O multiply-adds a row. A correlation counts beyond `significance` standard errors, 1/sqrt(rows): with 5,
    chance passes in one of a million. Where inputs or errors are slow, standard errors are larger than that; look at
    the error after its own mean is gone, and at the size of what is found. `arrays()` is all of its state.

    Source
    ------
    Residuals that go with past inputs tell what a model lacks: Box, Jenkins and Reinsel 2008, section 12.3. That they
    tell the time constants of units to grow is ours.

    Examples
    --------
    >>> rng, lag = np.random.default_rng(0), Lag(1, 1, longest=64, memory=2000)
    >>> x = rng.normal(size=(3000, 1))
    >>> for t in range(40, 3000):
    ...     lag.update(x[t - 40], x[t])
    >>> lag.found(reach=10).lag, lag.band(reach=10), lag.found(reach=50)
    (40, (20.0, 80.0), None)
    """

    def __init__(self, features: int, outputs: int, *, longest: int = 256, memory: float = 2000.0) -> None:
        self.features = check_range("features", features, 1, whole=True)
        self.outputs = check_range("outputs", outputs, 1, whole=True)
        self.longest = check_range("longest", longest, 2, whole=True)
        self.memory = check_range("memory", memory, 2)
        width = self.features + self.outputs
        self.mean, self.square = np.zeros(width), np.zeros(width)
        self.past = np.zeros((2 * self.longest, width))  # every row twice, so that the last L lie together
        self.product = np.zeros((self.longest, width, self.outputs))
        self.rows = np.zeros((), np.int64)

    def update(self, error: Array, x: Array) -> None:
        """Take in the error (O,) at a row and its input (F,)."""
        z, L = np.concatenate([x, error]), self.longest
        at = int(self.rows) % L
        self.rows += 1
        k = max(1 / int(self.rows), 1 / self.memory)
        self.mean += k * (z - self.mean)
        z = z - self.mean
        self.square += k * (z * z - self.square)
        window = self.past[at : at + L]  # from the oldest to the newest
        self.product += k * (window[:, :, None] * z[self.features :] - self.product)
        self.past[at] = self.past[at + L] = z

    def correlation(self) -> Array:
        """Return r (L, F+O, O), the lag of 1 first."""
        std = np.sqrt(self.square)
        scale = std[:, None] * std[self.features :]
        return np.divide(self.product, scale, out=np.zeros_like(self.product), where=scale > 0)[::-1]

    def found(self, reach: float, *, smallest: float = 0.1, significance: float = 5.0) -> Found | None:
        """Return the lag beyond `reach` that the error goes with most.

        Parameters
        ----------
        reach : float, at least 0
            How many steps the network remembers already, such as its largest time constant over dt.
        smallest : float, 0 to 1
            What |correlation| is worth growing for.
        significance : float, at least 0
            How many standard errors it must be from 0.

        Returns
        -------
        Found or None
        """
        beyond = math.floor(check_range("reach", reach, 0))
        size = np.abs(self.correlation()).max(axis=(1, 2))
        size[:beyond] = 0.0
        size[max(int(self.rows) // 2, 0) :] = 0.0  # too few pairs yet
        lag = int(size.argmax())
        least = max(smallest, significance / math.sqrt(max(min(int(self.rows), self.memory), 1)))
        return Found(lag + 1, float(size[lag])) if size[lag] > least else None

    def band(self, reach: float, **options: float) -> tuple[float, float] | None:
        """Return the time constants, in steps, that would remember what was `found`: half to twice the lag."""
        found = self.found(reach, **options)
        return None if found is None else (found.lag / 2, found.lag * 2.0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {name: getattr(self, name) for name in ("mean", "square", "past", "product", "rows")}
