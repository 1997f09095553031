"""Fixed random matrices of a wanted spectral radius, from a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import OptionError, check_choice, check_range
from .radius import radius as radius_of
from .topology import connect

WEIGHTS = ("normal", "uniform")


class Matrix(NamedTuple):
    """A sparse square matrix, (to, from), by the places of its weights in the flat one."""

    place: np.ndarray  # (S,) int64, ascending: to*units + source
    weight: np.ndarray  # (S,) float64


def matrix(
    units: int, *, topology: str = "random", density: float | None = None, weights: str | None = None,
    radius: float = 0.9, seed: int | np.random.SeedSequence = 0,
) -> Matrix:  # fmt: skip
    """Draw the recurrent matrix of a reservoir and scale it: `W = radius * V / max |lambda_i(V)|`.

    Parameters
    ----------
    units : int, at least 1
        Rows and columns.
    topology : str
        - "random": every unit reads `density*units` units drawn for it alone, itself perhaps among them;
        - "blocked": as random, but 16 neighbouring units read the same ones (each with its own weights), so that a
          kernel reads a source once for all of them: the fastest for one row. Needs at least 16 sources a unit;
        - "small_world": the `density*units` nearest on a ring, a tenth of them moved anywhere;
        - "ring": each reads the one before, all weights alike; "jumps" or "jumps:L": and half as strongly, both ways,
          the one L units away at every L-th unit (the root of units, if left out);
        - "permutation": each reads one unit and is read by one, with a random sign: orthogonal.
    density : float, above 0, at most 1, optional
        The fraction of synapses present, for the first three; 0.1 if left out.
    weights : "normal" or "uniform", optional
        What weights are drawn from, for the first three; "normal" if left out.
    radius : float, at least 0
        The spectral radius.
    seed : int or SeedSequence
        Of all that is drawn.

    Returns
    -------
    Matrix

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or none of this topology.

    Notes
    -----
    The radius is exact up to 400 units and to about 1e-3 above (`reservoir.radius`).

    Source
    ------
    Jaeger 2001 (GMD report 148) for "random"; Rodan and Tino 2011, 2012 for "ring" and "jumps", whose two weights
    are free there; White, Lee and Sompolinsky 2004 for orthogonal ones. "blocked" is ours.

    Examples
    --------
    >>> matrix(3, topology="ring", radius=0.5).weight
    array([0.5, 0.5, 0.5])
    """
    units = check_range("units", units, 1, whole=True)
    check_range("radius", radius, 0)
    of_synapses, of_weights = (np.random.default_rng(s) for s in _two(seed))
    place, weight = connect(topology, units, density, of_synapses)
    if weight is None:
        check_choice("weights", weights, (None, *WEIGHTS))
        weight = of_weights.uniform(-1, 1, len(place)) if weights == "uniform" else of_weights.normal(size=len(place))
    elif weights is not None:
        raise OptionError(f"`weights` must be left out for {topology!r}; got {weights!r} (they are all said).")
    whole = 1.0 if topology in ("ring", "permutation") else radius_of(place, weight, units).value
    return Matrix(place, weight * (radius / whole))


def _two(seed: int | np.random.SeedSequence) -> list[np.random.SeedSequence]:
    if isinstance(seed, np.random.SeedSequence):
        return seed.spawn(2)
    return np.random.SeedSequence(check_range("seed", seed, 0, whole=True)).spawn(2)
