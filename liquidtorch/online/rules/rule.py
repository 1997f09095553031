"""What every rule does: advance the body by one row and tell the gradient of what is asked of its state now."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch

from ...derivatives import Floats, Local, Slots
from ...ops.choice import compiled
from ...ops.library import take_step
from ...ops.traces import TracesStep
from .cost import Cost
from .influence import Influence
from .traces import Own, Packed


class Rule:
    """Advance a cell row by row and keep what its gradient needs; the parent of every rule.

    All is NumPy float64. The rule reads the parameters of the cell in place: call `changed` after writing into them,
    and `follow` after changing which synapses exist.
    """

    name: str
    cost: Cost

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state (H,) after a row x (F,), dt after the row before; the traces move along."""
        raise NotImplementedError

    def gradient(self, q: Floats) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, for q = dL/dh (H,) at the present state.

        Parameters
        ----------
        q : array (H,)
            The derivative of the loss by the state, through the readout alone.

        Returns
        -------
        dict of arrays
            By the parameter's name, of its shape, 0 where no synapse is. The next call overwrites them.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the past, for the state is that before the first step again."""
        for found in self.arrays().values():
            found[...] = 0

    def follow(self, change: Any) -> None:
        """Go along with a `plasticity.Change` that the cell has undergone."""
        raise NotImplementedError

    def widened(self, older: Any, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return arrays of an older rule of the same kind, whose cell had fewer features, as they would be of this."""
        raise NotImplementedError

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of the state, live: writing into the arrays restores it. After `follow` they are others."""
        raise NotImplementedError

    def changed(self) -> None:
        """Read the parameters of the cell, which were written in place, again."""
        raise NotImplementedError


class Traced(Rule):
    """Learn forward in time: traces of dh/dtheta move along with the state.

    Parameters
    ----------
    name : str
    local : Local
        The step and its derivatives.
    layout : function of Slots
        Makes the traces, again after every change of structure.

    Notes
    -----
    Where units act on one another a second trace along the leak alone is kept, without which a split could not be
    followed exactly. Where a synapse dies, what came through it and nowhere else is forgotten.
    """

    def __init__(self, name: str, local: Local, layout: Callable[[Slots], Own | Packed]) -> None:
        self.name, self.local, self.layout = name, local, layout
        self._lay_out()

    def _lay_out(self) -> None:
        self.traces = self.layout(self.local.slots)
        self.apart = None if isinstance(self.traces, Own) else Own(self.local.slots, loops=False)
        moves = [self.traces.moves(), *([] if self.apart is None else [self.apart.moves()])]
        held = self.traces.bytes() + (0 if self.apart is None else self.apart.x.nbytes)
        self.cost = Cost(self.local.repeats * sum(moves) + self.traces.sums(), held)
        self.q, self.packed = np.zeros(len(self.local.leak)), np.zeros_like(self.local.theta)
        self.struct = TracesStep(
            local=ctypes.addressof(self.local.struct), **self.traces.told(),
            apart=None if self.apart is None else torch.from_numpy(self.apart.x),
            q=torch.from_numpy(self.q), g=torch.from_numpy(self.packed),
        )  # fmt: skip
        self.struct.alive |= {"step": self.local.struct}

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        local = self.local
        local.begin(x, dt)
        if compiled():
            local.read[: local.slots.units] = h
            take_step("traces_step", self.struct, dt)
            return local.after.copy()
        for _ in range(local.repeats):
            h = local.advance(h)
            self.traces.advance(local)
            if self.apart is not None:
                self.apart.advance(local)
        return h

    def gradient(self, q: Floats) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, as `Rule.gradient`."""
        return self.local.scatter(self.traces.gradient(q))

    def follow(self, change: Any) -> None:
        """Carry the traces over to the new structure; exactly where a unit is split or something grows from 0."""
        old, rows = self.local.slots, self.traces.rows()
        apart = self.traces.x if self.apart is None else self.apart.x
        self.local.rewired()
        influence = Influence(old, self.local.slots, self.local)
        influence.put(old, *rows, apart)
        influence.follow(change)
        self._lay_out()
        owner, unit, x = self.traces.rows()
        x[...] = influence.take(self.local.slots, owner, unit)
        if self.apart is not None:
            self.apart.x[...] = influence.take_local(self.local.slots)

    def widened(self, older: Traced, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the older rule's traces for this cell; those of its new features start from nothing."""
        slots, each = older.local.slots, np.arange(len(self.q))
        owner = {"traces": self.traces.rows().owner, "apart": each}
        return {name: slots.spread(x, owner[name], self.local.slots) for name, x in arrays.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the traces."""
        apart = {} if self.apart is None else {"apart": self.apart.x}
        return {"traces": self.traces.x, **apart}

    def changed(self) -> None:
        """Read the parameters again."""
        self.local.changed()


class Body(Protocol):
    """Anything that makes a step: the derivatives of a cell, or a cell that has none here."""

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        ...

    def rewired(self) -> None:
        """Read the wiring again."""

    def changed(self) -> None:
        """Read the parameters again."""


class Fixed(Rule):
    """Advance the body and learn nothing of it: a reservoir behind a readout that learns."""

    name = "readout"
    cost = Cost(0, 0)

    def __init__(self, body: Body) -> None:
        self.body = body
        self.step = body.step

    def gradient(self, q: Floats) -> dict[str, Floats]:
        """Return no gradient: no parameter is learned."""
        return {}

    def follow(self, change: Any) -> None:
        """Read the wiring again."""
        self.body.rewired()

    def widened(self, older: Fixed, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return no array."""
        return {}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return no array: there is no state beside h."""
        return {}

    def changed(self) -> None:
        """Read the parameters again."""
        self.body.changed()
