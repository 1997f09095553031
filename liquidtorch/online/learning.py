"""A body that learns, beside the one that stays: its rule, its optimiser, its own readout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..derivatives import Local
from ..errors import OptionError
from ..layers import Layer, Recurrent
from ..ops.choice import compiled
from ..plasticity import Change
from . import rules
from .optimizers import Adam
from .rules.rule import Rule, Traced
from .rules.truncated import Truncated
from .structure import Structure
from .update import Update

CLIP = 1.0  # norm of a gradient, for targets of unit scale
Traces = dict[str, np.ndarray]


def learns(layer: Layer) -> bool:
    """Whether a layer has a single cell whose derivatives the rules know."""
    return type(layer) is Recurrent and type(layer.cell).__name__ in Local.kinds


class Learning:
    """Advance a layer whose cell learns: `y, h = body.step(u, h, dt)`, then `body.learn(q)` for q = dL/dy.

    Parameters
    ----------
    layer : Recurrent
        In float64, on the CPU; its cell is written in place.
    rule : str
        See `rules.make`.
    rate : float, above 0
        Of Adam.
    budget : float
        Of the rule "auto".

    Raises
    ------
    OptionError
        If the layer has no single cell, or its cell none of what the rule needs.
    """

    def __init__(self, layer: Layer, rule: str, rate: float, budget: float) -> None:
        if type(layer) is not Recurrent:
            raise OptionError(
                f"`rule` must be 'readout' for {type(layer).__name__}; got {rule!r} (it has no single cell that could "
                "learn). Use Recurrent of a cell."
            )
        self.layer, self.name, self.budget = layer, rule, budget
        self.outputs, self._units = layer.outputs, layer.cell.units
        self.optimizer = Adam(layer.cell, rate=rate, clip=CLIP)
        self.structure: Structure | None = None  # that of the cell, if it may change
        self.choose(rules.make(rule, layer.cell, budget=budget))

    def choose(self, rule: Rule) -> None:
        """Learn by a rule of the cell, as its structure is now."""
        self.rule = rule
        self.update = Update(rule, self.optimizer) if isinstance(rule, Traced) else None

    def step(self, u: np.ndarray, h: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the output and the state after a sample; the traces move along."""
        after = self.rule.step(u, h, dt)
        if self.structure is not None and isinstance(self.rule, Traced | Truncated):  # not where "auto" learns nothing
            self.structure.step(self.rule.local, u, h, after, dt)
        return after[: self.outputs], after

    def learn(self, g: np.ndarray) -> None:
        """Go one step down the gradient, for g = dL/dy (O,) where the traces are."""
        q = np.zeros(self._units)
        q[: self.outputs] = g
        if self.structure is not None:
            self.structure.credit(q)
        if self.update is not None and compiled():
            self.update(q)
        else:
            self.optimizer.step(self.rule.gradient(q))
            self.rule.changed()

    def follow(self, change: Change) -> None:
        """Go along with a change of the cell; where the rule "auto" costs too much by now, it is chosen again."""
        self.rule.follow(change)
        self.optimizer.follow(change)
        dear = self.name == "auto" and self.rule.cost.multiply_adds > self.budget
        self.choose(rules.make("auto", self.layer.cell, budget=self.budget) if dear else self.rule)

    def widen(self, older: Learning) -> Callable[[Traces], Traces] | None:
        """Go on as the same body with fewer features did.

        Returns
        -------
        function
            What makes of its traces, at any time, those of this body; None if the rule is another by now.
        """
        self.optimizer.widen(older.optimizer)
        if self.structure is not None and older.structure is not None:
            self.structure.widen(older.structure)
        if self.rule.name != older.rule.name:
            return None

        def carried(traces: Traces) -> Traces:
            own = {name: traces[name] for name in older.rule.arrays()}
            others = {} if self.structure is None else self.structure.widened(traces)
            return {**self.rule.widened(older.rule, own), **others}

        return carried

    def kept(self) -> Traces:
        """Return a copy of the traces as they are."""
        return {name: array.copy() for name, array in self._traces().items()}

    def _traces(self) -> Traces:
        return {**self.rule.arrays(), **({} if self.structure is None else self.structure.traces())}

    def put(self, traces: Traces | None) -> None:
        """Set the traces to what `kept` returned; None: to those of a start."""
        if traces is None:
            self.rule.reset()
            if self.structure is not None:
                self.structure.probes.reset()
            return
        for name, array in self._traces().items():
            array[...] = traces[name]

    def state(self) -> dict[str, Any]:
        """Return the rule and its traces, the optimiser's moments, and what the structure has seen."""
        return {
            "rule": self.rule.name,
            "traces": self.kept(),
            "moments": {k: v.copy() for k, v in self.optimizer.arrays().items()},
            "rate": self.optimizer.rate,
            "structure": None if self.structure is None else self.structure.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Set them to what `state` returned."""
        if state["rule"] != self.rule.name:  # the rule "auto" was chosen for another wiring
            self.choose(rules.make(state["rule"], self.layer.cell))
        self.put(state["traces"])
        for name, array in self.optimizer.arrays().items():
            array[...] = state["moments"][name]
        self.optimizer.rate = state["rate"]
        if self.structure is not None:
            self.structure.restore(state["structure"])
