"""Population: which units of a cell are alive, how old everything is, and how much there may ever be."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..cells import Cell, CfC
from ..errors import OptionError, check_range
from ..wiring import Wiring
from .anatomy import anatomy
from .change import Change


class Room(NamedTuple):
    """How many more units and synapses there may be."""

    units: int
    synapses: int


class Population:
    """Know who is alive in a cell, since when, and what its budget is.

    Made by `populate`. The operations keep it; `tick` is called once a step.

    Parameters
    ----------
    alive : array (H,) of bool
        Which units are there; the others are free slots.
    features : int, at least 1
        The width F of the input.
    most_units, most_synapses : int
        The budget: how many units may be alive and how many synapses, from units and features together, may exist.

    Notes
    -----
    `alive` (H,), `since` (H,), `since_h` (H, H), `since_x` (H, F) and `time` () are arrays written in place: `arrays()`
    is all that changes, and is restored by writing into it.

    Examples
    --------
    >>> population = Population(np.array([True, False]), 1, most_units=2, most_synapses=6)
    >>> population.tick()
    >>> population.age.tolist()
    [1, 1]
    """

    def __init__(self, alive: NDArray[np.bool_], features: int, *, most_units: int, most_synapses: int) -> None:
        H = len(alive)
        self.alive = np.array(alive, bool)
        self.time = np.zeros((), np.int64)
        self.since = np.zeros(H, np.int64)
        self.since_h, self.since_x = np.zeros((H, H), np.int64), np.zeros((H, features), np.int64)
        self.most_units, self.most_synapses = most_units, most_synapses

    @property
    def age(self) -> NDArray[np.int64]:
        """Steps since each slot was taken or left, (H,)."""
        return self.time - self.since

    @property
    def free(self) -> NDArray[np.int64]:
        """The free slots, in ascending order."""
        return np.flatnonzero(~self.alive)

    def tick(self, steps: int = 1) -> None:
        """Let time pass."""
        self.time += steps

    def room(self, cell: Cell) -> Room:
        """Return how much the budget leaves for `cell` as it is."""
        wiring = cell.wiring
        assert wiring is not None
        units = min(self.most_units - int(self.alive.sum()), len(self.free))
        return Room(units, self.most_synapses - wiring.all_synapses)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that changes, live."""
        return {name: getattr(self, name) for name in ("alive", "time", "since", "since_h", "since_x")}

    def follow(self, change: Change) -> None:
        """Take over what an operation did; the operations of this room have done so already."""
        self.alive[change.units_dead] = False
        self.alive[change.units_born] = True
        self.since[np.concatenate([change.units_dead, change.units_born])] = self.time
        for since, born in ((self.since_h, change.born), (self.since_x, change.born_x)):
            since[born[:, 0], born[:, 1]] = self.time


def with_room(wiring: Wiring, units: int) -> Wiring:
    """Return a wiring with free slots for a body to grow into: the same units, and more without a synapse.

    Parameters
    ----------
    wiring : Wiring
        Who is there at the start.
    units : int, at least those of `wiring`
        How many there may be.

    Returns
    -------
    Wiring
        All of its units are motor units, so that whoever is born is seen.

    Raises
    ------
    OptionError
        If `units` is below those of `wiring`.

    Examples
    --------
    >>> from liquidtorch.wiring import random
    >>> with_room(random(8, 2), 16)
    Wiring('random', units=16, features=2, outputs=16, synapses=13, sensory_synapses=3)
    """
    more = check_range("units", units, wiring.units, whole=True) - wiring.units
    recurrent, sensory = np.pad(wiring.recurrent, (0, more)), np.pad(wiring.sensory, ((0, more), (0, 0)))
    return Wiring(recurrent, sensory, units, name=wiring.name)


def populate(cell: Cell, *, most_units: int | None = None, most_synapses: int | None = None) -> Population:
    """Take every unit that has a synapse as alive, and put the others to rest, in place: they are free slots.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring
        Its free slots get b = 0 (LTC: vleak = 0), and so stay at h = 0.
    most_units : int, optional
        How many units may ever be alive at once; all of them, if left out.
    most_synapses : int, optional
        How many synapses, from units and features together, may ever exist at once; all that fit, if left out.

    Returns
    -------
    Population

    Raises
    ------
    OptionError
        If the cell has no wiring, is another, or has already more than the budget allows.

    Examples
    --------
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.wiring import random
    >>> cell = Leaky(2, 16, wiring=with_room(random(8, 2, density=0.3), 16))
    >>> populate(cell, most_synapses=40).room(cell)
    Room(units=8, synapses=16)
    """
    if isinstance(cell, CfC):
        raise OptionError("`cell` must be Leaky, Liquid or LTC; got CfC (its free slots would not rest).")
    numbers = {name: getattr(cell, name).detach().double().cpu().numpy().copy() for name in cell.axes}
    parts = anatomy(cell, numbers)
    assert cell.wiring is not None
    live_h, live_x = cell.wiring.recurrent != 0, cell.wiring.sensory != 0
    alive = live_h.any(0) | live_h.any(1) | live_x.any(1)
    for unit in np.flatnonzero(~alive):
        parts.cleared(int(unit))
    with torch.no_grad():
        for name, value in numbers.items():
            getattr(cell, name).copy_(torch.from_numpy(value))
    size = live_h.size + live_x.size
    most_units = check_range("most_units", cell.units if most_units is None else most_units, 1, cell.units, whole=True)
    most_synapses = check_range(
        "most_synapses", size if most_synapses is None else most_synapses, 1, size, whole=True
    )  # fmt: skip
    found = Population(alive, cell.features, most_units=most_units, most_synapses=most_synapses)
    for name, left in zip(("most_units", "most_synapses"), found.room(cell), strict=True):
        if left < 0:
            most = getattr(found, name)
            raise OptionError(f"`{name}` must be at least {most - left}, what the cell has already; got {most}.")
    return found
