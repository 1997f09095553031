"""Draft: a cell as arrays, to be changed and then written back at once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..cells import Cell
from ..errors import OptionError
from ..wiring import Wiring
from .anatomy import Which, anatomy
from .change import Change, Split
from .population import Population

KINDS: tuple[Which, ...] = ("h", "x")


class Draft:
    """What an operation works on: float64 copies of a cell's parameters and of its signs."""

    def __init__(self, cell: Cell, population: Population) -> None:
        self.cell, self.population = cell, population
        self.numbers = {name: getattr(cell, name).detach().double().cpu().numpy().copy() for name in cell.axes}
        self.parts = anatomy(cell, self.numbers)
        assert cell.wiring is not None
        self.sign: dict[Which, NDArray[np.int8]] = {"h": cell.wiring.recurrent.copy(), "x": cell.wiring.sensory.copy()}
        self._born: dict[Which, list[NDArray[np.int64]]] = {"h": [], "x": []}
        self._dead: dict[Which, list[NDArray[np.int64]]] = {"h": [], "x": []}

    @property
    def live(self) -> dict[Which, NDArray[np.bool_]]:
        """Which synapses there are by now, (to, from)."""
        return {which: sign != 0 for which, sign in self.sign.items()}

    def kill(self, which: Which, places: NDArray[np.int64]) -> None:
        """Take synapses (S, 2) away."""
        self.sign[which][places[:, 0], places[:, 1]] = 0
        self._dead[which].append(places)

    def bear(self, which: Which, places: NDArray[np.int64], signs: ArrayLike) -> None:
        """Put synapses (S, 2) there; their numbers are written by whoever knows them."""
        self.sign[which][places[:, 0], places[:, 1]] = signs
        self._born[which].append(places)

    def commit(
        self, *, units_born: Sequence[int] = (), units_dead: Sequence[int] = (), splits: tuple[Split, ...] = ()
    ) -> Change:
        """Hold to the budget, then write the cell and the population."""
        born, dead = ({k: _joined(v) for k, v in found.items()} for found in (self._born, self._dead))
        change = Change(
            born=born["h"], dead=dead["h"], born_x=born["x"], dead_x=dead["x"],
            units_born=np.array(units_born, np.int64), units_dead=np.array(units_dead, np.int64), splits=splits,
        )  # fmt: skip
        room = self.population.room(self.cell)
        more = sum(map(len, born.values())) - sum(map(len, dead.values()))
        for name, wanted, left in (
            ("units", len(change.units_born) - len(change.units_dead), room.units),
            ("synapses", more, room.synapses),
        ):
            if wanted > max(left, 0):
                raise OptionError(
                    f"`most_{name}` must leave room for {wanted} more; it leaves {max(left, 0)} of "
                    f"{getattr(self.population, f'most_{name}')}. Prune first, or ask for less."
                )
        was = self.cell.wiring
        assert was is not None
        with torch.no_grad():
            for name, value in self.numbers.items():
                getattr(self.cell, name).copy_(torch.from_numpy(value))
        self.cell.rewire(Wiring(self.sign["h"], self.sign["x"], was.outputs, was.roles, was.name))
        self.population.follow(change)
        return change


def _joined(places: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros((0, 2), np.int64), *places])


def shown(cell: Cell) -> None:
    """Refuse a cell that hides units: one that is born there would never be seen."""
    if cell.wiring is not None and cell.outputs != cell.units:
        raise OptionError(
            f"`cell` must show every unit for units to come and go; it shows {cell.outputs} of {cell.units}. "
            "Make it with a wiring whose units are all motor units, such as with_room(wiring, units)."
        )
