"""Drift: watch how wrong the answers are and how strange the states, and act when that changes."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from ..errors import OptionError, check_range
from ..readout import RLS, build
from .detectors import detector, frozen, thawed
from .tree import filled, of_module

MEMORY = 1000.0  # samples over which it is told what is usual
LATELY = 50.0
FAR = 3.0  # the mean square of deviations above which a state counts for less: it is to be noticed, not got used to
START = 300.0  # samples after which covariances are sure enough to tell of a change; and 4 O
BLOCK = 10  # states in a row are alike: a detector is told of means over so many


class Detector(Protocol):
    """What river's detectors are: `update` with a number, then ask whether its distribution has changed."""

    drift_detected: bool

    def update(self, x: float) -> Any:
        """Take one more number."""
        ...


class Drift:
    """Watch a stream of errors, and of states, for change, and say what is to be done then.

    Parameters
    ----------
    error : detector, "adwin", "page_hinkley" or None
        Watches the error of each label: 1 - p of the true class; or the error over its own mean so far. A river
        detector, or its name.
    state : detector, "adwin", "page_hinkley" or None
        Watches how far the body's output is from its mean, by its variances and by its whole covariance over the last
        1000 samples: `log(d_1^2 d_2^2)`, d_1 the root mean square of deviations, each unit in its own, d_2 the
        Mahalanobis distance over its usual size; the mean of ten samples at a time, labels or none. Units that no
        longer go together are noticed at once; those that begin to, later or not at all.
    loosen : float, 0 to 1
        How much of its certainty the readout loses: see `loosen` of the readouts. Least squares, for logistic
        regression has none.
    boost : float, at least 1
        What the rates are multiplied by; it decays.
    decay : float, above 0, below 1
        By how much, with every label, towards 1.

    Raises
    ------
    OptionError
        If nothing is watched, or an option is out of range.

    Notes
    -----
    Errors that fall are a change too, but no reason to act: only where they lately (about 50 labels) were above what
    is usual (1000) is it a drift. A state that is strange calls for a look, not for a new start: it wakes recurrent
    learning, and raises the rates; the readout loses its certainty for errors alone. Watching states costs about 6 O^2
    multiplications a sample.

    Examples
    --------
    >>> drift = Drift("page_hinkley")
    >>> [t for t in range(2000) if drift.wrong(0.1 if t < 1000 else 1.0)][0] in range(1000, 1200)
    True
    """

    def __init__(
        self, error: Detector | str | None = "adwin", state: Detector | str | None = None, *, loosen: float = 1.0,
        boost: float = 1.0, decay: float = 0.99,
    ) -> None:  # fmt: skip
        self.error, self.state = _detector("error", error), _detector("state", state)
        if self.error is None and self.state is None:
            raise OptionError("`error` or `state` must be a detector; both are None. Leave out the drift altogether.")
        self.loosen = check_range("loosen", loosen, 0, 1)
        self.boost = check_range("boost", boost, 1)
        self.decay = check_range("decay", decay, 0, 1, open_low=True)
        self.lift = 1.0  # what the rates are multiplied by at present
        self.moments: np.ndarray | None = None  # (2, O) mean and variance of the body's output
        self.together: RLS | None = None  # whose covariance is that of the outputs, each in its own deviations
        self.count = self.told = 0.0
        self.block: list[float] = []  # distances not yet told of
        self.lately = self.usual = 0.0  # mean errors

    def wrong(self, error: float) -> bool:
        """Take the error of a label, at least 0, and return whether errors have changed."""
        self.lift = 1 + (self.lift - 1) * self.decay
        if self.error is None:
            return False
        self.told += 1
        self.lately += (error - self.lately) / min(self.told, LATELY)
        self.usual += (error - self.usual) / min(self.told, MEMORY)
        return _changed(self.error, error) and self.lately > self.usual and self._raised()

    def strange(self, y: np.ndarray) -> bool:
        """Take the body's output, and return whether states have changed."""
        if self.state is None:
            return False
        if self.moments is None or self.together is None:
            self.moments = np.stack((y, np.ones_like(y)))
            self.together = RLS(len(y), 1, forgetting=1 - 1 / MEMORY)
        mean, variance = self.moments
        off = y - mean
        z = off / np.sqrt(variance + 1e-12)
        sure = int(self.together.rows) >= max(START, 4 * len(y))
        apart = self._apart(z) if sure else 1.0
        self.count = min(self.count + 1, MEMORY)
        mean += off / self.count
        variance += (off * off - variance) / self.count
        if self.count > LATELY:  # by the first deviations a row would be large beyond measure, and never forgotten
            self.together.learn(z, np.zeros(1), weight=min(1.0, FAR / max(apart, FAR)))
        if not sure:
            return False
        self.block.append(math.log(z.dot(z) / len(y) * apart + 1e-12))
        if len(self.block) < BLOCK:
            return False
        distance = sum(self.block) / BLOCK
        self.block.clear()
        return _changed(self.state, distance) and self._raised()

    def _apart(self, z: np.ndarray) -> float:
        """Return the square of the Mahalanobis distance, about 1 in the mean: the covariance is of other samples."""
        assert self.together is not None
        size = len(z) + 1
        counted = MEMORY * (1 - (1 - 1 / MEMORY) ** int(self.together.rows))  # what rows still count, all together
        return self.together.leverage(z) * (counted - size - 1) / size

    def _raised(self) -> bool:
        self.lift = self.boost
        return True

    def tree(self) -> dict[str, Any]:
        """Return all of it as a tree of plain values and arrays."""
        together = None if self.together is None else of_module(self.together)
        return {**vars(self), "together": together, "error": frozen(self.error), "state": frozen(self.state)}

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Drift:
        """Make it again from what `tree` returned."""
        drift = cls.__new__(cls)
        vars(drift).update({**tree, "error": thawed(tree["error"]), "state": thawed(tree["state"])})
        if drift.together is not None:
            drift.together = filled(build(tree["together"]["config"]), tree["together"])
        return drift


def _changed(detector: Any, x: float) -> bool:
    detector.update(x)
    return bool(detector.drift_detected)


def _detector(name: str, given: Any) -> Any:
    if isinstance(given, str):
        return detector(name, given)
    if given is not None and not (hasattr(given, "update") and hasattr(given, "drift_detected")):
        raise OptionError(
            f"`{name}` must be a detector with `update` and `drift_detected`; got {given!r}. Use one of river.drift."
        )
    return given
