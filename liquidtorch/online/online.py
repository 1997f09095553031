"""Online: a network that learns from a stream, one sample at a time."""

from __future__ import annotations

import copy
import math
import os
import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from .. import __version__
from ..errors import OptionError, StateError, check_choice, check_range
from ..layers import Layer
from ..model import LiquidNetwork
from ..readout import RLS, OnlineLogistic
from . import columns, disk, tree
from .body import Body
from .channels import Channels
from .inputs import Encoded, Running, known, plain, row_names
from .pending import Sample, Track
from .targets import Classes, Numbers
from .view import View, start

HEAD = {"kind": "Online", "schema": 1, "version": __version__}  # schema: raised when an older reader would misread
UNHEARD = 20  # labels in a row that answer no sample, while samples wait, after which a warning is due
Make = Callable[[int, int], Any]


class Online:
    """Answer and learn sample by sample: the state is carried on, labels may come late, and what is new gets a slot.

    A sample arrives with `predict_one`, which moves the state; `learn_one` answers a sample that has arrived, or lets
    it arrive first. Then `z = [y | channels]`, y the body's output, and the readout learns from z and the label.

    Parameters
    ----------
    model : LiquidNetwork or Layer
        A fitted network, whose readout is where this one starts; or a layer, behind channels of unit scale
        (`Channels`) and with a readout that starts from nothing. It is copied, to float64 on the CPU.
    readout : "auto", "rls", "logistic" or function (features, outputs) -> readout
        Of least squares, for numbers, or of logistic regression, for classes. "auto": what a network's task asks for;
        "rls" for a layer.
    classes : bool, optional
        Whether a layer's labels are classes, where `readout` is a function and does not say so.
    prior : float, above 0, optional
        For "rls": how many samples of unit size the weights that the readout starts with are worth; 100 for a network,
        1 for a layer, whose are 0, if left out.
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
    LTC, whose synapses conduct even where they are fed 0. A new class starts with a probability of 0.001.

    Examples
    --------
    >>> from liquidtorch import EchoState
    >>> online = Online(EchoState(1, 20, seed=1))
    >>> errors = []
    >>> for t in range(300):
    ...     x, y = {"a": math.sin(t / 5)}, math.sin((t + 3) / 5)
    ...     errors.append(abs(y - online.predict_one(x)))
    ...     online.learn_one(x, y)
    >>> max(errors[200:]) < 0.01
    True
    """

    def __init__(
        self,
        model: LiquidNetwork | Layer,
        *,
        readout: str | Make = "auto",
        prior: float | None = None,
        classes: bool | None = None,
        names: Iterable[Hashable] | None = None,
        targets: Sequence[str] | None = None,
        patience: int = 1000,
        match: str = "values",
        seed: int = 0,
    ) -> None:
        self.patience = check_range("patience", patience, 1, whole=True)
        self.seed = check_range("seed", seed, 0, whole=True)
        check_choice("match", match, ("values", "nearest"))
        if isinstance(readout, str):
            check_choice("readout", readout, ("auto", "rls", "logistic"))
        if not isinstance(model, Layer):
            raise OptionError(f"`model` must be a LiquidNetwork or a layer; got {type(model).__name__}.")
        if not model.causal:
            raise OptionError(f"`model` must be causal to go sample by sample; got {type(model).__name__}.")
        self.match = match
        model = copy.deepcopy(model).cpu().double()
        fitted = isinstance(model, LiquidNetwork)
        if fitted and any(option is not None for option in (names, targets, classes)):
            raise OptionError("`names`, `targets` and `classes` must be left out for a network, which knows them; got some.")
        self.network = model if fitted else None
        self.layer: Layer = model.body if fitted else model  # pyright: ignore[reportAssignmentType]
        self.pool: dict[str, torch.Tensor] | None = None  # weights that those of new features are drawn from
        self.own = model.features  # columns whose weights are the layer's own, whoever comes
        kind = readout
        if fitted:
            classes = model.task.classifies
            if readout in ("rls", "logistic") and (readout == "logistic") != classes:
                raise OptionError(f"`readout` must be 'auto' for a network whose task is {model.task.kind!r}.")
            self.view, W, b = start(model)
            self.inputs: Running | Encoded = Encoded(model, Channels(0))
            self.targets: Classes | Numbers = (
                Classes(model.task.classes[0]) if classes else Numbers(model.task.targets, model.task.horizon)
            )
            kind = ("logistic" if classes else "rls") if readout == "auto" else readout
        else:
            given = row_names(names)
            channels = Channels(model.features, given or ())
            self.inputs = Running(channels)
            self.inputs.names = given or None
            if given == ():
                self.pool, self.own = columns.freed(self.layer), 0
            self.view, W, b = View(model.outputs, 0), None, None
            if classes is not None and readout in ("rls", "logistic"):
                raise OptionError("`classes` must be left out where `readout` says it; got both.")
            kind = ("logistic" if classes else "rls") if readout == "auto" else readout
            self.targets = Classes() if classes or kind == "logistic" else Numbers(targets or ("y",))
        self.opened = size = self.view.room(self.inputs.channels.capacity)  # slots that the readout sees from the start
        prior = check_range("prior", (100.0 if fitted else 1.0) if prior is None else prior, 0, open_low=True)
        self.readout = _readout(kind, size, self.targets, prior)
        if W is not None and b is not None:
            self.readout.weight[:, : W.shape[1]] = torch.from_numpy(W)
            self.readout.bias.copy_(torch.from_numpy(b))
            if isinstance(self.readout, RLS):
                self.readout.factor[:, -1, -1] = prior**-0.5  # the bias is known as well as the weights
        self._begin()

    def _begin(self) -> None:
        """Set what does not outlast a stream: its states, and counters."""
        self.body = Body(self.layer)
        self.tracks: dict[Hashable, Track] = {}
        self.forgotten = 0  # samples whose label did not come in time
        self.seen = 0  # samples that arrived
        self.learned = 0  # labels that were learned
        self._unheard = 0  # labels in a row that answered nothing

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The classes that have come, in their order; None where numbers are learned."""
        return tuple(self.targets.labels) if isinstance(self.targets, Classes) else None

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
        return self.targets.decode(self.readout.predict(sample.z), sample.base)

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
        track = self._track(key)
        named = known(x, self.inputs.names)
        kept = plain(named)
        sample = self._answered(track, x, kept)
        if sample is None:
            sample = self._arrive(track, x, named, kept, dt)
        target = self.targets.encode(y) if isinstance(self.targets, Classes) else self.targets.encode(y, sample.base)
        track.pending.remove(sample)
        if target is not None:
            self._learn(sample, target)

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
        samples = X.to_dict("records") if hasattr(X, "to_dict") else X
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
        return self.readout.predict(sample.z) if classes > 1 else np.ones(classes)

    # --- inner ----------------------------------------------------------------------------------------------------

    def _track(self, key: Hashable) -> Track:
        track = self.tracks.get(key)
        if track is None:
            self.tracks[key] = track = Track(self.body.initial(), self.inputs.initial())
        return track

    def _asked(self, x: Any, dt: float, key: Hashable) -> Sample:
        track = self._track(key)
        named = known(x, self.inputs.names)
        kept = plain(named)
        return track.again(x, kept) or self._arrive(track, x, named, kept, dt)

    def _answered(self, track: Track, x: Any, kept: dict[Hashable, Any]) -> Sample | None:
        if not track.pending:
            return None
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

    def _arrive(self, track: Track, x: Any, named: Any, kept: dict[Hashable, Any], dt: float) -> Sample:
        if not 0 <= dt < math.inf:
            raise OptionError(f"`dt` must be finite and at least 0; got {dt!r}.")
        u, filled, track.memory = self.inputs.read(named, track.memory, dt, True)
        if self.inputs.channels.fresh:
            self._grow()
        y, track.h = self.body.step(u, track.h, dt)
        base = None
        if self.network is not None and self.network.columns:
            base = np.tile(filled[list(self.network.columns)], self.network.task.horizon)
        place = self.inputs.place(kept) if self.match == "nearest" else None
        sample = Sample(x, kept, self.view.see(y, u), base, place)
        track.pending.append(sample)
        if len(track.pending) > self.patience:
            track.pending.popleft()
            self.forgotten += 1
        self.seen += 1
        return sample

    def _learn(self, sample: Sample, target: Any) -> None:
        if isinstance(self.targets, Classes):
            while self.readout.classes < len(self.targets.labels):
                self.readout.add_class()
        self.readout.learn(sample.z, target)
        self.learned += 1

    def _grow(self) -> None:
        """Give the names that have just come columns of the body, doubling them where they are all taken."""
        channels = self.inputs.channels
        wide = self.inputs.coded + channels.capacity
        named = range(len(channels.slots) - len(channels.fresh), len(channels.slots))
        if self.network is None and self.pool is None and named[-1] >= self.own:
            self.pool = columns.pool(self.layer)
        if wide > self.layer.features:
            more = wide - self.layer.features
            self.layer = columns.widened(self.layer, wide)
            size = self.view.room(channels.capacity)
            if size > self.readout.features:
                self.readout.widen(size)
            for track in self.tracks.values():
                for sample in track.pending:
                    sample.widen(size, more)
        for slot, name in zip(named, channels.fresh, strict=True):
            if self.view.start + slot >= self.opened:
                self.readout.open(self.view.start + slot)
            if self.pool is not None and slot >= self.own:
                self.layer = columns.drawn(self.layer, slot, self.pool, self.seed, name)
        channels.fresh.clear()
        self.body = Body(self.layer)

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


def _readout(kind: str | Make, size: int, targets: Classes | Numbers, prior: float) -> Any:
    if callable(kind):
        return kind(size, max(2, len(targets.labels)) if isinstance(targets, Classes) else targets.width)
    if isinstance(targets, Classes):
        return OnlineLogistic(size, max(2, len(targets.labels)))
    return RLS(size, targets.width, penalty=prior)
