"""Operations that take units away: remove, merge, recycle; and how much one would be missed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..cells import Cell
from ..errors import OptionError, check_range, check_shape
from .anatomy import Additive
from .change import Change
from .draft import KINDS, Draft, shown
from .population import Population
from .sources import Sources
from .synapses import bear
from .units import alive

Array = NDArray[np.float64]


def missed(weights: Array, P: Array) -> Array:
    """Return how much the squared error of linear readers grows if a unit is removed and they make up for it.

    `s_j = sum_o w_oj**2 / (2*P_jj)`, the saliency of the optimal brain surgeon.

    Parameters
    ----------
    weights : array (O, H)
        What reads the units: a readout's weights, or those and the units' own `W_h`, one under the other.
    P : array (H, H)
        The inverse of the units' covariance, such as the P of recursive least squares (with its forgetting).

    Returns
    -------
    array (H,)

    Raises
    ------
    ShapeError
        If the sizes do not fit.

    Source
    ------
    Hassibi and Stork 1993, optimal brain surgeon, eq. 5, summed over the readers.

    Examples
    --------
    >>> missed(np.array([[1.0, 2.0]]), np.eye(2)).tolist()
    [0.5, 2.0]
    """
    sizes = check_shape("weights", weights.shape, ("readers", "units"))
    check_shape("P", P.shape, ("units", "same"), units=sizes["units"], same=sizes["units"])
    return np.square(weights).sum(0) / (2 * P.diagonal())


def regression(covariance: Array, unit: int, *, ridge: float = 1e-9) -> Array:
    """Return the slopes by which a unit is best told from the others: `beta_k = -P_jk / P_jj`, P the inverse.

    Parameters
    ----------
    covariance : array (H, H)
        Of the states; free slots, which do not move, get a slope of 0.
    unit : int
        Which.
    ridge : float, at least 0
        Added to the diagonal, relative to its mean.

    Returns
    -------
    array (H,)
        0 at the unit itself.

    Examples
    --------
    >>> regression(np.array([[1.0, 0.5], [0.5, 1.0]]), 0).round(6).tolist()
    [0.0, 0.5]
    """
    check_shape("covariance", covariance.shape, ("units", "same"), same=len(covariance))
    moving = covariance.diagonal() > 0
    others = moving & (np.arange(len(covariance)) != unit)
    slope = np.zeros(len(covariance))
    if others.any():
        C = covariance[np.ix_(others, others)]
        slope[others] = np.linalg.solve(C + ridge * np.trace(C) / len(C) * np.eye(len(C)), covariance[others, unit])
    return slope


def remove(
    cell: Cell, population: Population, unit: int, *, sources: Sources | None = None, slope: Array | None = None
) -> Change:
    """Take a unit away, with all its synapses; those that felt it keep what can be told from others.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring whose units are all shown
    population : Population
        Of the cell.
    unit : int
        One that is alive; its slot is free afterwards.
    sources : Sources, optional
        Their means: what the unit did on average goes to the biases of those that felt it, as in `prune`.
    slope : array (H,), optional
        What else it did, as told from the others (`regression`), is added to their weights, where those have a
        synapse; where not, to the bias, at the mean. Not for LTC, whose synapses do not add up.

    Returns
    -------
    Change
        With one of `units_dead`: the state is 0 there, and a readout closes it (`readout.close(unit)`, which makes
        up for it from its own covariance).

    Raises
    ------
    OptionError
        If the unit is not alive, or slopes are given without sources or for an LTC.
    ShapeError
        If `slope` is not (H,).
    """
    shown(cell)
    alive(population, unit=unit)
    draft = Draft(cell, population)
    mean = np.zeros(cell.units) if sources is None else sources.mean_h
    hearing = np.flatnonzero(draft.live["h"][:, unit] & (np.arange(cell.units) != unit))
    if slope is None:
        draft.parts.absorbed("h", _from(unit, hearing), np.full(len(hearing), mean[unit]))
    else:
        check_shape("slope", slope.shape, ("units",), units=cell.units)
        if sources is None or not isinstance(draft.parts, Additive):
            raise OptionError("`slope` must come with `sources`, and not for an LTC, whose synapses do not add up.")
        slope = np.where(np.arange(cell.units) == unit, 0.0, slope)
        draft.parts.replaced(hearing, unit, slope, mean[unit] - slope @ mean, mean, draft.live["h"])
    return _buried(draft, unit)


def merge(cell: Cell, population: Population, kept: int, gone: int) -> Change:
    """Let one unit give what two gave, and take the other away: exact where both are always the same.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring whose units are all shown
    population : Population
        Of the cell.
    kept, gone : int
        Two that are alive, such as `Redundancy` names. Outgoing weights are summed (LTC: conductances, with the mean of
        their mu, sigma and erev); incoming ones are those of `kept`.

    Returns
    -------
    Change
        With `gone` of `units_dead`; synapses that only it had are born to `kept`. A readout sums its two weights: so
        does `readout.close(gone)`, whose covariance knows that the two are the same.

    Raises
    ------
    OptionError
        If one is not alive, or they are the same unit.
    """
    shown(cell)
    alive(population, kept=kept, gone=gone)
    if kept == gone:
        raise OptionError(f"`gone` must be another unit than `kept`; got {gone} for both.")
    draft = Draft(cell, population)
    hearing = np.flatnonzero(draft.live["h"][:, gone] & (np.arange(cell.units) != gone))
    has = draft.live["h"][hearing, kept]
    draft.parts.added(hearing, kept, gone, has)
    new = hearing[~has]
    draft.bear("h", _from(kept, new), draft.sign["h"][new, gone])
    return _buried(draft, gone)


def recycle(
    cell: Cell, population: Population, unit: int, *, tau: tuple[float, float], sources: Sources | None = None,
    rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Let a unit that does nothing start again, in its slot and on its synapses: the counts stay.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring whose units are all shown
    population : Population
        Of the cell.
    unit : int
        One that is alive, such as `Dormancy` names. One without incoming synapses will still feel nothing: `remove`
        it and `add` another.
    tau : (float, float)
        Its new time constant is log-uniform between the two.
    sources : Sources, optional
        Their means: what it gave on average goes to the biases of those that felt it, so that nothing changes if it
        gave always the same.
    rng : numpy.random.Generator
        Draws weights and time constant.

    Returns
    -------
    Change
        The unit is among the dead and the born, and so are its synapses: nothing old holds of them. A readout
        closes and opens it.

    Raises
    ------
    OptionError
        If the unit is not alive.

    Source
    ------
    Continual backpropagation, Dohare et al. 2024 (Nature 632), algorithm 1: outgoing weights 0, incoming ones drawn
    anew, the mean of what is lost kept (which its public code forgets).
    """
    shown(cell)
    alive(population, unit=unit)
    low, high = check_range("tau", tau[0], 0, open_low=True), check_range("tau", tau[1], tau[0])
    draft = Draft(cell, population)
    mean = 0.0 if sources is None else sources.mean_h[unit]
    hearing = np.flatnonzero(draft.live["h"][:, unit] & (np.arange(cell.units) != unit))
    places = _from(unit, hearing)
    draft.parts.absorbed("h", places, np.full(len(hearing), mean))
    draft.kill("h", places)
    bear(draft, "h", places, None)  # the unit starts from 0
    for k in KINDS:
        felt = np.flatnonzero(draft.live[k][unit])
        places = np.stack([np.full_like(felt, unit), felt], 1)
        draft.kill(k, places)
        draft.bear(k, places, draft.parts.drawn(k, places, rng))
    draft.parts.cleared(unit)
    draft.parts.paced(unit, float(np.exp(rng.uniform(np.log(low), np.log(high)))), draft.live)
    return draft.commit(units_born=[unit], units_dead=[unit])


def _from(unit: int, to: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.stack([to, np.full_like(to, unit)], 1)


def _buried(draft: Draft, unit: int) -> Change:
    """Take away a unit's synapses, and put its slot to rest."""
    for k in KINDS:
        live = draft.live[k].copy()
        mine = np.zeros_like(live)
        mine[unit] = True
        if k == "h":
            mine[:, unit] = True
        draft.kill(k, np.argwhere(live & mine))
    draft.parts.cleared(unit)
    return draft.commit(units_dead=[unit])
