"""Probes: a few missing synapses of each unit, asked in turn what gradient they would have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cells import LTC, Cell, Liquid
from ..derivatives import Terms
from ..errors import check_range
from .change import Change
from .population import Population
from .scores import Scores
from .sources import Sources

Array = NDArray[np.float64]
NONE = -1  # no candidate


class Probes:
    """Estimate, one row at a time, the gradient at synapses that are not there.

    Each unit has C candidates with a trace of their own, `e' = leak*e + drive*z_j`, z_j the source before the step, and
    the gradient of candidate j is the sum of `q*e'`, q the gradient of the loss at the state. `draw` takes others.

    Parameters
    ----------
    cell : Leaky, Liquid or LTC, with a wiring
    count : int, at least 1
        How many candidates C a unit has at once; 4 to 8.

    Notes
    -----
    H*C multiply-adds a step instead of H*(H+F): all synapses have had their turn after (H+F)/C draws. Like e-prop it
    leaves out what comes back through other units: exact for a unit whose own output does not reach it. `arrays()` is
    all of its state, restored by writing into it.

    Source
    ------
    Growth where the gradient is largest: RigL, Evci et al. 2020 (arXiv 1911.11134), which asks for all at once by
    backpropagation; traces as e-prop, Bellec et al. 2020. Asking a few in turn, with their own traces, is ours.

    Examples
    --------
    >>> from liquidtorch import Leaky
    >>> from liquidtorch.plasticity import local, populate
    >>> from liquidtorch.wiring import random
    >>> cell = Leaky(2, 6, wiring=random(6, 2)).double()
    >>> population, rng, h = populate(cell), np.random.default_rng(0), np.zeros(6)
    >>> probes = Probes(cell, 3)
    >>> probes.draw(cell, population, rng=rng)
    >>> x = np.ones(2)
    >>> probes.step(local(cell, x, h), h, x)
    >>> probes.credit(np.ones(6))
    >>> bool((probes.scores().x > 0).any())
    True
    """

    def __init__(self, cell: Cell, count: int) -> None:
        count = check_range("count", count, 1, cell.units + cell.features, whole=True)
        sums = 2 if isinstance(cell, Liquid) else 1
        self.units = cell.units
        self.source = np.full((cell.units, count), NONE, np.int64)
        self.trace, self.total = np.zeros((sums, cell.units, count)), np.zeros((sums, cell.units, count))
        self.centre = np.zeros(cell.units + cell.features)
        self.steps = np.zeros((), np.int64)

    def draw(
        self, cell: Cell, population: Population, *, sources: Sources | None = None, rng: np.random.Generator
    ) -> None:
        """Take other candidates, at random among what is missing and alive, and start from nothing.

        Parameters
        ----------
        cell, population
            As they are now.
        sources : Sources, optional
            Their means, about which the gate of an LTC's new synapse will lie; 0, if left out.
        rng : numpy.random.Generator
        """
        assert cell.wiring is not None
        able = np.concatenate([cell.wiring.recurrent == 0, cell.wiring.sensory == 0], 1)
        able &= population.alive[:, None]
        able[:, : self.units] &= population.alive
        key = np.where(able, rng.random(able.shape), np.inf)
        self.source[:] = np.argsort(key, axis=1)[:, : self.source.shape[1]]
        self.source[np.isinf(np.take_along_axis(key, self.source, 1))] = NONE
        self.centre[:] = 0.0
        if sources is not None and isinstance(cell, LTC):
            self.centre[:] = np.concatenate([sources.mean_h, sources.mean_x])
        self.reset()
        self.total[:], self.steps[...] = 0.0, 0

    def reset(self) -> None:
        """Start the traces from nothing: a boundary of the stream."""
        self.trace[:] = 0.0

    def step(self, terms: Terms, h: Array, x: Array) -> None:
        """Let the traces move by a step from h (H,) with x (F,), whose local terms are given."""
        z = np.concatenate([h, x]) - self.centre
        felt = np.where(self.source == NONE, 0.0, z[self.source])
        self.trace *= terms.leak[:, None]
        self.trace += terms.drive[:, :, None] * felt

    def credit(self, q: Array) -> None:
        """Take in the gradient q (H,) of a loss at the state after the step."""
        self.total += q[:, None] * self.trace
        self.steps += 1

    def scores(self) -> Scores:
        """Return the size of each candidate's mean gradient, and 0 for all that is no candidate."""
        found = np.zeros((self.units, len(self.centre)))
        to, at = np.nonzero(self.source != NONE)
        size = np.sqrt(np.square(self.total).sum(0)) / max(int(self.steps), 1)
        found[to, self.source[to, at]] = size[to, at]
        return Scores(found[:, : self.units], found[:, self.units :])

    def follow(self, change: Change) -> None:
        """Let candidates go that were born, or whose unit or source came or went."""
        gone = np.concatenate([change.units_born, change.units_dead])
        lost = np.isin(self.source, gone)
        lost[gone] = True
        born = np.zeros((self.units, len(self.centre)), bool)
        born[tuple(change.born.T)] = True
        born[change.born_x[:, 0], self.units + change.born_x[:, 1]] = True
        lost |= np.take_along_axis(born, np.maximum(self.source, 0), 1)
        self.source[lost] = NONE
        self.trace[:, lost] = self.total[:, lost] = 0.0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all of its state, live."""
        return {name: getattr(self, name) for name in ("source", "trace", "total", "centre", "steps")}
