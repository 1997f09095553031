"""Online: a network that learns from a stream, one sample at a time."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import __version__
from ..errors import OptionError, StateError, check_choice, check_range
from ..layers import Layer
from ..model import LiquidNetwork
from . import columns, disk, rules, tree
from .body import Body
from .drift import Drift
from .inputs import known, plain
from .learning import learns
from .parts import Make, of_layer, of_network
from .pending import Sample, Track
from .plasticity import Plasticity, settled
from .targets import Classes, Spread
from .trial import Trial, living

HEAD = {"kind": "Online", "schema": 1, "version": __version__}  # schema: raised when an older reader would misread
UNHEARD = 20  # labels in a row that answer no sample, while samples wait, after which a warning is due


class Online:
    """Answer and learn sample by sample: the state is carried on, labels may come late, and what is new gets a slot.

    A sample arrives with `predict_one`, which moves the state; `learn_one` answers a sample that has arrived, or lets
    it arrive first. Then `z = [y | channels]`, y the body's output, and the readout learns from z and the label.

    Parameters
    ----------
    model : LiquidNetwork or Layer
        A fitted network, whose readout is where this one starts; or a layer, behind channels of unit scale
        (`Channels`) and with a readout that starts from nothing. It is copied, to float64 on the CPU.
    rule : str
        How the body learns: "readout", not at all; or a rule of `rules.make`, by which a copy of the model learns it,
        which answers only while it does better (`Trial`). "auto": by the most exact rule within `budget`, where the
        layer is a `Recurrent` of a cell that rules know; else "readout".
    readout : "auto", a name of `readout.ONLINE`, or function (features, outputs) -> readout
        Of least squares, for numbers ("rls"), a "bank" of such that forget differently; or, for classes, "logistic"
        regression by steps, "recursive_logistic" by Newton steps, or, for a layer, a "committee" of both, with the body
        and without: slower, often the better. "auto": least squares for numbers, for classes a committee, or logistic
        regression in a network, as its task or `classes` says.
    classes : bool, optional
        Whether a layer's labels are classes, where `readout` is a function and does not say so.
    drift : Drift, optional
        What is watched for change, and what is done then: the readout is loosened, rates are raised, a body that learns
        is tried again, and `on_drift(online)` is called, if set.
    plasticity : Plasticity or its kind, optional
        How the structure of the body may change while it learns, by a `rule` that is not "readout"; left out, it stays.
        `changes` tells what was done. Of a Recurrent of Leaky, Liquid or LTC with a wiring; units come to the slots of
        `plasticity.with_room`.
    prior : float, above 0, optional
        For all but "logistic" and "committee": how many samples of unit size the weights that the readout starts with
        are worth. Left out, 100 for a network; 1 for a layer, whose are 0.
    names : sequence of hashables, optional
        What the columns of a layer are called, in their order. Left out, columns belong to the names as they come
        (rows: to their places). With `()` no column belongs to a name: weights for each are drawn from its name when
        it comes, so that its place does not matter.
    targets : sequence of str, optional
        The names of several numbers to be learned together, by a layer; one number if left out.
    patience : int, at least 1
        How many samples of a stream may wait for their label; the oldest is forgotten when there is one more.
    match : "values" or "nearest"
        What a label answers: a sample with the same values; or, where there is none, the one most like it. "nearest"
        is for samples that something before has scaled anew between question and answer.
    rate, memory, budget : float, above 0
        Of a body that learns: the rate of Adam, the samples over which it is compared with the one that stays, and the
        multiply-adds a sample that the rule "auto" may cost.
    seed : int, at least 0
        Of the weights drawn for new features.

    Raises
    ------
    OptionError
        If an option is unknown, out of range, or not of this model.

    Notes
    -----
    A name that is missing from a sample, or None, or NaN, is not known: its channel is 0, or what a network's encoder
    makes of gaps. A new name gets a free column of the body (drawn for a layer, 0 for a fitted network), and where
    there is none, the columns are doubled; answers for samples without it do not change by one bit, but those of an
    LTC, whose synapses conduct even where they are fed 0; a body that learns goes on with its traces and moments. A new
    class starts with a probability of 0.001.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> online = Online(EchoState(1, 20, seed=1))
    >>> errors = []
    >>> for t in range(300):
    ...     x, y = {"a": math.sin(t / 5)}, math.sin((t + 3) / 5)
    ...     errors.append(abs(y - online.predict_one(x)))
    ...     online.learn_one(x, y)
    >>> max(errors[200:]) < 0.3
    True
    """

    def __init__(
        self,
        model: LiquidNetwork | Layer,
        *,
        rule: str = "auto",
        readout: str | Make = "auto",
        drift: Drift | None = None,
        plasticity: Plasticity | str | None = None,
        prior: float | None = None,
        classes: bool | None = None,
        names: Iterable[Hashable] | None = None,
        targets: Sequence[str] | None = None,
        patience: int = 1000,
        match: str = "values",
        rate: float = 1e-3,
        memory: float = 1000.0,
        budget: float = rules.BUDGET,
        seed: int = 0,
    ) -> None:
        self.patience = check_range("patience", patience, 1, whole=True)
        self.seed = check_range("seed", seed, 0, whole=True)
        check_choice("match", match, ("values", "nearest"))
        self.match = match
        if not isinstance(model, Layer):
            raise OptionError(f"`model` must be a LiquidNetwork or a layer; got {type(model).__name__}.")
        if not model.causal:
            raise OptionError(f"`model` must be causal to go sample by sample; got {type(model).__name__}.")
        model = copy.deepcopy(model).cpu().double()
        if isinstance(model, LiquidNetwork):
            if any(option is not None for option in (names, targets, classes)):
                raise OptionError("`names`, `targets` and `classes` must be left out for a network; got some.")
            parts = of_network(model, readout, prior)
        else:
            parts = of_layer(model, readout, prior, classes, names, targets)
        self.network, self.layer, self.inputs, self.view, self.targets, self.readout, self.pool, self.own = parts
        self.opened = self.readout.features  # slots that the readout sees from the start
        for name, value in (("rate", rate), ("memory", memory), ("budget", budget)):
            check_range(name, value, 0, open_low=True)
        learning = rule != "readout" and (rule != "auto" or learns(self.layer))
        plastic = None if plasticity is None else settled(plasticity, self.layer, self.readout, learning)
        self.trial = Trial(rule, rate, memory, budget, plastic, self.seed) if learning else None
        self.drift = drift
        self.usual = getattr(self.readout, "rate", 0.0)  # the rate of the readout where nothing has raised it
        self.spread = Spread(self.readout.outputs)
        self._begin()
        if self.trial is not None:
            self.trial.start(self.layer, self.readout, ())

    def _begin(self) -> None:
        """Set what does not outlast a stream: its states, and counters."""
        self.body = Body(self.layer)
        self.tracks: dict[Hashable, Track] = {}
        self.forgotten = 0  # samples whose label did not come in time
        self.seen = 0  # samples that arrived
        self.learned = 0  # labels that were learned
        self._unheard = 0  # labels in a row that answered nothing
        self._met = 0  # classes that the readouts are known to have
        self.drifts: list[int] = []  # the samples at which something changed
        self.changes: list[tuple[int, str, str, int, int]] = []  # sample, why, operation, units and synapses after it
        self.on_drift: Callable[[Online], None] | None = None

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes that have come, in their order; None where numbers are learned."""
        return tuple(self.targets.labels) if isinstance(self.targets, Classes) else None

    @property
    def bytes(self) -> int:
        """The size of all that is kept: weights, covariances, traces, states, samples without a label."""
        arrays: dict[str, np.ndarray] = {}
        text = tree.packed(disk.state(self), arrays)
        return len(str(text)) + sum(array.nbytes for array in arrays.values())

    # --- samples ---------------------------------------------------------------------------------------------------

    def predict_one(self, x: Any, dt: float = 1.0, *, key: Hashable = None) -> Any:
        """Let a sample arrive, and answer it.

        Parameters
        ----------
        x : dict of name -> number, or row
            What is known. The very object that arrived last, unchanged and not answered yet, is the same sample: it is
            answered again and the state stays where it is.
        dt : float, at least 0
            Time since the sample before, in the unit of the time constants.
        key : hashable
            Which of several interleaved streams; each has a state of its own.

        Returns
        -------
        label, float, dict or array
            A class (None before there is any), or the target's number; several numbers as a dict by target, a forecast
            of several steps as an array.

        Raises
        ------
        DataError, ShapeError, OptionError
            If x or dt cannot be.
        """
        sample = self._asked(x, dt, key)
        if isinstance(self.targets, Classes):
            return self.targets.decode(self._probabilities(sample)) if self.targets.labels else None
        return self.targets.decode(self._told(sample), sample.base)

    def predict_proba_one(self, x: Any, dt: float = 1.0, *, key: Hashable = None) -> dict[Any, float]:
        """Let a sample arrive, as `predict_one` does, and answer with the probability of each class.

        Raises
        ------
        StateError
            If numbers are learned.
        """
        if not isinstance(self.targets, Classes):
            raise StateError("`predict_proba_one` must be asked where classes are learned; numbers are here.")
        sample = self._asked(x, dt, key)
        return dict(zip(self.targets.labels, self._probabilities(sample).tolist(), strict=True))

    def learn_one(self, x: Any, y: Any, dt: float = 1.0, *, key: Hashable = None) -> None:
        """Learn the label of a sample, which arrives first where it has not.

        Parameters
        ----------
        x : dict or row
            The sample: the object itself, or what it held.
        y : label, number, dict or array
            As `predict_one` answers; None or NaN, also of one target among several, where it is not known.
        dt : float, at least 0
            Time since the sample before, if it has not arrived.
        key : hashable
            Its stream.

        Raises
        ------
        DataError, ShapeError, OptionError
            If x, y or dt cannot be.
        """
        track = self.tracks.get(key) or self._track(key)
        pending = track.pending
        sample = pending[-1] if pending else None
        if sample is None or sample.x is not x or not isinstance(x, dict) or sample.kept != x:  # not plainly the newest
            named = known(x, self.inputs.names)
            sample = self._answered(track, x, plain(named)) if pending else None
            sample = sample or self._arrive(track, x, named, dt)
        target = self.targets.encode(y) if isinstance(self.targets, Classes) else self.targets.encode(y, sample.base)
        if pending[-1] is sample:
            pending.pop()
        else:
            pending.remove(sample)
        if target is not None:
            self._learn(track, sample, target)

    def learn_many(
        self, X: Iterable[Any], y: Iterable[Any], dt: float | Iterable[float] = 1.0, *, key: Hashable = None
    ) -> None:
        """Learn from samples one after the other: what a loop over `learn_one` does, bit by bit.

        Parameters
        ----------
        X : rows, dicts, or a DataFrame with `to_dict`
        y : labels
        dt : float, or one for each sample
        key : hashable
            Their stream.
        """
        frame: Any = X
        samples = frame.to_dict("records") if hasattr(X, "to_dict") else X
        steps = dt if isinstance(dt, Iterable) else None
        if steps is None:
            for x, label in zip(samples, y, strict=True):
                self.learn_one(x, label, dt, key=key)  # pyright: ignore[reportArgumentType]
        else:
            for x, label, gap in zip(samples, y, steps, strict=True):
                self.learn_one(x, label, gap, key=key)

    def reset(self, key: Hashable = None) -> None:
        """Put a stream back to its start, as at the beginning of an episode; what was learned stays.

        Its samples without a label are forgotten.
        """
        track = self.tracks.pop(key, None)
        if track is not None:
            self.forgotten += len(track.pending)

    def _probabilities(self, sample: Sample) -> np.ndarray:
        """Return the probability of each class that has come; the readout has at least two."""
        classes = len(self.targets.labels)  # pyright: ignore[reportAttributeAccessIssue]
        return self._told(sample) if classes > 1 else np.ones(classes)

    def _told(self, sample: Sample) -> np.ndarray:
        """Return what the readout says, of the body that learns or of the one that stays."""
        if sample.learning is not None and self.trial is not None and self.trial.answers:
            return self.trial.readout.predict(sample.learning)
        return self.readout.predict(sample.z)

    # --- inner ----------------------------------------------------------------------------------------------------

    def _track(self, key: Hashable) -> Track:
        """Begin a stream."""
        self.tracks[key] = track = Track(self.body.initial(), self.inputs.initial())
        return track

    def _asked(self, x: Any, dt: float, key: Hashable) -> Sample:
        track = self.tracks.get(key) or self._track(key)
        named = known(x, self.inputs.names)
        again = track.again(x, plain(named)) if track.pending and track.pending[-1].x is x else None
        return again or self._arrive(track, x, named, dt)

    def _answered(self, track: Track, x: Any, kept: dict[Hashable, Any]) -> Sample | None:
        """Return the sample that waits and that a label of x answers, if any."""
        found = track.find(x, kept)
        if found is None and self.match == "nearest":
            return track.nearest(self.inputs.place(kept))
        self._unheard = 0 if found else self._unheard + 1
        if self._unheard == UNHEARD:
            warnings.warn(
                f"The last {UNHEARD} labels answered no sample that had arrived, while samples wait: x changes between "
                "predict_one and learn_one. Give both the same values, or use match='nearest'.",
                stacklevel=3,
            )
        return found

    def _arrive(self, track: Track, x: Any, named: Mapping[Hashable, Any], dt: float) -> Sample:
        if not 0 <= dt < math.inf:
            raise OptionError(f"`dt` must be finite and at least 0; got {dt!r}.")
        way, base = self.body.way or self.body.find(self.inputs, self.view), None
        found = way(named, track.h, dt)
        if found is not None:
            z, u, track.h, kept = found
        else:
            kept = plain(named)
            u, filled, track.memory = self.inputs.read(named, track.memory, dt, True)
            if self.inputs.channels.fresh:
                self._grow()
            y, track.h = self.body.step(u, track.h, dt)
            z = self.view.see(y, u)
            if self.network is not None and self.network.columns:
                base = np.tile(filled[list(self.network.columns)], self.network.task.horizon)
        place = self.inputs.place(kept, u) if self.match == "nearest" else None
        sample = Sample(x, kept, z, base, place)
        if self.trial is not None:
            if self.trial.body is None and self.trial.rested():
                self.trial.start(self.layer, self.readout, self.tracks.values())
            if self.trial.body is not None:
                self.trial.arrive(track, sample, u, dt, self.view)
        track.pending.append(sample)
        if len(track.pending) > self.patience:
            track.pending.popleft()
            self.forgotten += 1
        self.seen += 1
        if self.drift is not None and self.drift.strange(z[: self.view.outputs]):
            self._drifted(self.drift, False)
        return sample

    def _readouts(self) -> list[Any]:
        """Return the readout, and that of the body that learns, while one is tried."""
        trying = self.trial is not None and self.trial.body is not None
        return [self.readout, self.trial.readout] if trying else [self.readout]  # pyright: ignore

    def _learn(self, track: Track, sample: Sample, target: Any) -> None:
        trial = self.trial
        if isinstance(self.targets, Classes):
            if len(self.targets.labels) > self._met:
                self._met = len(self.targets.labels)
                for readout in self._readouts():
                    while readout.classes < self._met:
                        readout.add_class()
        else:
            self.spread.tell(target)
        error = self.readout.learn(sample.z, target)
        self.learned += 1
        if trial is not None:
            scale = 1.0 if isinstance(self.targets, Classes) else self.spread.level()
            other = trial.learn(track, sample, target, self.view, scale)
            if other is not None:
                loss = self._loss(other, target)
                self._judge(trial, self._loss(error, target), loss)
                if trial.plasticity is not None:
                    made = trial.restructure(sample, loss, self._signed(other), self.tracks.values())
                    self.changes += [(self.seen, *one) for one in made]
        if self.drift is not None:
            before = self.drift.lift
            if self.drift.wrong(math.sqrt(self._loss(error, target))):
                self._drifted(self.drift, True)
            elif self.drift.lift != before:
                self._lift(self.drift.lift)

    def _loss(self, error: np.ndarray, target: Any) -> float:
        """Return 1 - p of the true class, or the mean square of what errors are of their targets' deviations."""
        if isinstance(self.targets, Classes):
            return float(error[target])
        return self.spread.mean_square(error)

    def _signed(self, error: np.ndarray) -> float:
        """Return an error as one number with a sign: of classes the even ones, of several numbers their sum."""
        if isinstance(self.targets, Classes):
            return float(error[::2].sum())
        return float(np.nansum(error / np.sqrt(self.spread.variance())))

    def _judge(self, trial: Trial, still: float, learning: float) -> None:
        if trial.judge(still, learning) and trial.body is not None:
            self.layer, self.readout = copy.deepcopy(trial.body.layer), copy.deepcopy(trial.readout)
            self.body = Body(self.layer)
            for track in self.tracks.values():
                if track.learning is not None:
                    track.h = track.learning.copy()
                for sample in track.pending:
                    if sample.learning is not None:
                        sample.z = sample.learning

    def _drifted(self, drift: Drift, wrong: bool) -> None:
        """Act on a change: of errors, or of states alone."""
        self.drifts.append(self.seen)
        for readout in self._readouts():
            if wrong and drift.loosen and hasattr(readout, "loosen"):
                readout.loosen(drift.loosen)
        if self.trial is not None:
            self.trial.wake()
        self._lift(drift.lift)
        if self.on_drift is not None:
            self.on_drift(self)

    def _lift(self, by: float) -> None:
        """Set every rate to so many times what it was given as."""
        for readout in self._readouts():
            if hasattr(readout, "rate"):
                readout.rate = by * self.usual
        if self.trial is not None and self.trial.body is not None:
            self.trial.body.optimizer.rate = by * self.trial.rate

    def _grow(self) -> None:
        """Give the names that have just come columns of the bodies, doubling them where they are all taken."""
        channels = self.inputs.channels
        wide = self.inputs.coded + channels.capacity
        named = range(len(channels.slots) - len(channels.fresh), len(channels.slots))
        trial, readouts = self.trial, self._readouts()
        learning = None if trial is None else trial.body
        bodies = [self.layer] if learning is None else [self.layer, learning.layer]
        if self.network is None and self.pool is None and named[-1] >= self.own:
            self.pool = columns.pool(self.layer)
        if wide > self.layer.features:
            more = wide - self.layer.features
            bodies = [columns.widened(layer, wide) for layer in bodies]
            size = self.view.room(channels.capacity)
            for readout in readouts:
                if size > readout.features:
                    readout.widen(size)
            for sample in (sample for track in self.tracks.values() for sample in track.pending):
                sample.widen(size, more)
        for slot, name in zip(named, channels.fresh, strict=True):
            if self.view.start + slot >= self.opened:
                for readout in readouts:
                    readout.open(self.view.start + slot)
            if self.pool is not None and slot >= self.own:
                plastic = trial is not None and trial.plasticity is not None
                bodies = [
                    columns.drawn(layer, slot, self.pool, self.seed, name, living(layer, sees) if plastic else None)
                    for layer, sees in zip(bodies, readouts, strict=True)
                ]
        channels.fresh.clear()
        self.layer = bodies[0]
        self.body = Body(self.layer)
        if trial is not None and learning is not None:
            trial.widen(bodies[1], self.tracks.values())

    # --- on disk ---------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write all of it as a folder, whole or not at all: it goes on, loaded again, as if nothing had been.

        Raises
        ------
        OptionError
            If a name, a class or a key is nothing that can be written: no string, number or tuple of them.
        """
        tree.write(folder, HEAD, disk.state(self))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Online:
        """Read what `save` wrote.

        Raises
        ------
        FormatError
            If a file is missing, cut short, of another kind, or written by a newer version.
        """
        return disk.restored(cls, tree.read(folder, HEAD, "a saved online model"), folder)

    def __getstate__(self) -> dict[str, Any]:
        return disk.state(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        disk.restore(self, state)
