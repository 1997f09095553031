"""What the sources of synapses do: their means and spreads, over rows at once or one row at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import check_range, check_shape

Array = NDArray[np.float64]


class Sources(NamedTuple):
    """Means and standard deviations of the states, (H,), and of the features, (F,)."""

    mean_h: Array
    std_h: Array
    mean_x: Array
    std_x: Array

    @classmethod
    def of(cls, h: NDArray[Any], x: NDArray[Any]) -> Sources:
        """Measure rows of states (T, H) and of features (T, F)."""
        sizes = check_shape("h", h.shape, ("time", "units"))
        check_shape("x", x.shape, ("time", "features"), time=sizes["time"])
        return cls(h.mean(0), h.std(0), x.mean(0), x.std(0))


class Running:
    """Keep means and covariances of states and features over the last rows, older ones forgotten exponentially.

    `k = max(1/(t+1), 1/memory)`, `d = z - mean`, `mean += k*d`, `C += k*((1-k)*d d' - C)`, with z = [h, x]: the first
    `memory` rows count alike, so it starts without a bias.

    Parameters
    ----------
    units, features : int, at least 1
    memory : float, at least 2
        About how many rows count.

    Notes
    -----
    (H+F)^2 multiply-adds a row. `arrays()` is all of its state, restored by writing into it.

    Examples
    --------
    >>> running = Running(2, 1)
    >>> for h in ([1.0, 2.0], [3.0, 6.0], [2.0, 4.0]):
    ...     running.update(np.array(h), np.ones(1))
    >>> running.sources().mean_h.tolist(), round(float(running.correlation()[0, 1]), 6)
    ([2.0, 4.0], 1.0)
    """

    def __init__(self, units: int, features: int, *, memory: float = 1000.0) -> None:
        self.units = check_range("units", units, 1, whole=True)
        size = self.units + check_range("features", features, 1, whole=True)
        self.memory = check_range("memory", memory, 2)
        self.mean, self.covariance = np.zeros(size), np.zeros((size, size))
        self.rows = np.zeros((), np.int64)

    def update(self, h: Array, x: Array) -> None:
        """Take in one row: h (H,), x (F,)."""
        k = max(1.0 / (int(self.rows) + 1), 1.0 / self.memory)
        d = np.concatenate([h, x]) - self.mean
        self.mean += k * d
        self.covariance += k * ((1 - k) * np.outer(d, d) - self.covariance)
        self.rows += 1

    def sources(self) -> Sources:
        """Return means and standard deviations."""
        std, H = np.sqrt(self.covariance.diagonal()), self.units
        return Sources(self.mean[:H].copy(), std[:H], self.mean[H:].copy(), std[H:])

    def correlation(self) -> Array:
        """Return the correlation of every pair of units, (H, H); 0 with one that does not move."""
        C = self.covariance[: self.units, : self.units]
        std = np.sqrt(C.diagonal())
        scale = np.outer(std, std)
        return np.divide(C, scale, out=np.zeros_like(C), where=scale > 0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {"mean": self.mean, "covariance": self.covariance, "rows": self.rows}

    def follow(self, change: Any) -> None:
        """Forget units that died; a split child moves as its parent."""
        for unit in np.concatenate([change.units_dead, change.units_born]):
            self.mean[unit] = 0.0
            self.covariance[unit] = self.covariance[:, unit] = 0.0
        for parent, child, _ in change.splits:
            self.mean[child] = self.mean[parent]
            self.covariance[child] = self.covariance[parent]
            self.covariance[:, child] = self.covariance[:, parent]
