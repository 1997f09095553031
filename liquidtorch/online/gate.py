"""Whether learning the body pays: paired losses of one that learns and of one that stays, lately."""

from __future__ import annotations

import math
from typing import Any

SURE = 3.0  # standard errors of the mean difference, for the gate to turn


class Gate:
    """Let the learning body answer only while it does better than the still one: open and shut with hysteresis.

    Of the differences d = loss of the still one - loss of the learning one, the mean m and the variance v over about
    the last `memory` samples are kept. The gate opens when `m > 3 sqrt(v/n)` and shuts when `m < -3 sqrt(v/n)`, n the
    samples that count, at most `memory`; in between it stays as it is.

    Parameters
    ----------
    memory : float, at least 1
        How many samples "lately" goes back.

    Notes
    -----
    It starts shut: learning has to show first that it pays. Errors in a row are alike, so three standard errors are
    worth less than they say; what turns the gate by chance costs little, for both bodies are then about as good.

    Examples
    --------
    >>> gate = Gate(100)
    >>> [gate.tell(still, learning) for still, learning in [(1.0, 0.5), (1.1, 0.5)] * 30][-1]
    True
    """

    def __init__(self, memory: float) -> None:
        self.memory = memory
        self.open = False
        self.turns: list[tuple[int, bool]] = []  # at which sample it opened (True) or shut
        self.seen = 0
        self.start()

    def start(self) -> None:
        """Compare from here on: what was before counts no more."""
        self.weight = self.mean = self.square = 0.0  # the samples that count; moments of d

    def tell(self, still: float, learning: float) -> bool:
        """Take the losses of one sample, and return whether the gate is open."""
        self.seen += 1
        keep = 1 - 1 / self.memory
        self.weight = keep * self.weight + 1
        d = still - learning
        self.mean += (d - self.mean) / self.weight
        self.square += (d * d - self.square) / self.weight
        if self.weight >= min(30.0, self.memory / 2):
            surely = self.surely()
            if (surely < -SURE) if self.open else (surely > SURE):
                self.open = not self.open
                self.turns.append((self.seen, self.open))
        return self.open

    def surely(self) -> float:
        """Return how many standard errors the learning one has done better by, lately."""
        variance = max(self.square - self.mean**2, 0.0)
        if variance == 0.0:
            return math.copysign(math.inf, self.mean) if self.mean else 0.0
        return self.mean / math.sqrt(variance / self.weight)

    def state(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return dict(vars(self))

    @classmethod
    def of(cls, state: dict[str, Any]) -> Gate:
        """Make it again from what `state` returned."""
        gate = cls(state["memory"])
        vars(gate).update(state)
        return gate
