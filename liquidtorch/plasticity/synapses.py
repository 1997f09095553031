"""Operations on synapses: grow where a score is highest, prune the least salient, rewire at a constant count."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..cells import Cell
from ..errors import check_range, check_shape
from .anatomy import Which
from .change import Change
from .draft import KINDS, Draft
from .population import Population
from .scores import Scores, saliency
from .sources import Sources

Array = NDArray[np.float64]
END = 0.75  # of a training: from there on nothing is rewired, as in RigL


def grow(
    cell: Cell, population: Population, scores: Scores, count: int, *, sources: Sources | None = None,
    rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Grow synapses where none is and the score is highest; no state changes until they learn.

    Parameters
    ----------
    cell : Leaky, Liquid, LTC or CfC, with a wiring
    population : Population
        Of the cell.
    scores : Scores
        What a synapse would be worth, such as the size of its gradient (`Probes.scores`, `birth_gradient`), or random
        numbers. Places of 0 or NaN are passed over, and those of units that are not alive.
    count : int, at least 0
        How many; fewer, if fewer places have a score.
    sources : Sources, optional
        Their means are the middle `mu` of an LTC's new gates; 0, if left out.
    rng : numpy.random.Generator
        Draws between equal scores.

    Returns
    -------
    Change

    Raises
    ------
    OptionError
        If that is more than the population may have, or the cell has no wiring.
    ShapeError
        If `scores` have other shapes than the masks.

    Notes
    -----
    New weights are 0. An LTC's new synapse is a constant conductance taken out of its unit's leak (a quarter of it for
    all that are born at once): `sigma` = 0, where the gate is half open whatever the source does, so that N and D are
    what they were, to rounding, while the gradient of `sigma` is that of a full-grown synapse. A conductance near 0
    would change as little, but the gradient of a softplus near 0 is as near to 0: it never wakes.
    """
    draft = Draft(cell, population)
    _check(draft, scores)
    count = check_range("count", count, 0, whole=True)
    worth = [_missing(draft, k, s) for k, s in zip(KINDS, scores, strict=True)]
    chosen = _largest(np.concatenate([w.ravel() for w in worth]), count, rng)
    for k, places in zip(KINDS, _unravelled(chosen, worth), strict=True):
        bear(draft, k, places, sources)
    return draft.commit()


