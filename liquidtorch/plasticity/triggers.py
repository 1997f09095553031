"""When structure should change: no progress, units at their bounds, units that are alike, units that do nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import check_range, check_shape
from .change import Change
from .population import Population

Array = NDArray[np.float64]
SMALL = 1e-300


class Rest:
    """Fire when a number is high, and not again before a rest is over and the number has been low.

    Parameters
    ----------
    rest : int, at least 0
        Updates without firing after it has fired: at least ten times the longest time constant, in steps.

    Examples
    --------
    >>> rest = Rest(2)
    >>> [rest.fires(high, low=not high) for high in (True, True, False, True, True)]
    [True, False, False, True, False]
    """

    def __init__(self, rest: int) -> None:
        self.rest = check_range("rest", rest, 0, whole=True)
        self.wait, self.armed = np.zeros((), np.int64), np.ones((), bool)

    def fires(self, high: bool, *, low: bool) -> bool:
        """Say whether it fires now."""
        if self.wait > 0:
            self.wait -= 1
        if low:
            self.armed[...] = True
        if not (high and self.armed and self.wait == 0):
            return False
        self.armed[...] = False
        self.wait[...] = self.rest
        return True

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {"wait": self.wait, "armed": self.armed}


class Plateau(Rest):
    """Fire when the loss has stopped falling above the noise floor.

    Two averages, `fast += (loss - fast)/fast_memory` and the slow one alike (the first rows count alike): it fires once
    `fast >= slow*(1 - tolerance)` and `fast > floor` have held for `patience` updates in a row.

    Parameters
    ----------
    fast, slow : float, at least 1
        How many updates the averages remember.
    tolerance : float, at least 0
        What counts as no progress.
    floor : float, at least 0
        The loss of the noise: below it nothing is to be gained.
    patience : int, at least 1
    rest : int, at least 0
        As for `Rest`. It fires again after it, if the loss still does not fall.

    Examples
    --------
    >>> plateau = Plateau(fast=5, slow=20, patience=10, rest=1000)
    >>> falling = [plateau.update(0.9**t) for t in range(100)]
    >>> flat = [plateau.update(1.0) for t in range(100)]
    >>> any(falling), sum(flat)
    (False, 1)
    """

    def __init__(
        self, *, fast: float = 100.0, slow: float = 1000.0, tolerance: float = 0.01, floor: float = 0.0,
        patience: int = 100, rest: int = 500,
    ) -> None:  # fmt: skip
        super().__init__(rest)
        self.memories = np.array([check_range("fast", fast, 1), check_range("slow", slow, fast)])
        self.tolerance, self.floor = check_range("tolerance", tolerance, 0), check_range("floor", floor, 0)
        self.patience = check_range("patience", patience, 1, whole=True)
        self.average, self.count, self.held = np.zeros(2), np.zeros((), np.int64), np.zeros((), np.int64)

    def update(self, loss: float) -> bool:
        """Take in a loss, and say whether it fires."""
        self.count += 1
        self.average += (loss - self.average) * np.maximum(1 / self.memories, 1 / self.count)
        fast, slow = self.average
        flat = self.count > self.memories[1] and fast >= slow * (1 - self.tolerance) and fast > self.floor
        self.held[...] = self.held + 1 if flat else 0
        return self.fires(bool(self.held >= self.patience), low=True)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {**super().arrays(), "average": self.average, "count": self.count, "held": self.held}


class Saturation(Rest):
    """Fire when too many units stand at their bounds, and again only after few did.

    Parameters
    ----------
    units : int, at least 1
    bound : float, 0 to 1
        Beyond this |h| a unit is saturated.
    high, low : float, 0 to 1
        The share of the living units' time at which it fires, and below which it may fire again.
    memory : float, at least 1
        How many rows are averaged over.
    rest : int, at least 0
        As for `Rest`.

    Examples
    --------
    >>> saturation = Saturation(2, memory=10, high=0.4, low=0.1)
    >>> population = Population(np.ones(2, bool), 1, most_units=2, most_synapses=6)
    >>> sum(saturation.update(np.array([0.99, 0.1]), population) for _ in range(50))
    1
    """

    def __init__(
        self, units: int, *, bound: float = 0.95, high: float = 0.3, low: float = 0.15, memory: float = 500.0,
        rest: int = 500,
    ) -> None:  # fmt: skip
        super().__init__(rest)
        self.bound, self.memory = check_range("bound", bound, 0, 1), check_range("memory", memory, 1)
        self.high = check_range("high", high, 0, 1)
        self.low = check_range("low", low, 0, high)
        self.share = np.zeros(check_range("units", units, 1, whole=True))

    def update(self, h: Array, population: Population) -> bool:
        """Take in a state (H,), and say whether it fires."""
        self.share += ((np.abs(h) > self.bound) - self.share) / self.memory
        share = self.share[population.alive].mean() if population.alive.any() else 0.0
        return self.fires(bool(share > self.high), low=bool(share < self.low))

    def follow(self, change: Change) -> None:
        """Forget units that came or went."""
        self.share[np.concatenate([change.units_dead, change.units_born])] = 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {**super().arrays(), "share": self.share}


class Dormancy:
    """Know which units hardly move: `s_i = E|h_i - mean_i| / mean_k E|h_k - mean_k|`.

    Parameters
    ----------
    units : int, at least 1
    memory : float, at least 1
        How many rows are averaged over.

    Source
    ------
    ReDo, Sokar et al. 2023 (arXiv 2302.12902), eq. 1, about the mean: a unit that always says the same is dormant too.

    Examples
    --------
    >>> dormancy = Dormancy(3, memory=50)
    >>> for t in range(400):
    ...     dormancy.update(np.array([np.sin(t), 0.9, 1e-4 * np.sin(t)]))
    >>> population = Population(np.ones(3, bool), 1, most_units=3, most_synapses=12)
    >>> population.tick(400)
    >>> dormancy.units(population).tolist()
    [1, 2]
    """

    def __init__(self, units: int, *, memory: float = 500.0) -> None:
        self.memory = check_range("memory", memory, 1)
        units = check_range("units", units, 1, whole=True)
        self.mean, self.swing, self.rows = np.zeros(units), np.zeros(units), np.zeros((), np.int64)

    def update(self, h: Array) -> None:
        """Take in a state (H,)."""
        self.rows += 1
        k = max(1 / self.memory, 1 / int(self.rows))
        self.mean += k * (h - self.mean)
        self.swing += k * (np.abs(h - self.mean) - self.swing)

    def units(self, population: Population, *, threshold: float = 0.025, maturity: int = 0) -> NDArray[np.int64]:
        """Return the living units whose score is at most `threshold`, of an age of `maturity`, the stillest first."""
        alive = population.alive
        scores = self.swing / max(self.swing[alive].mean() if alive.any() else 0.0, SMALL)
        able = np.flatnonzero(alive & (population.age >= max(maturity, self.memory)) & (scores <= threshold))
        return able[np.argsort(scores[able], kind="stable")]

    def follow(self, change: Change) -> None:
        """Forget units that came or went; a split child is as its parent."""
        for unit in np.concatenate([change.units_dead, change.units_born]):
            self.mean[unit] = self.swing[unit] = 0.0
        for parent, child, _ in change.splits:
            self.mean[child], self.swing[child] = self.mean[parent], self.swing[parent]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {"mean": self.mean, "swing": self.swing, "rows": self.rows}


def redundant(
    correlation: Array, population: Population, *, threshold: float = 0.99, maturity: int = 0
) -> NDArray[np.int64]:
    """Return pairs (kept, gone) of units that say the same, the most alike first, each unit in one pair at most.

    Parameters
    ----------
    correlation : array (H, H)
        Such as `Running.correlation`.
    population : Population
        The older of two is kept.
    threshold : float, 0 to 1
        Above this |correlation| they are alike. Where they are the same to the last digit, `merge` is exact; else
        `remove` the one, with slopes from the others (`regression`), which knows how much larger it was, or of the
        other sign.
    maturity : int, at least 0
        The age both must have: a split child is like its parent until it has learned.

    Returns
    -------
    array (P, 2)

    Examples
    --------
    >>> population = Population(np.ones(3, bool), 1, most_units=3, most_synapses=12)
    >>> redundant(np.array([[1, -0.999, 0], [-0.999, 1, 0.1], [0, 0.1, 1]]), population).tolist()
    [[0, 1]]
    """
    units = len(population.alive)
    check_shape("correlation", correlation.shape, ("units", "same"), units=units, same=units)
    able = population.alive & (population.age >= maturity)
    like = np.where(np.triu(able[:, None] & able, 1), np.abs(correlation), 0.0)
    found, taken = [], set()
    for flat in np.argsort(-like, axis=None, kind="stable"):
        i, j = divmod(int(flat), units)
        if like[i, j] <= threshold:
            break
        if not {i, j} & taken:
            taken |= {i, j}
            found.append((i, j) if population.age[i] >= population.age[j] else (j, i))
    return np.array(found, np.int64).reshape(-1, 2)
