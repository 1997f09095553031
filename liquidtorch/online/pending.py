"""Samples that have arrived and wait for their label: late, out of order, or for ever."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from ..plasticity import Change


class Sample:
    """What is kept of a sample until its label comes.

    Parameters
    ----------
    x : object
        The sample itself, to be known again by.
    kept : dict
        What it held.
    z : array
        What the readout saw.
    base : array or None
        What its answer is counted from: the last values, for a forecast.
    place : array or None
        What it held in units of scale, 0 where nothing: what likeness is measured by.
    """

    __slots__ = ("base", "kept", "learning", "place", "traces", "x", "z")

    def __init__(
        self, x: Any, kept: dict[Hashable, Any], z: np.ndarray, base: np.ndarray | None, place: np.ndarray | None
    ) -> None:
        self.x, self.kept, self.z, self.base, self.place = x, kept, z, base, place
        self.learning: np.ndarray | None = None  # what the readout of a learning body saw
        self.traces: dict[str, np.ndarray] | None = None  # the rule's, once they have moved on

    def widen(self, size: int, channels: int) -> None:
        """Make it what it would be had the readout seen `size` features, and had there been so many channels more."""
        more = np.zeros(size - len(self.z))
        self.z = np.concatenate((self.z, more))
        if self.learning is not None:
            self.learning = np.concatenate((self.learning, more))
        if self.place is not None:
            self.place = np.concatenate((self.place, np.zeros(channels)))


class Track:
    """One stream: where the body is in it, and its samples without a label.

    Parameters
    ----------
    h : array
        The state of the body.
    memory : tuple of arrays
        What the encoder remembers.
    """

    __slots__ = ("h", "learning", "memory", "pending", "traces")

    def __init__(self, h: np.ndarray, memory: tuple[np.ndarray, ...]) -> None:
        self.h, self.memory = h, memory
        self.pending: deque[Sample] = deque()
        self.learning: np.ndarray | None = None  # the state of a body that learns
        self.traces: dict[str, np.ndarray] | None = None  # the rule's, while it follows another stream

    def forget(self) -> None:
        """Let traces that the rule does not hold now start anew, as the rule does; it is another from now on.

        Samples that wait for their label with traces of their own are not learned by it.
        """
        self.traces = None
        for sample in self.pending:
            if sample.traces is not None:
                sample.learning = sample.traces = None

    def widen(self, carried: Callable[[Any], Any] | None) -> None:
        """Go along with a body that learns and has more features now; `carried` makes its traces of the older ones."""
        if carried is None:
            self.forget()
            return
        self.traces = None if self.traces is None else carried(self.traces)
        for sample in self.pending:
            if sample.traces is not None:
                sample.traces = carried(sample.traces)

    def follow(self, change: Change, units: int) -> None:
        """Go along with a change of the structure of the body that learns, of which so many units are shown."""
        self.forget()
        if self.learning is not None:
            self.learning = self.learning.copy()
            change.carry(self.learning)
        for sample in self.pending:
            if sample.learning is not None:
                sample.learning = sample.learning.copy()
                change.carry(sample.learning[:units])

    def again(self, x: Any, kept: Mapping[Hashable, Any]) -> Sample | None:
        """Return the newest sample if it is x itself, unchanged: asked for twice, it has arrived once."""
        if self.pending:
            newest = self.pending[-1]
            if newest.x is x and newest.kept == kept:
                return newest
        return None

    def find(self, x: Any, kept: Mapping[Hashable, Any]) -> Sample | None:
        """Return the sample that is x itself, unchanged, else the oldest that holds the same."""
        newest = self.again(x, kept)
        if newest is not None:
            return newest
        equal = [sample for sample in self.pending if sample.kept == kept]
        return next((sample for sample in equal if sample.x is x), equal[0] if equal else None)

    def nearest(self, place: np.ndarray) -> Sample | None:
        """Return the sample most like one that would be at `place`."""
        if not self.pending:
            return None
        places = np.array([sample.place for sample in self.pending])
        return self.pending[int(((places - place) ** 2).sum(1).argmin())]
