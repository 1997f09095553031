"""Recurrent learning on trial: a copy of the model that learns its body too, and answers only while that pays."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..layers import Layer
from ..plasticity import Change
from .gate import SURE, Gate
from .learning import Learning
from .pending import Sample, Track
from .plasticity import Plasticity
from .structure import Structure
from .view import View

PATIENCE = 5  # memories that it may do worse: what learns is first moved, and then better
LONGEST = 64  # memories that it rests at most, after having done worse again and again
Made = tuple[str, str, int, int]  # why, the operation, and how many units and synapses there were then


def living(layer: Layer, readout: Any) -> np.ndarray:
    """Return which units of a layer whose structure may change are alive, (H,): those that its readout sees."""
    units: int = layer.cell.units  # pyright: ignore
    return readout.live.numpy()[:units].copy() if layer.outputs == units else np.ones(units, bool)


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
    plasticity : Plasticity or None
        How the copy's structure may change.
    seed : int
        Of what such changes draw.
    """

    def __init__(
        self, rule: str, rate: float, memory: float, budget: float, plasticity: Plasticity | None, seed: int
    ) -> None:  # fmt: skip
        self.rule, self.rate, self.memory, self.budget = rule, rate, memory, budget
        self.plasticity, self.seed = plasticity, seed
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
        self.readout = copy.deepcopy(readout)
        self.make(copy.deepcopy(layer), self.rate)
        self.gate.start()
        for track in tracks:
            track.learning, track.traces = track.h.copy(), None
            for sample in track.pending:
                sample.learning = None  # it knows nothing of them

    def make(self, layer: Layer, rate: float) -> Learning:
        """Let a layer, behind the readout that there is, be the copy: traces, moments and ages start anew."""
        self.body = body = Learning(layer, self.rule, rate, self.budget)
        self.track = None
        if self.plasticity is not None:
            alive = living(body.layer, self.readout)
            width = self.readout.features - body.outputs
            body.structure = Structure(
                self.plasticity, body.layer.cell, alive, width, [self.seed, self.gate.seen]
            )  # fmt: skip
        return body

    def widen(self, layer: Layer, tracks: Iterable[Track]) -> None:
        """Let the copy be a layer that is its own, but for more features, and go on."""
        older = self.body
        assert older is not None
        if self.track is not None:
            self.track.traces = older.kept()
        carried = self.make(layer, older.optimizer.rate).widen(older)
        for track in tracks:
            track.widen(carried)

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

    def restructure(self, sample: Sample, loss: float, error: float, tracks: Iterable[Track]) -> list[Made]:
        """Let the copy's structure change, if it should; tell what was made.

        Parameters
        ----------
        sample : Sample
            The one whose label was learned.
        loss, error : float
            The copy's at it, before.
        tracks : iterable of Track
            All streams, which follow.
        """
        body, z, tracks = self.body, sample.learning, list(tracks)
        if body is None or body.structure is None or z is None:
            return []
        why = body.structure.due(loss, error, z[body.outputs :] if len(tracks) == 1 else None)
        made = []
        if why is not None:
            for name, change in body.structure.changes(why, lambda: self.readout.saliency()[: body.outputs]):
                body.follow(change)
                self._show(change)
                for track in tracks:
                    track.follow(change, body.outputs)
                cell = body.layer.cell
                assert cell.wiring is not None
                made.append((why, name, int(body.structure.population.alive.sum()), cell.wiring.all_synapses))
        return made

    def _show(self, change: Change) -> None:
        """Let the readout see units that came, and no longer those that went."""
        for unit in change.units_dead.tolist():
            self.readout.close(unit)
        children = {child for _, child, _ in change.splits}
        for parent, child, share in change.splits:
            self.readout.split(parent, child, share)
        for unit in change.units_born.tolist():
            if unit not in children:
                self.readout.open(unit)

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
        if self.body is not None and self.body.structure is not None:
            self.body.structure.wake()
