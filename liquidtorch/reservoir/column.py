"""Which neuron of a liquid reaches which, how strongly and how late: a column in space, or connections at random.

Neurons that excite are numbered first. A neuron's outgoing synapses all have one sign (Dale's law): it is the source's
kind that gives it, never the draw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import OptionError, check_range

# By source and target: [excites, inhibits] -> [excites, inhibits] (Maass 2002, section 2 and appendix B).
CONNECTION = np.array([[0.3, 0.2], [0.4, 0.1]])  # C
STRENGTH = np.array([[30.0, 60.0], [19.0, 19.0]]) / 15  # A, nA times 1 MOhm, in units of the threshold of 15 mV
INPUT = np.array([18.0, 9.0]) / 15  # A of an input by its target
USE = np.array([[0.5, 0.05], [0.25, 0.32]])  # U of short-term plasticity
DEPRESSION = np.array([[1100.0, 125.0], [700.0, 144.0]])  # D, ms
FACILITATION = np.array([[50.0, 1200.0], [20.0, 60.0]])  # F, ms
BALANCE = 2.5  # strength of inhibition to excitation of a random liquid: its charge is 5 to 1 at tau_syn = (3, 6)


@dataclass(frozen=True)
class Synapses:
    """The synapses of a liquid, those of one source after the other, sorted by target within it."""

    units: int
    excitatory: int  # neurons 0 to excitatory-1 excite, the others inhibit
    source: NDArray[np.int64]  # (S,)
    target: NDArray[np.int64]  # (S,)
    weight: NDArray[np.float64]  # (S,): above 0 where the source excites, else below

    def kinds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return 1 where the source, and where the target, inhibits: (S,) each."""
        return (self.source >= self.excitatory).astype(int), (self.target >= self.excitatory).astype(int)


