"""Operations on units that change no state: add to free slots, split one into two."""

from __future__ import annotations

import numpy as np

from ..cells import Cell
from ..errors import OptionError, check_range
from .change import Change, Split
from .draft import KINDS, Draft, shown
from .population import Population
from .sources import Sources
from .synapses import bear


def add(
    cell: Cell, population: Population, count: int, *, tau: tuple[float, float], fan_in: int | None = None,
    fan_out: int | None = None, sources: Sources | None = None, rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Put new units into free slots: they feel, and are felt only once their outgoing synapses have learned.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring whose units are all shown
    population : Population
        Of the cell.
    count : int, at least 0
        How many units.
    tau : (float, float)
        Their time constants, above 0, log-uniform between the two: the band that is missing (`Lag.band`).
    fan_in : int, at least 1, optional
        From how many units and features each feels, drawn among all that live and the new; as many as the others do
        on average, if left out.
    fan_out : int, at least 0, optional
        By how many of the others each is felt, by synapses as `grow` makes them; as many as the others are on
        average, if left out.
    sources : Sources, optional
        As for `grow`.
    rng : numpy.random.Generator
        Draws sources, targets, weights and time constants.

    Returns
    -------
    Change
        `units_born` are the slots: the state is 0 there (`Change.carry`), and a readout opens them.

    Raises
    ------
    OptionError
        If there are fewer free slots, or the budget is spent.

    Notes
    -----
    Incoming weights start as those of a fresh cell: a unit with incoming and outgoing weights of 0 would never learn.
    """
    shown(cell)
    draft = Draft(cell, population)
    count, slots = check_range("count", count, 0, whole=True), population.free
    if count > len(slots):
        raise OptionError(f"`count` must be at most {len(slots)}, the free slots; got {count}. Remove units first.")
    low, high = check_range("tau", tau[0], 0, open_low=True), check_range("tau", tau[1], tau[0])
    others, slots, live = np.flatnonzero(population.alive), slots[:count], draft.live
    living = max(len(others), 1)
    felt = round((live["h"].sum() + live["x"].sum()) / living) if fan_in is None else fan_in
    felt = min(check_range("fan_in", max(felt, 1), 1, whole=True), len(others) + count + cell.features)
    heard = round(live["h"].sum() / living) if fan_out is None else fan_out
    heard = min(check_range("fan_out", heard, 0, whole=True), len(others))
    drawn = [rng.choice(len(others) + count + cell.features, felt, replace=False) for _ in slots]
    unit_of = np.concatenate([others, slots])
    for k in KINDS:
        chosen = [d[d < len(unit_of)] if k == "h" else d[d >= len(unit_of)] - len(unit_of) for d in drawn]
        places = np.array(
            [(i, unit_of[j] if k == "h" else j) for i, of in zip(slots, chosen, strict=True) for j in of], np.int64
        ).reshape(-1, 2)
        draft.bear(k, places, draft.parts.drawn(k, places, rng))
    for unit in slots:
        draft.parts.cleared(unit)
        draft.parts.paced(unit, float(np.exp(rng.uniform(np.log(low), np.log(high)))), draft.live)
    given = [(i, unit) for unit in slots for i in rng.choice(others, heard, replace=False)]
    bear(draft, "h", np.array(given, np.int64).reshape(-1, 2), sources)
    return draft.commit(units_born=slots.tolist())


def split(
    cell: Cell, population: Population, parent: int, *, share: float = 0.4, noise: float = 1e-3,
    rng: np.random.Generator,
) -> Change:  # fmt: skip
    """Make one unit two that feel the same and share what the one gave to others.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring whose units are all shown
    population : Population
        Of the cell.
    parent : int
        A unit that is alive; the child takes the first free slot.
    share : float
        The child gives `share` of what the parent gave, the parent the rest; above 0 and below 1 for LTC.
    noise : float, at least 0
        What tells the two apart: the standard deviation of a change of the incoming weights, relative to theirs (LTC:
        of `sigma*mu`), `+share` times for the parent and `-(1-share)` times for the child. What both give together
        changes only by its square.
    rng : numpy.random.Generator
        Draws the noise.

    Returns
    -------
    Change
        With one of `splits`: the child takes over the parent's state (`Change.carry`), traces and moments, and the
        readout parts its weights by the same share, `readout.split(parent, child, share)`.

    Raises
    ------
    OptionError
        If the parent is not alive, there is no free slot, or the budget is spent.

    Notes
    -----
    Without noise nothing changes but by rounding. But then the two learn the same under an optimiser that takes steps
    of one size whatever the gradient (Adam), unless `share` is outside 0 to 1: then they go opposite ways.

    Source
    ------
    Net2WiderNet, Chen, Goodfellow and Shlens 2016 (arXiv 1511.05641), section 3.2, for a recurrent layer: the unit's
    own synapse is parted like the others. Noise that cancels to first order is ours.
    """
    shown(cell)
    check_range("noise", noise, 0)
    alive(population, parent=parent)
    if not len(population.free):
        raise OptionError("`cell` must have a free slot to split a unit; all are taken. Remove a unit first.")
    draft, child = Draft(cell, population), int(population.free[0])
    for name, axes in cell.axes.items():
        number = draft.numbers[name]
        if axes.startswith("H"):
            number[child] = number[parent]
        if axes == "HH":
            number[:, child] = number[:, parent]
    for k in KINDS:
        sign = draft.sign[k].copy()
        sign[child] = sign[parent]
        if k == "h":
            sign[:, child] = sign[:, parent]
        places = np.argwhere((sign != 0) & ~draft.live[k])
        draft.bear(k, places, sign[places[:, 0], places[:, 1]])
    draft.parts.shared(parent, child, check_range("share", share))
    if noise:
        drawn = noise * rng.standard_normal(cell.units + cell.features)
        draft.parts.parted(parent, child, share, draft.live, drawn)
    return draft.commit(units_born=[child], splits=(Split(parent, child, share),))


def alive(population: Population, **named: int) -> None:
    """Refuse a unit that is no unit or not alive."""
    for name, unit in named.items():
        unit = check_range(name, unit, 0, len(population.alive) - 1, whole=True)
        if not population.alive[unit]:
            raise OptionError(f"`{name}` must be alive; unit {unit} is a free slot.")
