"""A cell that may grow, run on data with a linear readout, before and after its structure is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from liquidtorch import LTC, Leaky, Liquid, Recurrent
from liquidtorch.cells import Cell
from liquidtorch.plasticity import Change, Population, Sources, populate, with_room
from liquidtorch.wiring import random

FEATURES, SLOTS, LIVING, OUTPUTS = 3, 14, 9, 2
KINDS: dict[str, Callable[..., Cell]] = {
    "leaky": lambda **o: Leaky(FEATURES, SLOTS, tau=(1.0, 20.0), **o),
    "leaky euler": lambda **o: Leaky(FEATURES, SLOTS, tau=(2.0, 20.0), method="euler", **o),
    "liquid": lambda **o: Liquid(FEATURES, SLOTS, tau=(1.0, 20.0), **o),
    "ltc": lambda **o: LTC(FEATURES, SLOTS, unfolds=3, tau=(1.0, 20.0), **o),
    "ltc as published": lambda **o: LTC(FEATURES, SLOTS, unfolds=6, **o),
}


def signal(steps: int, seed: int = 0) -> np.ndarray:
    """A wandering signal (T, F) of mean 0.3 and deviation about 1."""
    rng, x = np.random.default_rng(seed), np.zeros((steps, FEATURES))
    for t in range(1, steps):
        x[t] = 0.8 * x[t - 1] + 0.6 * rng.standard_normal(FEATURES)
    return x + 0.3


class Running:
    """A cell that has seen some rows, with a linear readout of all its slots."""

    def __init__(self, kind: str, *, density: float = 0.3, seed: int = 0, **budget: int) -> None:
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        wiring = with_room(random(LIVING, FEATURES, density=density, seed=seed), SLOTS)
        self.cell = KINDS[kind](wiring=wiring).double()
        self.population = populate(self.cell, **budget)
        self.weight = self.rng.standard_normal((OUTPUTS, SLOTS)) * self.population.alive
        self.x = signal(500, seed)
        self.h = np.zeros(SLOTS)
        self.states = self.run(self.x[:200])
        self.h = self.states[-1].copy()
        self.sources = Sources.of(self.states[50:], self.x[50:200])

    def run(self, x: np.ndarray) -> np.ndarray:
        """States (T, H) from where it stands."""
        with torch.no_grad():
            h = torch.from_numpy(self.h)[None]
            return Recurrent(self.cell)(torch.from_numpy(x)[None], h, dt=0.7)[0][0].numpy()

    def ahead(self) -> np.ndarray:
        """What it answers to the rows to come, (T, O)."""
        return self.run(self.x[200:]) @ self.weight.T

    def follow(self, change: Change) -> None:
        """Let the state and the readout go along."""
        change.carry(self.h)
        self.weight[:, change.units_dead] = 0.0
        self.weight[:, change.units_born] = 0.0
        for parent, child, share in change.splits:
            self.weight[:, child] = share * self.weight[:, parent]
            self.weight[:, parent] *= 1 - share

    def jump(self, operation: Callable[..., Change], *given: Any, **options: Any) -> tuple[Change, float]:
        """Apply an operation; returns it, and the largest change of all answers to come over their deviation."""
        before = self.ahead()
        change = operation(self.cell, self.population, *given, **options)
        self.follow(change)
        after = self.ahead()
        return change, float(np.abs(after - before).max() / before.std(0).min())

    def copy(self) -> Running:
        return copy.deepcopy(self)


def synapses(cell: Cell) -> int:
    assert cell.wiring is not None
    return cell.wiring.all_synapses


def consistent(cell: Cell, population: Population) -> None:
    """Hold masks, lists, wiring and population to each other."""
    wiring = cell.wiring
    assert wiring is not None
    assert np.array_equal(cell.live_h.numpy() != 0, wiring.recurrent != 0)
    assert np.array_equal(cell.live_x.numpy() != 0, wiring.sensory != 0)
    assert len(cell._listed("h").source) == wiring.synapses
    dead = ~population.alive
    assert not wiring.recurrent[dead].any()
    assert not wiring.recurrent[:, dead].any()
    assert not wiring.sensory[dead].any()
    assert population.alive.sum() <= population.most_units
    assert synapses(cell) <= population.most_synapses