def column(
    units: int, *, reach: float = 2.0, grid: tuple[int, int, int] | None = None, inhibitory: float = 0.2, seed: int = 0
) -> Synapses:  # fmt: skip
    """Put neurons on a grid and connect a to b with the probability `C_ab * exp(-(D(a, b)/reach)**2)`.

    Parameters
    ----------
    units : int, at least 1
    reach : float, above 0
        How far connections go, in sides of the grid (lambda).
    grid : three ints, optional
        Places along each axis, at least `units` in all, filled from the first; 3 x 3 x as many as are needed, if left
        out.
    inhibitory : float, 0 to 1
        The fraction of neurons that inhibit, rounded to whole ones; which they are is drawn.
    seed : int, at least 0

    Returns
    -------
    Synapses
        Weights are Gamma distributed with a standard deviation of their mean, in units of the threshold.

    Raises
    ------
    OptionError
        If an option is out of range or the grid too small.

    Source
    ------
    Maass, Natschlaeger and Markram 2002, Neural Computation 14, section 2 and appendix B: C by kind (0.3, 0.2, 0.4,
    0.1), reach 2, grid 15 x 3 x 3. Without connections of a neuron to itself.

    Examples
    --------
    >>> found = column(135, seed=1)
    >>> found.excitatory, bool((found.weight[found.source < 108] > 0).all())
    (108, True)
    """
    rng, excitatory = _begin(units, inhibitory, seed)
    check_range("reach", reach, 0, open_low=True)
    grid = grid or (3, 3, -(-units // 9))
    if len(grid) != 3 or min(grid) < 1 or np.prod(grid) < units:
        raise OptionError(f"`grid` must have three sides and at least {units} places; got {grid}.")
    at = np.stack(np.unravel_index(np.arange(units), grid), axis=1)[rng.permutation(units)]
    square = ((at[:, None] - at[None]) ** 2).sum(-1)
    kind = (np.arange(units) >= excitatory).astype(int)
    chance = CONNECTION[kind[:, None], kind[None]] * np.exp(-square / reach**2)
    np.fill_diagonal(chance, 0)
    source, target = (rng.random((units, units)) < chance).nonzero()
    return _weighted(rng, units, excitatory, source, target, STRENGTH)


def random(units: int, *, density: float = 0.1, inhibitory: float = 0.2, seed: int = 0) -> Synapses:
    """Let every neuron hear the same number of neurons, drawn without replacement.

    Parameters
    ----------
    units : int, at least 1
    density : float, 0 to 1
        The fraction of neurons that each hears, rounded to whole ones: `(1-inhibitory)` of them excite.
    inhibitory : float, 0 to 1
        The fraction of neurons that inhibit, rounded to whole ones.
    seed : int, at least 0

    Returns
    -------
    Synapses
        Weights are Gamma distributed, of mean `4/sqrt(heard)` thresholds where the source excites and -2.5 times that
        where it inhibits.

    Raises
    ------
    OptionError
        If an option is out of range.

    Source
    ------
    Scaling by 1/sqrt(heard) and inhibition that outweighs excitation: van Vreeswijk and Sompolinsky 1996.

    Examples
    --------
    >>> found = random(50, density=0.2)
    >>> set(np.bincount(found.target).tolist())
    {10}
    """
    rng, excitatory = _begin(units, inhibitory, seed)
    check_range("density", density, 0, 1)
    heard = round(density * units)
    from_excitatory = min(round(heard * excitatory / units), excitatory)
    shares = (from_excitatory, 0, excitatory), (heard - from_excitatory, excitatory, units)
    drawn = [
        low + rng.permuted(np.tile(np.arange(high - low), (units, 1)), axis=1)[:, :count]
        for count, low, high in shares
        if count
    ]
    source = np.concatenate(drawn, axis=1).ravel() if drawn else np.zeros(0, int)
    target = np.repeat(np.arange(units), heard)
    order = np.lexsort((target, source))
    mean = 4 / np.sqrt(max(heard, 1)) * np.array([[1.0, 1.0], [BALANCE, BALANCE]])
    return _weighted(rng, units, excitatory, source[order], target[order], mean)


def make(topology: str, units: int, *, inhibitory: float, seed: int) -> Synapses:
    """Read `"column"`, `"column:2.5"` (reach), `"column:2.5:10x10x10"` (and grid) or `"random:0.1"` (density).

    Raises
    ------
    OptionError
        If it is none of these.

    Examples
    --------
    >>> make("column:1:2x2x2", 8, inhibitory=0.25, seed=0).excitatory
    6
    """
    name, *parts = str(topology).split(":")
    try:
        if name == "random" and len(parts) <= 1:
            return random(units, **_named(density=float(parts[0]) if parts else None), inhibitory=inhibitory, seed=seed)
        if name == "column" and len(parts) <= 2:
            grid = tuple(int(side) for side in parts[1].split("x")) if len(parts) == 2 else None
            found = _named(reach=float(parts[0]) if parts else None, grid=grid)
            return column(units, **found, inhibitory=inhibitory, seed=seed)
    except ValueError as e:
        if isinstance(e, OptionError):
            raise
    raise OptionError(
        f"`topology` must be 'column', 'column:REACH', 'column:REACH:XxYxZ' or 'random:DENSITY'; got {topology!r}."
    )


def inputs(units: int, features: int, excitatory: int, *, density: float, seed: int) -> NDArray[np.float64]:
    """Draw what neurons feel of features, (units, features): Gamma distributed, half of it negative.

    Every feature reaches `density` of the neurons, rounded to whole ones and at least one. Means are Maass' for inputs,
    1.2 thresholds to a neuron that excites and 0.6 to one that inhibits.

    Examples
    --------
    >>> (inputs(10, 3, 8, density=0.3, seed=0) != 0).sum(0).tolist()
    [3, 3, 3]
    """
    rng = np.random.default_rng([seed, 1])
    found, reached = np.zeros((units, features)), max(1, round(density * units))
    mean = INPUT[(np.arange(units) >= excitatory).astype(int)]
    for feature in range(features):
        chosen = rng.permutation(units)[:reached]
        found[chosen, feature] = rng.gamma(1.0, mean[chosen]) * rng.choice([-1.0, 1.0], reached)
    return found


def _begin(units: int, inhibitory: float, seed: int) -> tuple[np.random.Generator, int]:
    check_range("units", units, 1, whole=True)
    check_range("inhibitory", inhibitory, 0, 1)
    return np.random.default_rng([check_range("seed", seed, 0, whole=True), 0]), units - round(inhibitory * units)


def _weighted(
    rng: np.random.Generator, units: int, excitatory: int, source: NDArray, target: NDArray, mean: NDArray
) -> Synapses:  # fmt: skip
    kind = (np.arange(units) >= excitatory).astype(int)
    weight = rng.gamma(1.0, mean[kind[source], kind[target]]) * (1 - 2 * kind[source])
    return Synapses(units, excitatory, source, target, weight)


def _named(**given: object) -> dict:
    return {name: value for name, value in given.items() if value is not None}