def prune(
    cell: Cell, population: Population, count: int, *, scores: Scores | None = None, sources: Sources | None = None,
    maturity: int = 0, rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Take away the synapses of least saliency; their units keep what they did on average.

    Parameters
    ----------
    cell : Leaky, Liquid, LTC or CfC, with a wiring
    population : Population
        Of the cell.
    count : int, at least 0
        How many; fewer, if fewer are old enough.
    scores : Scores, optional
        What a synapse is worth; `saliency(cell, sources)`, if left out.
    sources : Sources, optional
        What the sources do. `W*mean` goes to the bias (Liquid: `G*mean` to `log_tau`; LTC: the conductance at the
        mean goes to the leak), so that a synapse from what never moves is taken away without a trace. Left out, means
        are 0.
    maturity : int, at least 0
        Steps a synapse must have lived.
    rng : numpy.random.Generator
        Draws between equal scores.

    Returns
    -------
    Change

    Raises
    ------
    OptionError, ShapeError
        As for `grow`.
    """
    draft = Draft(cell, population)
    scores = saliency(cell, sources) if scores is None else scores
    _check(draft, scores)
    count = check_range("count", count, 0, whole=True)
    worth = [_mature(draft, k, s, maturity) for k, s in zip(KINDS, scores, strict=True)]
    chosen = _largest(np.concatenate([w.ravel() for w in worth]), count, rng)
    for k, places in zip(KINDS, _unravelled(chosen, worth), strict=True):
        _kill(draft, k, places, sources)
    return draft.commit()


def rewire(
    cell: Cell, population: Population, scores: Scores, fraction: float, *, sources: Sources | None = None,
    maturity: int = 0, rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Prune a fraction of the synapses and grow as many elsewhere: the counts, from units and from features, stay.

    Parameters
    ----------
    cell, population, scores, sources, maturity, rng
        As for `grow` and `prune`. A place that is pruned is not grown in the same call.
    fraction : float, 0 to 1
        Of the synapses from units, and of those from features; less, if fewer are old enough or have a score.
        `cosine` lets it decay.

    Returns
    -------
    Change
        As many born as dead, in either matrix.

    Raises
    ------
    OptionError, ShapeError
        As for `grow`.

    Source
    ------
    RigL, Evci et al. 2020 (arXiv 1911.11134), algorithm 1: smallest |w| out, largest |gradient| in, at 0; one step of
    it, with |w| weighed by the spread of the source and the mean of what is lost kept.
    """
    draft = Draft(cell, population)
    _check(draft, scores)
    check_range("fraction", fraction, 0.0, 1.0)
    worth = saliency(cell, sources)
    for k, gain, loss in zip(KINDS, scores, worth, strict=True):
        better, least = _missing(draft, k, gain), _mature(draft, k, loss, maturity)
        count = min(int(fraction * draft.live[k].sum()), int((better > 0).sum()), int((least > 0).sum()))
        born, dead = (np.argwhere(_at(s, _largest(s.ravel(), count, rng))) for s in (better, least))
        _kill(draft, k, dead, sources)
        bear(draft, k, born, sources)
    return draft.commit()


def cosine(fraction: float, done: float) -> float:
    """Return the fraction to rewire after the part `done` of a training: it falls to 0 at three quarters of it.

    Source
    ------
    RigL, Evci et al. 2020 (arXiv 1911.11134), section 3, f_decay.

    Examples
    --------
    >>> cosine(0.3, 0.0), round(cosine(0.3, 0.375), 3), cosine(0.3, 0.9)
    (0.3, 0.15, 0.0)
    """
    return fraction / 2 * (1 + math.cos(math.pi * done / END)) if done < END else 0.0


def _check(draft: Draft, scores: Scores) -> None:
    sizes = {"units": draft.cell.units, "features": draft.cell.features}
    check_shape("scores.h", scores.h.shape, ("units", "units"), **sizes)
    check_shape("scores.x", scores.x.shape, ("units", "features"), **sizes)


def _missing(draft: Draft, k: Which, score: Array) -> Array:
    """The scores of synapses that might be born, 0 elsewhere."""
    alive = draft.population.alive
    able = ~draft.live[k] & alive[:, None] & (alive if k == "h" else True)
    return np.where(able, np.nan_to_num(score), 0.0)


def _mature(draft: Draft, k: Which, score: Array, maturity: int) -> Array:
    """How little synapses are worth, of those that may go: above 0, the least highest; 0 elsewhere."""
    since = draft.population.since_h if k == "h" else draft.population.since_x
    able = draft.live[k] & (draft.population.time - since >= maturity)
    return np.where(able, 1 / (1 + score), 0.0)


def _largest(flat: Array, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    order = rng.permutation(len(flat))
    order = order[np.argsort(-flat[order], kind="stable")][:count]
    return np.sort(order[flat[order] > 0])


def _at(like: Array, flat: NDArray[np.int64]) -> NDArray[np.bool_]:
    found = np.zeros(like.size, bool)
    found[flat] = True
    return found.reshape(like.shape)


def _unravelled(flat: NDArray[np.int64], like: list[Array]) -> list[NDArray[np.int64]]:
    cut = like[0].size
    parts = flat[flat < cut], flat[flat >= cut] - cut
    return [np.argwhere(_at(matrix, part)) for matrix, part in zip(like, parts, strict=True)]


def bear(draft: Draft, k: Which, places: NDArray[np.int64], sources: Sources | None) -> None:
    """Let synapses be born that change no state."""
    draft.bear(k, places, draft.parts.born(k, places, _mean(sources, k, places)))


def _kill(draft: Draft, k: Which, places: NDArray[np.int64], sources: Sources | None) -> None:
    draft.parts.absorbed(k, places, _mean(sources, k, places))
    draft.kill(k, places)


def _mean(sources: Sources | None, k: Which, places: NDArray[np.int64]) -> Array:
    if sources is None:
        return np.zeros(len(places))
    return (sources.mean_h if k == "h" else sources.mean_x)[places[:, 1]]
