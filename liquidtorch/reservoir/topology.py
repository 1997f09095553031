"""Which unit of a reservoir reads which: sources (units, sources of one unit), or a list of places."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..errors import OptionError, check_choice, check_range
from ..wiring import small_world

BLOCK = 16  # neighbouring units of "blocked" that share their sources: a kernel reads these once for all of them
DENSITY = 0.1
DRAWN = ("random", "blocked", "small_world")  # have a density, and weights that are drawn
TOPOLOGIES = (*DRAWN, "ring", "jumps", "permutation")


class Synapses(NamedTuple):
    """Where synapses are; and their weights, where the topology says them."""

    place: np.ndarray  # (S,) int64, ascending: to*units + source
    weight: np.ndarray | None  # (S,); None: to be drawn


def connect(topology: str, units: int, density: float | None, rng: np.random.Generator) -> Synapses:
    """Return the synapses of a reservoir; `topology` as `reservoir.matrix` explains it."""
    name, _, number = topology.partition(":")
    check_choice("topology", name, TOPOLOGIES)
    if number and name != "jumps":
        raise OptionError(f"`topology` must be {name!r} without a number; got {topology!r}. Only 'jumps' has one.")
    if name in DRAWN:
        density = DENSITY if density is None else check_range("density", density, 0, 1, open_low=True)
        fan = max(1, round(density * units))
        return Synapses(
            _places({"random": _random, "blocked": _blocked, "small_world": _small}[name](units, fan, rng)), None
        )
    if density is not None:
        raise OptionError(f"`density` must be left out for {name!r}; got {density!r} (its synapses are all said).")
    before = (np.arange(units) - 1) % units
    if name == "permutation":
        return Synapses(_places(rng.permutation(units)[:, None]), rng.choice([-1.0, 1.0], units))
    if name == "ring":
        return Synapses(_places(before[:, None]), np.ones(units))
    return _jumps(units, before, number)


def _places(source: np.ndarray) -> np.ndarray:
    """Return the places of sources (units, fan), ascending."""
    units = len(source)
    return (np.arange(units, dtype=np.int64)[:, None] * units + np.sort(source, axis=1)).ravel()


def _random(units: int, fan: int, rng: np.random.Generator) -> np.ndarray:
    return np.stack([rng.choice(units, fan, replace=False, shuffle=False) for _ in range(units)])


def _blocked(units: int, fan: int, rng: np.random.Generator) -> np.ndarray:
    """Deal the units out to the blocks as cards of shuffled decks, so that all are read about equally often."""
    if fan < BLOCK:
        raise OptionError(
            f"`density` must give a unit at least {BLOCK} sources where {BLOCK} neighbours share them; got {fan}. "
            f"Use density={BLOCK / units:.2g} or more, or topology='random'."
        )
    deck, dealt = np.empty(0, dtype=np.int64), []
    for _ in range(-(-units // BLOCK)):
        if len(deck) < fan:  # a new deck, in which what is still in hand comes last: no block may read a unit twice
            fresh = rng.permutation(units)
            twice = np.isin(fresh, deck)
            deck = np.concatenate([deck, fresh[~twice], fresh[twice]])
        dealt.append(deck[:fan])
        deck = deck[fan:]
    return np.repeat(np.stack(dealt), BLOCK, axis=0)[:units]


def _small(units: int, fan: int, rng: np.random.Generator) -> np.ndarray:
    neighbours = max(2, 2 * round(fan / 2))
    live = small_world(units, 1, neighbours=neighbours, seed=int(rng.integers(2**31))).recurrent != 0
    return np.nonzero(live)[1].reshape(units, neighbours)


def _jumps(units: int, before: np.ndarray, number: str) -> Synapses:
    if number and not number.isdecimal():
        raise OptionError(f"`topology` must be 'jumps:' and a whole number; got 'jumps:{number}'.")
    length = int(number) if number else max(2, math.isqrt(units))
    if not 2 <= length < units:
        raise OptionError(f"`topology` must jump over 2 to {units - 1} of {units} units; got {length}.")
    ends = np.arange(0, units, length)
    ends = ends[(ends + length < units) | (ends + length == units)]
    there = (ends + length) % units
    place = np.concatenate([np.arange(units) * units + before, there * units + ends, ends * units + there])
    weight = np.concatenate([np.ones(units), np.full(2 * len(ends), 0.5)])
    place, first = np.unique(place, return_index=True)  # a jump that is a step of the ring stays one
    return Synapses(place.astype(np.int64), weight[first])
