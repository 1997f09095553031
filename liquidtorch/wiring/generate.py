"""Wirings by rule without layers: full, random, small world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, check_range
from .wiring import Wiring

HIGHEST_SEED = 2**32 - 1


def full(
    units: int, features: int, outputs: int | None = None, *, self_connections: bool = True, seed: int = 0
) -> Wiring:
    """Connect every unit and every feature to every unit; two of three synapses excite.

    Parameters
    ----------
    units, features : int, at least 1
    outputs : int, 1 to `units`, optional
        Motor units; all of them if left out.
    self_connections : bool
        Whether a unit feels itself.
    seed : int, 0 to 2**32-1
        Draws the signs.

    Raises
    ------
    OptionError
        If a size or the seed is out of range.

    Notes
    -----
    Equal, synapse for synapse, to `FullyConnected` of ncps 1.0.1 with the same seed.

    Examples
    --------
    >>> full(4, 2).synapses
    16
    """
    outputs = sizes(units, features, outputs, seed)
    rng = np.random.default_rng(seed)
    there = np.ones((units, units), bool)
    if not self_connections:
        np.fill_diagonal(there, False)
    recurrent = np.zeros((units, units), np.int8)
    recurrent.T[there] = _polarity(rng, int(there.sum()))  # drawn source by source
    sensory = _polarity(rng, units * features).reshape(features, units).T
    return Wiring(recurrent, sensory, outputs, name="full")


def random(units: int, features: int, outputs: int | None = None, *, density: float = 0.2, seed: int = 0) -> Wiring:
    """Draw a given fraction of all synapses, without replacement; two of three excite.

    Parameters
    ----------
    units, features : int, at least 1
    outputs : int, 1 to `units`, optional
        Motor units; all of them if left out.
    density : float, above 0 to 1
        Fraction of the H*H recurrent and of the H*F sensory synapses that is there, rounded to whole synapses.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If an option is out of range, or `density` leaves no synapse.

    Notes
    -----
    Recurrent synapses equal those of `Random(sparsity_level=1-density)` of ncps 1.0.1 with the same seed; sensory
    ones agree with it in distribution. A unit may end up without any input.

    Examples
    --------
    >>> random(10, 3, density=0.2).synapses
    20
    """
    outputs = sizes(units, features, outputs, seed)
    check_range("density", density, 0.0, 1.0, open_low=True)
    rng = np.random.default_rng(seed)
    matrices = []
    for sources in (units, features):
        count = int(np.round(sources * units * density))
        if not count:
            raise OptionError(
                f"`density` must leave at least one of {sources * units} synapses; got {density!r}. "
                f"Use at least {1 / (sources * units):.2g}."
            )
        flat = np.zeros(sources * units, np.int8)
        chosen = rng.choice(sources * units, size=count, replace=False)
        flat[chosen] = _polarity(rng, count)
        matrices.append(flat.reshape(sources, units).T)
    recurrent, sensory = matrices
    return Wiring(recurrent, sensory, outputs, name="random")


def small_world(
    units: int,
    features: int,
    outputs: int | None = None,
    *,
    neighbours: int = 4,
    rewiring: float = 0.1,
    seed: int = 0,
) -> Wiring:
    """Put the units on a ring, let each feel its nearest neighbours, and move a few synapses anywhere.

    Parameters
    ----------
    units : int, above `neighbours`
    features : int, at least 1
        Every feature reaches every unit.
    outputs : int, 1 to `units`, optional
        Motor units, evenly spaced on the ring; all units if left out.
    neighbours : int, even, 2 to units-1
        How many units each unit feels.
    rewiring : float, 0 to 1
        The chance that a synapse gets a source drawn from all units instead.
    seed : int, 0 to 2**32-1

    Raises
    ------
    OptionError
        If an option is out of range, or `neighbours` is odd or too many.

    Notes
    -----
    Every unit keeps exactly `neighbours` sources, never itself and none twice. Two of three synapses excite.

    Source
    ------
    Watts and Strogatz, Nature 393, 440 (1998), figure 1; here each of the two directions is rewired for itself.

    Examples
    --------
    >>> small_world(10, 1, neighbours=2, rewiring=0.0).synapses
    20
    """
    outputs = sizes(units, features, outputs, seed)
    check_range("neighbours", neighbours, 2, whole=True)
    if neighbours % 2 or neighbours >= units:
        why = "odd" if neighbours % 2 else f"{units - 1} others are there"
        raise OptionError(
            f"`neighbours` must be even and below the number of units, {units}; got {neighbours} ({why}). "
            "Use 2 or 4, or more units."
        )
    check_range("rewiring", rewiring, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    ring = np.zeros((units, units), bool)
    steps = [step for half in range(1, neighbours // 2 + 1) for step in (-half, half)]
    for to in range(units):
        for step in steps:
            ring[to, (to + step) % units] = True
    for to, source in np.argwhere(ring):
        if rng.random() < rewiring:
            free = np.flatnonzero(~ring[to])
            free = free[free != to]
            if len(free):
                ring[to, source] = False
                ring[to, rng.choice(free)] = True
    recurrent = np.zeros((units, units), np.int8)
    recurrent[ring] = _polarity(rng, units * neighbours)
    motor = np.arange(outputs) * units // outputs
    order = np.concatenate([motor, np.setdiff1d(np.arange(units), motor)])
    sensory = _polarity(rng, units * features).reshape(units, features)
    return Wiring(recurrent[np.ix_(order, order)], sensory, outputs, name="small_world")


def sizes(units: int, features: int, outputs: int | None, seed: int) -> int:
    """Check the sizes and return how many units are motor units."""
    check_range("units", units, 1, whole=True)
    check_range("features", features, 1, whole=True)
    check_range("seed", seed, 0, HIGHEST_SEED, whole=True)
    if outputs is None:
        return units
    return check_range("outputs", outputs, 1, units, whole=True)


def _polarity(rng: np.random.Generator, count: int) -> NDArray[np.int8]:
    return rng.choice([-1, 1, 1], size=count).astype(np.int8)
