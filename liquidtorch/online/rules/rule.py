"""What every rule does: advance the body by one row and tell the gradient of what is asked of its state now."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cost import Cost
from .local import Local
from .slots import Floats
from .traces import Dense, Own, Packed


class Rule:
    """Advance a cell row by row and keep what its gradient needs; the parent of every rule.

    All is NumPy float64. The rule reads the parameters of the cell in place: call `changed` after writing into them
    and `follow` after changing which synapses exist.
    """

    name: str
    cost: Cost

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state (H,) after a row x (F,), dt after the row before; the traces move along."""
        raise NotImplementedError

    def gradient(self, q: Floats, kept: Any = None) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, for q = dL/dh (H,) at the present state.

        Parameters
        ----------
        q : array (H,)
            The derivative of the loss by the state, through the read-out alone.
        kept
            What `keep` returned at an earlier state, if the loss is of that one.

        Returns
        -------
        dict of arrays
            By the parameter's name, of its shape, 0 where no synapse is. The next call overwrites them.
        """
        raise NotImplementedError

    def keep(self) -> Any:
        """Return a copy of what `gradient` needs of the present state, for an answer that comes late."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the past, for the state is that before the first step again."""
        for found in self.arrays().values():
            found[...] = 0

    def follow(self, change: Any) -> None:
        """Go along with a `plasticity.Change` that the cell has undergone."""
        raise NotImplementedError

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all of the state, live: writing into the arrays restores it."""
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
    traces : Own, Packed or Dense
    """

    def __init__(self, name: str, local: Local, traces: Own | Packed | Dense) -> None:
        self.name, self.local, self.traces = name, local, traces
        once = traces.cost()
        self.cost = once

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        self.local.begin(x, dt)
        for _ in range(self.local.repeats):
            h = self.local.advance(h)
            self.traces.advance(self.local)
        return h

    def gradient(self, q: Floats, kept: Any = None) -> dict[str, Floats]:
        """Return the gradient of a loss by every parameter, as `Rule.gradient`."""
        return self.local.scatter(self.traces.gradient(q, self.traces.x if kept is None else kept))

    def keep(self) -> Floats:
        """Return a copy of the traces."""
        return self.traces.x.copy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the traces."""
        return {"traces": self.traces.x}

    def changed(self) -> None:
        """Read the parameters again."""
        self.local.changed()


class Fixed(Rule):
    """Advance the body and learn nothing of it: a reservoir behind a read-out that learns."""

    name = "readout"
    cost = Cost(0, 0)

    def __init__(self, local: Local) -> None:
        self.local = local

    def step(self, x: Floats, h: Floats, dt: float) -> Floats:
        """Return the state after a row."""
        self.local.begin(x, dt)
        for _ in range(self.local.repeats):
            h = self.local.advance(h)
        return h

    def gradient(self, q: Floats, kept: Any = None) -> dict[str, Floats]:
        """Return no gradient: no parameter is learned."""
        return {}

    def keep(self) -> None:
        """Return nothing, for nothing is needed."""

    def follow(self, change: Any) -> None:
        """Read the wiring again."""
        self.local.rewired()

    def arrays(self) -> dict[str, np.ndarray]:
        """Return no array: there is no state beside h."""
        return {}

    def changed(self) -> None:
        """Read the parameters again."""
        self.local.changed()
