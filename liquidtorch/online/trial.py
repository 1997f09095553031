"""Recurrent learning on trial: a copy of the model that learns its body too, and answers only while that pays."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..layers import Layer
from .gate import SURE, Gate
from .learning import Learning
from .pending import Sample, Track
from .view import View

PATIENCE = 5  # memories that it may do worse: what learns is first moved, and then better
LONGEST = 64  # memories that it rests at most, after having done worse again and again


class Trial:
    """Run a learning copy beside the still model, its shadow, and say which of the two should answer.

    Where the copy does better, surely and for a whole memory, the still model becomes what the copy is by then: so the
    question is always whether to go on learning. Where it does surely worse, the still model answers; where that lasts
    for five memories, the copy is thrown away, and after a rest, twice as long every time in a row, another is tried.

    Parameters
    ----------
    rule : str
        See `rules.make`.
    rate : float, above 0
        Of Adam.
    memory : float, at least 1
        Of the gate.
    budget : float
        Of the rule "auto".
    """

    def __init__(self, rule: str, rate: float, memory: float, budget: float) -> None:
        self.rule, self.rate, self.memory, self.budget = rule, rate, memory, budget
        self.gate = Gate(memory)
        self.body: Learning | None = None  # None: it rests
        self.readout: Any = None
        self.rest = 0  # samples to go
        self.failures = 0  # in a row
        self.worse = 0  # samples in a row at which it had surely done worse
        self.track: Track | None = None  # whose traces the rule has

    @property
    def answers(self) -> bool:
        """Whether the learning copy should answer."""
        return self.gate.open

    def start(self, layer: Layer, readout: Any, tracks: Iterable[Track]) -> None:
        """Begin as a copy of the still model."""
        self.body = Learning(copy.deepcopy(layer), self.rule, self.rate, self.budget)
        self.readout = copy.deepcopy(readout)
        self.track = None
        self.gate.start()
        for track in tracks:
            track.learning, track.traces = track.h.copy(), None
            for sample in track.pending:
                sample.learning = None  # it knows nothing of them

    def rebuilt(self, layer: Layer) -> None:
        """Go on with a layer that has got more columns; traces and moments start anew."""
        assert self.body is not None
        self.body = Learning(layer, self.rule, self.body.optimizer.rate, self.budget)
        self.track = None

    def enter(self, track: Track) -> Learning:
        """Return the learning body, with the traces of a stream."""
        assert self.body is not None
        if self.track is not track:
            if self.track is not None:
                self.track.traces = self.body.kept()
            self.body.put(track.traces)
            self.track, track.traces = track, None
        return self.body

    def arrive(self, track: Track, sample: Sample, u: np.ndarray, dt: float, view: View) -> None:
        """Let the copy go along with a sample that arrives."""
        body = self.enter(track)
        if track.pending:  # their labels are late: the traces move on
            newest = track.pending[-1]
            if newest.traces is None and newest.learning is not None:
                newest.traces = body.kept()
        y, track.learning = body.step(u, track.h if track.learning is None else track.learning, dt)
        z = view.see(y, u)
        if math.isfinite(z.dot(z)):
            sample.learning = z
        else:
            self.stop()

    def learn(self, track: Track, sample: Sample, target: Any, view: View, scale: Any) -> np.ndarray | None:
        """Let the copy learn a label, and return its error before; None if it did not see the sample."""
        z = sample.learning
        if z is None or self.body is None:
            return None
        late = sample.traces
        body = self.enter(track)
        q, _ = self.readout.gradient(z, target)
        now = None
        if late is not None:
            now = body.kept()
            body.put(late)
        body.learn(view.back(q, z) / scale)
        if now is not None:
            body.put(now)
        return self.readout.learn(z, target)

    def judge(self, still: float, learning: float) -> bool:
        """Take the losses of both, and return whether the still model should become what the copy is; or stop it."""
        answers, surely = self.gate.tell(still, learning), self.gate.surely()
        full = self.gate.weight > self.memory / 2
        self.worse = self.worse + 1 if full and surely < -SURE else 0
        if self.worse > PATIENCE * self.memory:
            self.stop()
        elif answers:
            self.failures = 0
            if full and surely > SURE:
                self.gate.start()
                return True
        return False

    def stop(self) -> None:
        """Throw the copy away, and rest."""
        self.rest = int(self.memory * min(2**self.failures, LONGEST))
        self.failures, self.worse = self.failures + 1, 0
        self.gate.open = False
        self.body = self.readout = self.track = None

    def rested(self) -> bool:
        """Take one more sample of rest, and return whether it has been enough."""
        self.rest -= 1
        return self.rest < 0

    def wake(self) -> None:
        """End the rest: something has changed."""
        self.rest = self.failures = 0
