"""Structure: when and how the synapses and units of a body that learns come and go, within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from .. import plasticity as operations
from ..cells import LTC, Cell
from ..derivatives import Local
from ..errors import OptionError
from ..plasticity import Change, Dormancy, Lag, Plateau, Population, Probes, Running, Saturation, Scores
from .plasticity import Plasticity

TURN = 1000  # labels after which other candidates are asked: over few a gradient is mostly noise
MEMORY = 1000.0  # rows over which means and covariances are taken
LONGEST = 256  # lags, in rows, at which errors are compared with what was
SLOWEST = 10  # rests, at most, that a slow body adds to a rest
PLAIN = ("beat", "labels", "firings", "wait", "saturated")


class Structure:
    """Watch a cell that learns, and change what it is made of: the one controller of its budget.

    It fires after a drift, on a plateau of the loss, where units saturate, and where the error goes with what was
    longer ago than the units remember; then `changes` gives what was done, one `Change` after the other.

    Parameters
    ----------
    given : Plasticity
        With its budget in numbers.
    cell : Leaky, Liquid or LTC, with a wiring
        In float64, changed in place.
    alive : array (H,) of bool
        Which units are there.
    width : int
        Of what errors are compared with at a lag.
    seed : list of int
        Of what is drawn.
    """

    def __init__(self, given: Plasticity, cell: Cell, alive: np.ndarray, width: int, seed: list[int]) -> None:
        assert given.units is not None
        assert given.synapses is not None
        self.given, self.cell = given, cell
        self.rng = np.random.default_rng(seed)
        H, F = cell.units, cell.features
        assert cell.wiring is not None
        most = max(given.synapses, cell.wiring.all_synapses)  # names that came later brought some
        self.population = Population(alive, F, most_units=given.units, most_synapses=most)
        self.probes = Probes(cell, min(given.candidates, H + F))
        self.running = Running(H, F, memory=MEMORY)
        self.dormancy = Dormancy(H)
        self.plateau = Plateau(rest=given.rest)
        self.saturation = Saturation(H, rest=given.rest)
        self.lag = Lag(width, 1, longest=LONGEST)
        self.worth = np.zeros((H, H + F))  # the gradient of each candidate when it was last asked
        self.strain = np.zeros(H)  # mean square of dL/dh
        self.beat = 1.0  # mean dt
        self.labels = self.firings = 0
        self.wait: int | None = None  # labels until a drift is answered
        self.saturated = False
        self.probes.draw(cell, self.population, rng=self.rng)

    @property
    def whole(self) -> bool:
        """Whether every unit is shown, so that units may come and go."""
        return self.cell.outputs == self.cell.units

    # --- what it watches -------------------------------------------------------------------------------------------

    def step(self, local: Local, u: np.ndarray, before: np.ndarray, after: np.ndarray, dt: float) -> None:
        """See a step of the cell from one state to the next."""
        self.population.tick()
        self.probes.step(local.terms(u, before, dt), before, u)
        self.running.update(after, u)
        self.dormancy.update(after)
        self.beat += (dt - self.beat) / min(int(self.running.rows), MEMORY)
        if self.saturation.update(after, self.population):
            self.saturated = True

    def credit(self, q: np.ndarray) -> None:
        """See the gradient (H,) of a loss at the state that the traces belong to."""
        self.probes.credit(q)
        self.strain += (q * q - self.strain) / MEMORY
        if self.probes.steps >= TURN:
            self._turn()

    def _turn(self) -> None:
        """Note what the candidates were worth, and ask others."""
        scores = np.concatenate(self.probes.scores(), axis=1)
        to, at = np.nonzero(self.probes.source >= 0)
        asked = self.probes.source[to, at]
        self.worth[to, asked] = scores[to, asked]
        self.probes.draw(self.cell, self.population, sources=self.running.sources(), rng=self.rng)

    def wake(self) -> None:
        """After a drift: forget what candidates were worth, and answer once others have been asked."""
        self.worth[:] = 0.0
        self.probes.draw(self.cell, self.population, sources=self.running.sources(), rng=self.rng)
        self.wait = self.given.rest

    def due(self, loss: float, error: float, x: np.ndarray | None) -> str | None:
        """Take the loss and the error of a label, and what its sample held (None: there are several streams).

        Returns
        -------
        "drift", "plateau", "saturation", "lag" or None
            Why the structure should change now.
        """
        self.labels += 1
        flat = self.plateau.update(loss)
        if x is not None:
            self.lag.update(np.array([error]), x)
        if self.wait == 0:
            return "drift"
        if self.wait is not None:
            self.wait -= 1
        if flat:
            return "plateau"
        if self.plateau.wait > 0:
            return None
        if self.whole and self.given.kind != "rewire":
            if self.saturated:
                return "saturation"
            if self.labels % self.given.rest == 0 and self._band() is not None:
                return "lag"
        return None

    # --- what it does ----------------------------------------------------------------------------------------------

    def changes(self, why: str, worth: Callable[[], np.ndarray]) -> Iterator[tuple[str, Change]]:
        """Change the structure for a reason that `due` gave: tell the operation and what it did, one by one.

        Whoever takes a change makes rule, optimiser, readout and states follow it before the next.

        Parameters
        ----------
        why : str
        worth : function
            Returns what each unit is worth to the readout, (H,).
        """
        self._turn()
        self.firings += 1
        self.wait, self.saturated = None, False
        if self.given.kind == "rewire":
            yield from self._rewired()
        else:
            if self.given.kind == "grow and prune" and self.whole:
                yield from self._cleared()
            made, band = False, self._band() if self.whole else None
            if band is not None or why == "saturation":
                made = yield from self._added(band or self._range(), worth)
            spent = self.population.room(self.cell).synapses < self._synapses()
            if not made and spent and self.given.kind == "grow and prune":
                yield from self._rewired()
            elif not made and not (self.whole and self.firings % 2 == 0 and (yield from self._split())):
                yield from self._grown()
        longest = min(10 * self._range()[1] / max(self.beat, 1e-12), SLOWEST * self.given.rest)
        self.plateau.wait[...] = max(self.given.rest, math.ceil(longest))

    def _followed(self, name: str, change: Change) -> tuple[str, Change]:
        for companion in (self.probes, self.running, self.dormancy, self.saturation):
            companion.follow(change)
        H = self.cell.units
        for units in (change.units_dead, change.units_born):
            self.worth[units] = self.worth[:, units] = self.strain[units] = 0.0
        for born, first in ((change.born, 0), (change.born_x, H)):
            self.worth[born[:, 0], first + born[:, 1]] = 0.0
        return name, change

    def _tried(
        self, operation: Callable[..., Change], *what: Any, **how: Any
    ) -> Generator[tuple[str, Change], None, bool]:
        """Make an operation, where the budget has room for it; return whether it was made."""
        try:
            change = operation(self.cell, self.population, *what, **how)
        except OptionError:
            return False
        if change:
            yield self._followed(operation.__name__, change)
        return bool(change)

    def _scores(self) -> Scores:
        H = self.cell.units
        return Scores(self.worth[:, :H], self.worth[:, H:])

    def _synapses(self) -> int:
        wiring = self.cell.wiring
        assert wiring is not None
        return max(1, round(self.given.fraction * wiring.all_synapses))

    def _units(self) -> int:
        return max(1, round(self.given.fraction * int(self.population.alive.sum())))

    def _range(self) -> tuple[float, float]:
        """Return the shortest and the longest time constant of the living units."""
        tau = self.cell.taus().detach().numpy()[self.population.alive]
        return (float(tau.min()), float(tau.max())) if len(tau) else (1.0, 1.0)

    def _band(self) -> tuple[float, float] | None:
        """Return the time constants that would remember what the error goes with, and no unit does."""
        beat = max(self.beat, 1e-12)
        band = self.lag.band(min(self._range()[1] / beat, LONGEST))
        return None if band is None else (band[0] * beat, band[1] * beat)

    def _rewired(self) -> Iterator[tuple[str, Change]]:
        given, sources = self.given, self.running.sources()
        yield from self._tried(
            operations.rewire, self._scores(), given.fraction, sources=sources, maturity=given.rest, rng=self.rng
        )

    def _grown(self) -> Iterator[tuple[str, Change]]:
        room = self.population.room(self.cell).synapses
        if room > 0:
            count = min(self._synapses(), room)
            sources = self.running.sources()
            yield from self._tried(operations.grow, self._scores(), count, sources=sources, rng=self.rng)

    def _added(
        self, tau: tuple[float, float], worth: Callable[[], np.ndarray]
    ) -> Generator[tuple[str, Change], None, bool]:  # fmt: skip
        """Add units of a band; where there is no room, and pruning is allowed, the least missed start again as such.

        Return whether anything was done.
        """
        done = False
        for _ in range(self._units()):
            sources = self.running.sources()
            made = yield from self._tried(operations.add, 1, tau=tau, sources=sources, rng=self.rng)
            able = np.flatnonzero(self.population.alive & (self.population.age >= 2 * self.given.rest))
            if not made and self.given.kind == "grow and prune" and len(able):
                unit = int(able[worth()[able].argmin()])
                made = yield from self._tried(operations.recycle, unit, tau=tau, sources=sources, rng=self.rng)
            done |= made
        return done

    def _split(self) -> Generator[tuple[str, Change], None, bool]:
        """Split the units that the loss pulls at the most; return whether any was."""
        done = False
        for _ in range(self._units()):
            pulled = np.where(self.population.alive, self.strain, -1.0)
            parent = int(pulled.argmax())
            if pulled[parent] > 0:
                done |= yield from self._tried(operations.split, parent, rng=self.rng)
        return done

    def _removed(self, unit: int) -> Iterator[tuple[str, Change]]:
        sources, slope = self.running.sources(), None
        if not isinstance(self.cell, LTC):
            H = self.cell.units
            slope = operations.regression(self.running.covariance[:H, :H], unit)
        yield from self._tried(operations.remove, unit, sources=sources, slope=slope)

    def _cleared(self) -> Iterator[tuple[str, Change]]:
        """Let dormant units start again, and one of two that say the same go."""
        given, population = self.given, self.population
        for unit in self.dormancy.units(population, maturity=2 * given.rest)[: self._units()]:
            sources = self.running.sources()
            yield from self._tried(
                operations.recycle, int(unit), tau=self._range(), sources=sources, rng=self.rng
            )  # fmt: skip
        pairs = operations.redundant(self.running.correlation(), population, maturity=2 * given.rest)
        for _, gone in pairs[: self._units()]:
            yield from self._removed(int(gone))

    # --- on disk ---------------------------------------------------------------------------------------------------

    def _parts(self) -> dict[str, Any]:
        names = "population", "probes", "running", "dormancy", "plateau", "saturation", "lag"
        own = {"worth": self.worth, "strain": self.strain}
        return {"own": own, **{name: getattr(self, name).arrays() for name in names}}

    def traces(self) -> dict[str, np.ndarray]:
        """Return the candidates' traces, live: they belong to a stream, as those of the rule do."""
        return {"candidates": self.probes.trace}

    def state(self) -> dict[str, Any]:
        """Return all that changes, but for the cell."""
        parts = {part: {k: v.copy() for k, v in arrays.items()} for part, arrays in self._parts().items()}
        plain = {name: getattr(self, name) for name in PLAIN}
        return {"parts": parts, "plain": plain, "rng": self.rng.bit_generator.state}

    def widen(self, older: Structure) -> None:
        """Go on as a controller of the same cell with fewer features did; synapses from new ones are born now."""
        state, known = older.state(), older.cell.features
        for part, arrays in self._parts().items():
            found = state["parts"][part]
            anew = part == "lag" and any(array.shape != found[name].shape for name, array in arrays.items())
            if anew:  # errors stand beside the features there
                found.update(arrays)
            found.update({name: _around(found[name], array) for name, array in arrays.items()})
        self.restore(state)
        assert self.cell.wiring is not None
        assert older.cell.wiring is not None
        born = self.cell.wiring.sensory != 0
        born[:, :known] &= older.cell.wiring.sensory == 0
        change = Change(born_x=np.argwhere(born))
        self.population.follow(change)
        self._followed("new features", change)

    def widened(self, traces: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what `traces` returned of a controller of the same cell with fewer features, as it is of this one."""
        return {name: _around(traces[name], np.zeros_like(array)) for name, array in self.traces().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Set it to what `state` returned."""
        for part, arrays in self._parts().items():
            for name, array in arrays.items():
                array[...] = state["parts"][part][name]
        for name in PLAIN:
            setattr(self, name, state["plain"][name])
        self.rng.bit_generator.state = state["rng"]


def _around(corner: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Return a copy of an array with a smaller one, or one of its size, where all indices are least."""
    found = array.copy()
    found[tuple(map(slice, corner.shape))] = corner
    return found
